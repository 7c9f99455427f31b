"""Networks by name, built from their settings, and the normalisation that their weights expect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data.errors import SettingError
from models.backbones import normalisation
from models.cam import build_classifier
from models.segmentation import build_segmenter
from tasks.runtime.tensors import Normalisation
from tasks.runtime.weights import load_weights

CLASSIFIER = "classifier"
"""Name of the classifiers with CAMs; the other names are those of `models.segmentation.NETWORKS`."""


def build_network(network: str, num_classes: int, settings: Mapping[str, Any]) -> Any:
    """A network without weights.

    Parameters
    ----------
    network : str
        `CLASSIFIER`, or a name of `models.segmentation.NETWORKS`.
    num_classes : int
        Foreground classes K.
    settings : dict
        Keywords of `models.cam.build_classifier` or `models.segmentation.build_segmenter`.

    Raises
    ------
    SettingError
        If a name is unknown or a setting is wrong.
    """
    try:
        if network == CLASSIFIER:
            return build_classifier(num_classes, **settings)
        return build_segmenter(num_classes, network, **settings)
    except ValueError as error:
        raise SettingError(str(error)) from error


def pretrained(network: Any, backbone: str, weights: str) -> Any:
    """Load pretrained weights into the backbone of a network, in place. Returns the network.

    Raises
    ------
    WeightsError
        If the weights are not available or do not fit.
    """
    load_weights(network.pretrained_network(), backbone, weights)
    return network


def compiled(network: Any, wanted: bool) -> Any:
    """Compile a network in place by `torch.compile`, if it is wanted. Returns the network.

    Its first call compiles. Sizes that differ are compiled once more, with sizes as variables.
    """
    if wanted:
        network.compile()
    return network


def normalisation_of(backbone: str) -> Normalisation:
    """The normalisation that the pretrained weights of a timm network expect."""
    return Normalisation(*normalisation(backbone))
