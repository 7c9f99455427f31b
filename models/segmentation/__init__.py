"""Segmentation networks, one file per network.

``from models.segmentation import DeepLabAspp`` works for every class below. The modules are imported on demand.
"""

from __future__ import annotations

from typing import Any

from models.registry import export, load

NETWORKS: dict[str, str] = {
    "deeplab_aspp": "models.segmentation.deeplab:DeepLabAspp",
    "superpixel_fcn": "models.segmentation.superpixel_fcn:SuperpixelFcn",
}
"""name -> network class.

A network has ``build(num_classes, backbone, **settings)``, whose settings have defaults, and
``predict(images, scales, flip)``, which gives probabilities. Its ``forward`` gives class logits (B, K+1, h, w), or a
named tuple with ``logits``. ``pretrained_network()`` is the timm network that carries the pretrained weights.
"""


def build_segmenter(num_classes: int, network: str, **settings: Any) -> Any:
    """A segmentation network of K+1 classes, background included, without pretrained weights.

    Parameters
    ----------
    num_classes : int
        Foreground classes K.
    network : a name of `NETWORKS`
    settings
        The keywords of the network's ``build``: ``backbone`` (timm name) and its own.

    Raises
    ------
    ValueError
        If a name is unknown or the backbone cannot be used.

    Examples
    --------
    >>> import torch
    >>> network = build_segmenter(3, "deeplab_aspp", backbone="test_efficientnet")
    >>> network(torch.zeros(1, 3, 64, 96)).shape
    torch.Size([1, 4, 4, 6])
    """
    return load(NETWORKS, network).build(num_classes, **settings)


def __getattr__(name: str) -> Any:
    return export(NETWORKS.values(), __name__, name)
