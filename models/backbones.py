"""Backbones: any timm network by its timm name, as an architecture without weights."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import cast

import timm
import timm.data
from torch import Tensor, nn


def check_backbone(name: str) -> None:
    """Raise ValueError with the nearest names if timm does not know `name`."""
    known = timm.list_models()
    if name.split(".")[0] not in known:
        near = ", ".join(difflib.get_close_matches(name.split(".")[0], known, n=3)) or "see timm.list_models()"
        raise ValueError(f"timm has no backbone '{name}'; did you mean: {near}?")


def build_backbone(name: str, output_stride: int) -> nn.Module:
    """A timm CNN that maps images (B, 3, H, W) to features (B, C, H/output_stride, W/output_stride).

    Parameters
    ----------
    name : str
        timm name, e.g. ``resnet50`` or ``tf_efficientnet_lite0``.
    output_stride : {8, 16, 32}
        Input pixels a feature cell.

    Raises
    ------
    ValueError
        If timm does not know the name or the network cannot have this stride.
    """
    check_backbone(name)
    try:
        return timm.create_model(name, num_classes=0, global_pool="", output_stride=output_stride)
    except (TypeError, AssertionError, NotImplementedError, RuntimeError) as error:
        raise ValueError(
            f"backbone '{name}' cannot have output stride {output_stride} ({error}); choose a CNN"
        ) from error


def num_features(backbone: nn.Module) -> int:
    """Channels of the feature map."""
    return cast(int, backbone.num_features)


def normalisation(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Channel mean and standard deviation (RGB, range [0, 1]) that the network's weights expect."""
    check_backbone(name)
    config = timm.get_pretrained_cfg(name)
    if config is None:
        return timm.data.IMAGENET_DEFAULT_MEAN, timm.data.IMAGENET_DEFAULT_STD
    return tuple(config.mean), tuple(config.std)


def freeze_batch_norm(module: nn.Module) -> nn.Module:
    """Put every batch-norm into evaluation mode with constant scale and shift; returns `module`.

    Call it again after each ``module.train()``, which would thaw the running statistics.
    """
    for child in module.modules():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            child.eval()
            child.requires_grad_(False)
    return module


def dense_features(backbone: nn.Module, images: Tensor) -> Tensor:
    """Feature map (B, C, h, w) of a timm CNN; ValueError if the network gives tokens instead."""
    features = cast(Callable[[Tensor], Tensor], backbone.forward_features)(images)
    if features.ndim != 4:
        raise ValueError(
            f"a feature map (B, C, h, w) is needed, the network gives {tuple(features.shape)}; choose a CNN"
        )
    return features
