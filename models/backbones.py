"""Backbones: any timm network by its timm name, as an architecture without pretrained weights."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, cast

import timm
import timm.data
import torch
from timm.models import get_deprecated_models, model_entrypoint
from torch import Tensor, nn

VIT_FAMILIES = ("timm.models.vision_transformer", "timm.models.deit")
"""timm modules of plain vision transformers."""


def is_vit(name: str) -> bool:
    """True for the timm name of a plain vision transformer.

    Examples
    --------
    >>> is_vit("vit_base_patch8_224.dino"), is_vit("resnet50")
    (True, False)
    """
    return model_entrypoint(name.split(".")[0]).__module__ in VIT_FAMILIES


def build_transformer(name: str, needs_class_token: bool = False) -> Any:
    """A plain vision transformer of timm with random weights, for images of any size.

    Its ``blocks[...].attn`` have a joint ``qkv`` layer.

    Parameters
    ----------
    name : str
    needs_class_token : bool

    Raises
    ------
    ValueError
        If its blocks have no single attention layer, or the class token that is needed is not there.
    """
    network: Any = timm.create_model(name, num_classes=0, dynamic_img_size=True)
    if not all(hasattr(block, "attn") for block in network.blocks):
        raise ValueError(
            f"the blocks of {name} have no single attention layer; choose another ViT, such as {PLAIN_VIT}"
        )
    if needs_class_token and not network.has_class_token:
        raise ValueError(f"{name} has no class token, which is needed here; choose another ViT, such as {PLAIN_VIT}")
    return network


PLAIN_VIT = "vit_small_patch16_224"
"""Name for error messages."""

WITH_STAGES = "resnet50 or tf_efficientnet_lite0"
"""Names for error messages: CNNs with stages of stride 2, 4, 8, 16 and 32, in every release of timm."""


def check_backbone(name: str) -> None:
    """Raise ValueError if timm does not know the name or its tag, or has renamed it. The message says which to use.

    Examples
    --------
    >>> check_backbone("resnet50")
    >>> check_backbone("tv_resnet50")
    Traceback (most recent call last):
    ValueError: timm has renamed backbone 'tv_resnet50'; use 'resnet50.tv_in1k'
    """
    architecture, _, tag = name.partition(".")
    if not timm.is_model(name):
        near = ", ".join(difflib.get_close_matches(architecture, timm.list_models(), n=3)) or "see timm.list_models()"
        raise ValueError(f"timm has no backbone '{name}'; did you mean: {near}?")
    renamed = get_deprecated_models()
    if architecture in renamed:  # timm has neither family nor normalisation under the old name
        raise ValueError(f"timm has renamed backbone '{name}'; use '{renamed[architecture]}'")
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError as error:  # timm.is_model does not look at the tag
        tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{architecture}.*")]
        near = ", ".join(difflib.get_close_matches(tag, tags, n=3, cutoff=0) or ["the name without a tag"])
        raise ValueError(f"timm has no weights '{tag}' of backbone '{architecture}'; did you mean: {near}?") from error


def build_backbone(name: str, output_stride: int) -> nn.Module:
    """A timm CNN that maps images (B, 3, H, W) to features (B, C, H/output_stride, W/output_stride).

    Parameters
    ----------
    name : str
        timm name, e.g. ``resnet50`` or ``tf_efficientnet_lite0``.
    output_stride : {8, 16, 32}
        Input pixels per feature cell.

    Raises
    ------
    ValueError
        If timm does not know the name or the network cannot have this stride.
    """
    check_backbone(name)
    if name.startswith("vgg"):
        return dilated_vgg(timm.create_model(name, num_classes=0, global_pool=""), output_stride)
    try:
        return timm.create_model(name, num_classes=0, global_pool="", output_stride=output_stride)
    except (TypeError, AssertionError, NotImplementedError, RuntimeError) as error:
        raise ValueError(
            f"backbone '{name}' cannot have output stride {output_stride} ({error}); choose a CNN"
        ) from error


def require_stages(network: nn.Module, name: str) -> None:
    """Raise ValueError if the installed timm cannot give the features of the stages of a network.

    Which networks have ``forward_intermediates`` depends on the release: VGG has it not in 1.0.29, but in 1.0.31.
    """
    if not hasattr(network, "forward_intermediates"):
        raise ValueError(
            f"timm {timm.__version__} cannot give the features of the stages of backbone '{name}' (it has no "
            f"forward_intermediates there); upgrade timm, or choose another CNN, such as {WITH_STAGES}"
        )


def dilated_vgg(network: nn.Module, output_stride: int) -> nn.Module:
    """Give a timm VGG an output stride, in place: remove the last pooling layers and dilate what follows them.

    As in DeepLab (Chen et al., TPAMI 2018); timm cannot do it. The fully connected layers, which have most of the
    weights, are removed, since the features do not need them.
    """
    features, vgg = cast(nn.Sequential, network.features), cast(Any, network)
    stride = dilation = 1
    for index, layer in enumerate(features):
        if isinstance(layer, nn.MaxPool2d):
            if stride == output_stride:
                features[index] = nn.Identity()
                dilation *= 2
            else:
                stride *= 2
        elif isinstance(layer, nn.Conv2d) and dilation > 1:
            layer.dilation = layer.padding = (dilation, dilation)
    for info in vgg.feature_info:
        info["reduction"] = min(info["reduction"], stride)
    vgg.pre_logits = nn.Identity()
    return network


def memory_format(network: nn.Module, device: torch.device) -> torch.memory_format:
    """The order of the values of images and weights in memory with which a network is fastest on a device.

    That is channels last, as tensor cores and CPUs want it. A GPU computes depthwise convolutions faster in the usual
    order: EfficientNet-Lite0 at output stride 8 takes 24 instead of 75 ms for 16 images of 640x480 (H200, float32).
    """
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    is_depthwise = any(module.groups == module.in_channels > 1 for module in convolutions)
    return torch.contiguous_format if device.type == "cuda" and is_depthwise else torch.channels_last


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
    """Put every batch norm into evaluation mode, with constant scale and shift. Returns `module`.

    Call it again after each ``module.train()``, which would update the running statistics again.
    """
    for child in module.modules():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            child.eval()
            child.requires_grad_(False)
    return module


def freeze_early_layers(backbone: nn.Module, stride: int) -> nn.Module:
    """Freeze the layers up to an output stride: constant parameters, batch norm in evaluation mode.

    The first layers work at the highest resolution and take most of the time of a step, but their features (edges,
    colours) change little in training. Call it again after each ``module.train()``.

    Parameters
    ----------
    backbone : nn.Module
        timm network with ``feature_info``, whose parameters are registered in forward order.
    stride : int
        Layers whose output has at most this stride are frozen; 0 = none.

    Returns
    -------
    nn.Module, `backbone`
    """
    network: Any = backbone
    last = [info["module"] for info in network.feature_info if info["reduction"] <= stride]
    if not last:
        return backbone
    modules = list(backbone.named_modules())  # in the order of the parameters; that of a VGG has none: a pooling layer
    end = max(place for place, (name, _) in enumerate(modules) if f"{name}.".startswith(f"{last[-1]}."))
    for _, module in modules[: end + 1]:
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(False)
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
    return backbone


def dense_features(backbone: nn.Module, images: Tensor) -> Tensor:
    """Feature map (B, C, h, w) of a timm CNN. Raises ValueError if the network gives tokens instead.

    A ConvNeXt normalises its features in its head, where timm does not count it among the features.
    """
    features = cast(Callable[[Tensor], Tensor], backbone.forward_features)(images)
    if features.ndim != 4:
        raise ValueError(
            f"the network gives {tuple(features.shape)}, a feature map (B, C, h, w) is needed; choose a CNN"
        )
    norm = getattr(getattr(backbone, "head", None), "norm", None)
    return features if norm is None else norm(features)
