"""Networks as the stages describe them: architecture from parameters, weights from hub, package or artifact."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import torch
from safetensors.torch import load
from torch import nn

from data.errors import SettingError
from data.sample import Sample
from data.store.artifact import Artifact
from models.backbones import build_backbone, normalisation
from models.cam import HEADS, CamClassifier
from models.features import build_key_extractor
from models.segmentation import DeepLabAspp, SuperpixelFcn
from models.segmentation.superpixel_fcn import build_encoder
from tasks.runtime.batches import Augmentation, Normalisation
from tasks.runtime.layout import padded_size
from tasks.runtime.stage import STAGE_FILE
from tasks.runtime.training_loop import MODEL
from tasks.runtime.training_stage import CLASSES
from tasks.runtime.weights import load_weights


def normalisation_of(backbone: str) -> Normalisation:
    """What the weights of a timm network expect."""
    return Normalisation(*normalisation(backbone))


def _build(builder, *arguments) -> nn.Module:
    """Call a builder of `models`; what it says of a wrong argument is meant for the user."""
    try:
        return builder(*arguments)
    except ValueError as error:
        raise SettingError(str(error)) from error


def build_classifier(stage, num_classes: int, pretrained: bool) -> CamClassifier:
    """The classifier of a TrainClassifier task; `pretrained` loads its backbone's weights."""
    classifier = _build(HEADS[stage.head], stage.backbone, stage.output_stride, num_classes)
    if pretrained:
        load_weights(classifier.pretrained_network(), stage.backbone, stage.weights)
    return classifier


def build_segmenter(stage, num_classes: int, pretrained: bool) -> DeepLabAspp:
    """The segmentation network of a TrainSegmenter task, K+1 classes."""
    backbone = _build(build_backbone, stage.backbone, stage.output_stride)
    if pretrained:
        load_weights(backbone, stage.backbone, stage.weights)
    return DeepLabAspp(backbone, num_classes + 1, [int(rate) for rate in stage.rates])


def build_fcn(stage, num_classes: int, pretrained: bool) -> SuperpixelFcn:
    """The segmentation network of a TrainCoarse task, K+1 classes."""
    encoder = _build(build_encoder, stage.backbone)
    if pretrained:
        load_weights(encoder, stage.backbone, stage.weights)
    return SuperpixelFcn(encoder, num_classes + 1, stage.upsampling)


def build_keys(stage) -> nn.Module:
    """The key extractor of an ExtractKeys task, with its weights."""
    extractor = _build(build_key_extractor, stage.backbone, stage.stride)
    load_weights(extractor.network, stage.backbone, stage.weights)
    return extractor


def load_trained(network: nn.Module, artifact: Artifact, device: torch.device) -> nn.Module:
    """Load what a training stage wrote; the network, ready for inference on the device."""
    network.load_state_dict(load(artifact.read(MODEL)))
    return network.to(device, memory_format=torch.channels_last).eval()


class TrainedModel(NamedTuple):
    """A segmentation network that needs no data set any more.

    Attributes
    ----------
    network : nn.Module
        With ``predict(images, scales, flip)``.
    class_names : list of str
    normalise : Normalisation
        What the images must pass before.
    """

    network: nn.Module
    class_names: list[str]
    normalise: Normalisation


def load_model(folder: Path, device: torch.device) -> TrainedModel:
    """The segmentation network of a training stage's artifact.

    Raises
    ------
    SettingError
        If the folder is no complete artifact of such a stage.
    """
    artifact = Artifact(folder)
    if not artifact.is_complete():
        raise SettingError(f"{folder}: is no complete artifact; --model must name the folder of a trained model")
    described = json.loads(artifact.read(STAGE_FILE))
    if described["stage"] not in SEGMENTERS:
        raise SettingError(f"{folder}: is of {described['stage']}; a model of {', '.join(SEGMENTERS)} is needed")
    class_names = json.loads(artifact.read(CLASSES))
    stage = SimpleNamespace(**described["parameters"])
    network = SEGMENTERS[described["stage"]](stage, len(class_names) - 1, pretrained=False)
    return TrainedModel(load_trained(network, artifact, device), class_names, normalisation_of(stage.backbone))


SEGMENTERS = {"TrainSegmenter": build_segmenter, "TrainByMasking": build_segmenter, "TrainCoarse": build_fcn}
"""Stage -> what builds its network from its parameters."""


def start_from_classifier(segmenter: DeepLabAspp, trained) -> None:
    """Give the segmentation network the backbone that a TrainClassifier task has learnt, in place."""
    classifier = trained.network()
    classifier.load_state_dict(load(trained.artifact.read(MODEL)))
    try:
        segmenter.backbone.load_state_dict(classifier.pretrained_network().state_dict())
    except RuntimeError as error:
        raise SettingError(
            f"the classifier's backbone {trained.backbone} does not fit the segmentation network's; "
            "give both the same, or --TrainSegmenter-start pretrained"
        ) from error


def augmentation_of(stage, samples: Sequence[Sample]) -> Augmentation:
    """The augmentation that a training stage's parameters describe."""
    crop = (stage.crop_size, stage.crop_size) if stage.crop_size else padded_size(samples)
    return Augmentation(crop, stage.scale_min, stage.scale_max, flip=True, jitter=stage.jitter, mosaic=stage.mosaic)
