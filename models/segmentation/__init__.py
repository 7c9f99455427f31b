"""Segmentation networks by name."""

from __future__ import annotations

from typing import Any

from models.registry import export, load

NETWORKS: dict[str, str] = {
    "deeplab_aspp": "models.segmentation.deeplab:DeepLabAspp",
    "superpixel_fcn": "models.segmentation.superpixel_fcn:SuperpixelFcn",
}
"""name -> network with ``build(num_classes, **settings)`` and ``predict(images, scales, flip)``."""


def build_segmenter(num_classes: int, network: str, **settings: Any) -> Any:
    """A segmentation network of K+1 classes, background included, without weights.

    Parameters
    ----------
    num_classes : int
        Foreground classes K.
    network : a name of `NETWORKS`
    settings
        The keywords of its ``build``.

    Raises
    ------
    ValueError
        If a name is unknown or the backbone cannot be used.
    """
    return load(NETWORKS, network).build(num_classes, **settings)


def __getattr__(name: str) -> Any:
    return export(NETWORKS.values(), __name__, name)
