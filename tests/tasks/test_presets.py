import pytest
import torch

import pipeline
from data.readers import DATASETS
from models.cam import build_classifier
from models.features import build_key_extractor
from models.segmentation.deeplab import DeepLabAspp
from tasks.discover_superpixels import DiscoverSuperpixels
from tasks.index_dataset import IndexDataset
from tasks.methods import METHODS
from tasks.predict_masks import PredictMasks
from tasks.presets import METHOD_DEFAULTS, PROFILES
from tasks.refine_saliency import RefineSaliency
from tasks.runtime.luigi_seam import default_value
from tasks.train_by_masking import TrainByMasking
from tasks.train_classifier import TrainClassifier
from tasks.train_segmenter import TrainSegmenter

SOURCES = {**{name: profile.settings for name, profile in PROFILES.items()}, **METHOD_DEFAULTS}
ENTRIES = [(p, s, n) for p, stages in SOURCES.items() for s, values in stages.items() for n in values]


@pytest.mark.parametrize(("source", "stage", "name"), ENTRIES)
def test_every_entry_is_a_parameter_and_a_legal_value(source, stage, name):
    parameters = dict(getattr(pipeline, stage).get_params())
    value = SOURCES[source][stage][name]
    assert parameters[name].parse(parameters[name].serialize(value)) == value


CHAPTER_2, CHAPTER_3 = "S. Kim, SNU 2022, section 2.4.1", "S. Kim, SNU 2022, section 3.4.1"
OURS_OFF = {"mosaic": 0.0, "clip_norm": 0.0, "frozen_stride": 0, "least_steps": 0, "rare_share": 0.0}
BOTH = {  # of the networks of both chapters
    "batch_size": 20, "optimizer": "sgd", "schedule": "poly",
    "learning_rate": 1e-3, "weight_decay": 5e-4, "head_factor": 10.0,
    **OURS_OFF,  # not in the paper
}  # fmt: skip
# Section 2.4.1: of both networks. Section 3.4.1: "to improve the robustness of the segmentation network".
SCALES = {"scale_min": 0.5, "scale_max": 1.5}
SEGMENTER = {
    **BOTH, **SCALES, "input_scales": (1.0, 0.75, 0.5), "freeze_batch_norm": True, "start": "pretrained",
    "average_decay": 0.0, "least_side": 0,
    "rates": (6.0, 12.0, 18.0, 24.0), "output_stride": 8,  # DeepLab-ASPP, reference [6]
}  # fmt: skip
PREDICTION = {"train_scales": (0.5, 0.75, 1.0), "evaluation_scales": (0.5, 0.75, 1.0), "flip": False, "crf": "default"}

PAPERS = {
    "superpixel": {
        "TrainClassifier": (
            CHAPTER_3,
            {**BOTH, "warmup_epochs": 0.0, "backbone": "resnet50", "deal_weight": 0.0, "cutouts": 0},
        ),
        "ExtractCams": ("eq. 3.3: one scale, no mirrored image", {"scales": (1.0,), "flip": False, "least_side": 0}),
        "ExtractKeys": (
            f"{CHAPTER_3}: ViT-Base/8 by DINO; section 3.3.1",
            {"backbone": "vit_base_patch8_224.dino", "image_scale": 1.0},
        ),
        "DiscoverSuperpixels": (
            f"eq. 3.1, table 3.1; {CHAPTER_3}: tau",
            {"units": "patches", "tau": 0.3, "seed_rule": "lowest", "centre": False, "refinement": "crf"},
        ),
        "GenerateSeeds": (
            f"{CHAPTER_3}: alpha; eqs. 3.4, 3.5",
            {"source": "cams", "alpha": 0.5, "gamma": 0.0, "background": "superpixel"},
        ),
        "TrainSegmenter": (
            CHAPTER_3,
            {
                **SEGMENTER, "backbone": "resnet101", "crop_size": 448, "scale_steps": 3, "epochs": 15,
                "warmup_epochs": 3.0, "beta_bg": 0.7, "beta_fg": 0.7, "paste": 0.0, "cutouts": 0,
            },
        ),
        "PredictMasks": (CHAPTER_3, PREDICTION),
    },
    "masking": {
        "TrainClassifier": (
            f"{CHAPTER_2}; table 2.7 D3: rates",
            {
                **BOTH, **SCALES, "scale_steps": None, "warmup_epochs": 0.0, "backbone": "vgg16", "head": "dilated",
                "block_rates": (3.0, 6.0, 9.0), "block_width": 1024, "crop_size": 321, "epochs": 50, "deal_weight": 0.0,
                "cutouts": 0,
            },
        ),
        "ExtractCams": (
            "eq. 2.4, table 2.6 S4", {"scales": (0.5, 0.75, 1.0), "fusion": "max", "flip": False, "least_side": 0}
        ),
        "LoadSaliency": (f"{CHAPTER_2}: detector [47]", {"source": "files"}),
        "RefineSaliency": (f"{CHAPTER_2}: tau 1 and tau 2", {"sure": 0.8, "doubtful": 0.3}),
        "TrainByMasking": (
            f"{CHAPTER_2}; table 2.3: paths",
            {
                **SEGMENTER, "scale_steps": None, "warmup_epochs": 0.0, "backbone": "vgg16", "crop_size": 321,
                "epochs": 30, "attention_weight": 2.0, "paths": 2,
            },
        ),
        "PredictMasks": (CHAPTER_2, PREDICTION),
    },
}  # fmt: skip
"""method -> stage -> (page or section, parameter -> value in the paper; None: the parameter is not set)."""

OPEN = {
    # amounts of the jitter; weights of the hub are ImageNet's, as in chapter 3
    ("superpixel", "TrainClassifier"): {
        "hue",
        "weights",
        "crop_size",
        "scale_min",
        "scale_max",
        "scale_steps",
        "epochs",
        "head",
        "output_stride",
    },
    ("superpixel", "ExtractKeys"): {"weights"},
    ("superpixel", "DiscoverSuperpixels"): {"crf"},
    ("superpixel", "TrainSegmenter"): {"hue", "weights"},
    ("masking", "TrainClassifier"): {"hue", "weights", "output_stride"},
    ("masking", "TrainByMasking"): {"hue", "weights"},
}
"""Parameters that a profile sets and the paper does not give; `Profile.left_open` says so."""


@pytest.mark.parametrize(("name", "paper"), [
    ("voc-superpixel", "superpixel"), ("coco-superpixel", "superpixel"),
    ("voc-masking", "masking"), ("coco-masking", "masking"),
])  # fmt: skip
def test_the_papers_constants(name, paper):
    """Every value of the profile is in the table above or is left open, and every value of the table is in it."""
    settings = PROFILES[name].settings
    assert settings.keys() == PAPERS[paper].keys()
    for stage, (source, constants) in PAPERS[paper].items():
        for parameter, value in constants.items():
            assert settings[stage].get(parameter) == value, f"{stage}.{parameter}: {source}"
        not_in_paper = settings[stage].keys() - constants.keys()
        assert not_in_paper == OPEN.get((paper, stage), set()), stage


ISL_AND_FSL = "Jonnarth, Zhang, Felsberg, arXiv 2304.02621: their settings of SEAM"
SEAM = "published code of SEAM (Wang et al., CVPR 2020)"
DEAL_PAPER = "Schmidt, Belagiannis, Nalpantidis, arXiv 2509.17702"
DEAL = {
    "TrainClassifier": {
        "head": ("seam", f"{DEAL_PAPER}: shown on SEAM"),
        "deal_edges": ("sobel", f"{DEAL_PAPER}: magnitude of the Sobel gradient"),
        "epochs": (8, ISL_AND_FSL),
        "batch_size": (8, ISL_AND_FSL),
        "learning_rate": (1e-2, ISL_AND_FSL),
        "schedule": ("poly", ISL_AND_FSL),
        "weight_decay": (5e-4, ISL_AND_FSL),
        "crop_size": (448, ISL_AND_FSL),
        "resize_side": ("long", ISL_AND_FSL),
        "resize_to": ((448.0, 768.0), ISL_AND_FSL),
        # the resize takes the place of relative scales
        "scale_min": (1.0, ISL_AND_FSL),
        "scale_max": (1.0, ISL_AND_FSL),
        "scale_steps": (0, ISL_AND_FSL),
        "warmup_epochs": (0.0, "ours, off"),
        "cutouts": (0, "ours, off"),
        **{name: (value, "ours, off") for name, value in OURS_OFF.items()},
    },
    "ExtractCams": {
        "scales": ((0.5, 1.0, 1.5, 2.0), SEAM),
        "flip": (True, SEAM),
        "least_side": (0, "ours, off"),
    },
}
"""stage -> parameter -> (value, source) of the profiles ``*-deal``. Their other stages are those of chapter 3."""

DEAL_IS_OPEN = {
    "backbone", "weights", "deal_weight", "deal_floor", "deal_span", "deal_noise_factor", "cam_normalisation",
    "optimizer", "head_factor", "output_stride", "hue",
}  # fmt: skip
"""Parameters of TrainClassifier that no source gives; `Profile.left_open` says so."""

AT_768 = {"resize_side", "resize_to"}
"""What ``hope-deal`` changes in its other stages, since its frames are large; `Profile.left_open` says so."""


@pytest.mark.parametrize("name", ["voc-deal", "coco-deal", "hope-deal"])
def test_the_constants_of_deal(name):
    """Every value of TrainClassifier and ExtractCams has a source or is left open, and every source is followed."""
    settings, is_hope = PROFILES[name].settings, name == "hope-deal"
    for stage, constants in DEAL.items():
        for parameter, (value, source) in constants.items():
            assert settings[stage].get(parameter) == value, f"{stage}.{parameter}: {source}"
        unknown = settings[stage].keys() - constants.keys()
        assert unknown == (DEAL_IS_OPEN if stage == "TrainClassifier" else AT_768 if is_hope else set()), stage
    depth = settings.get("LoadDepth")
    assert depth == (None if is_hope else {"source": "estimate"}), f"{DEAL_PAPER}: no sensor but in HOPE"
    for stage in PROFILES["voc-superpixel"].settings.keys() - DEAL.keys():
        chapter_3 = PROFILES["voc-superpixel"].settings[stage]
        own = {key: value for key, value in settings[stage].items() if not (is_hope and key in AT_768)}
        assert own == {key: value for key, value in chapter_3.items() if not (is_hope and key in AT_768)}, stage


TOLD = {
    "voc-superpixel": (
        "test scales", "best of the sweep in table 3.7 is 0.6", "eq. 3.3 has no ReLU", "tie at a mean of 0",
        "eq. 3.8 is for one image", "reference [74], IRN (section 3.4.2)",
    ),
    "voc-masking": (
        "test scales", "MS COCO: --TrainByMasking-weights FILE", "section 2.4.1 has three, but eight rates",
        "convolutionalized VGG16", "cut of the saliency map", "eq. 2.7 is for one image",
    ),
    "voc-deal": ("ResNet38", "normalisation of the edges", "ramp of the loss", "optimizer, learning rate of the head"),
    "hope-deal": ("size of the frames",),
}  # fmt: skip
"""profile -> what its open lines must name"""


def test_what_a_paper_leaves_open_is_said():
    for name, profile in PROFILES.items():
        assert bool(profile.left_open) == bool(profile.dataset) == (name not in ("small", "large"))
    for name, wanted in TOLD.items():
        told = "\n".join(PROFILES[name].left_open)
        assert [words for words in wanted if words not in told] == [], name


def test_what_is_said_of_the_defaults_is_so():
    """The lines about the ramp of DEAL and the cut of the saliency map tell defaults of the code."""
    assert (default_value(TrainClassifier.ramp_start), default_value(TrainClassifier.ramp_end)) == (1.0, 2.0)
    assert default_value(RefineSaliency.threshold) == 0.5
    for name in ("voc-deal", "coco-deal", "hope-deal"):
        assert not {"ramp_start", "ramp_end"} & PROFILES[name].settings["TrainClassifier"].keys()


def test_no_profile_of_a_paper_limits_gradients_or_sees_mirrored_images():
    for profile in PROFILES.values():
        for stage, values in profile.settings.items() if profile.dataset else ():
            if stage.startswith("Train"):
                assert values["clip_norm"] == 0
            if stage == "PredictMasks":
                assert not values["flip"]


def test_every_profile_has_a_method_and_a_data_set():
    assert {profile.method for profile in PROFILES.values()} <= set(METHODS)
    assert {profile.dataset for profile in PROFILES.values()} <= {"", *DATASETS}


def test_published_numbers_are_those_of_the_tables():
    """Tables 3.2, 3.3, 2.1 and 2.8 of S. Kim, SNU 2022, with the numbers of images of section 3.4.1."""
    assert {name: dict(profile.published) for name, profile in PROFILES.items() if profile.published} == {
        "voc-superpixel": {"val": (69.5, 1449), "test": (70.1, 1456)},
        "coco-superpixel": {"val2014": (44.8, 40504)},
        "voc-masking": {"val": (66.5, 1449), "test": (66.9, 1456)},
        "coco-masking": {"val2014": (30.2, 40504)},
    }


def test_a_profile_brings_its_method_unless_another_is_named(in_process, bop_root):
    common = {"dataset": "bop", "data_root": str(bop_root)}
    prediction = PredictMasks(**common, profile="voc-masking")
    assert prediction.method == "masking"
    assert list(map(type, prediction.required.values())) == [IndexDataset, TrainByMasking]
    assert PredictMasks(**common, profile="voc-masking", method="superpixel").method == "superpixel"
    assert PredictMasks(**common).method == "superpixel"


def test_a_paper_trains_as_many_epochs_as_it_says():
    for name, profile in PROFILES.items():
        for stage, values in profile.settings.items():
            if profile.dataset and stage.startswith("Train"):
                assert (values["least_steps"], values["rare_share"]) == (0, 0), (name, stage)


def test_the_networks_of_the_large_profile_fit_together():
    """Random weights, small images: the shapes, one training step, and the backbone of the classifier as a start."""
    large = PROFILES["large"].settings
    classifying, segmenting, keys = (large[name] for name in ("TrainClassifier", "TrainSegmenter", "ExtractKeys"))
    with torch.device("meta"):  # shapes alone
        extractor = build_key_extractor(keys["backbone"], 16)
        found = extractor(torch.zeros(1, 3, 90, 120))
        classifier = build_classifier(3, "gap", classifying["backbone"], classifying["output_stride"])
        segmenter = DeepLabAspp.build(3, segmenting["backbone"], segmenting["output_stride"], (1, 2, 4, 6))
        images, tags = torch.zeros(2, 3, 64, 96), torch.zeros(2, 3)
        output = classifier(images)
        sum(classifier.classification_losses(images, tags, output).values()).backward()
        assert segmenter(images).shape == (2, 4, 4, 6)
    assert found.shape == (1, 7, 9, 768)
    assert output.maps.shape == (2, 3, 4, 6)
    assert all(parameter.grad is not None for parameter in classifier.parameters())
    segmenter.backbone.load_state_dict(classifier.pretrained_network().state_dict(), assign=True)


def test_the_large_profile_keeps_what_is_ours(in_process, bop_root):
    common = {"dataset": "bop", "data_root": str(bop_root), "profile": "large"}
    superpixels, segmenter = DiscoverSuperpixels(**common), TrainSegmenter(**common)
    classifier = segmenter.upstream(TrainClassifier)
    assert (superpixels.units, superpixels.depth_weight > 0, segmenter.paste > 0) == ("cells", True, True)
    assert (classifier.deal_edges, classifier.deal_weight > 0) == ("curvature", True)
    assert classifier.backbone == segmenter.backbone
    assert PredictMasks(**common, precision="bf16").resolved_precision == "bf16"
