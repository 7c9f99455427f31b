"""What a training stage writes, and the one way from there to the trained network. Torch is loaded with the network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from data.errors import SettingError
from data.store.artifact import Artifact, write_json
from models.segmentation import NETWORKS

if TYPE_CHECKING:
    import torch

    from tasks.runtime.tensors import Normalisation

MODEL = "model.safetensors"
HISTORY = "history.json"
"""Losses of every epoch."""

DESCRIPTION = "model.json"
"""Beside the weights: what builds the network again, names of the classes, normalisation, training size."""


class TrainedModel(NamedTuple):
    """A network as a training stage wrote it. It needs neither the data set nor luigi.

    Attributes
    ----------
    network : nn.Module
        On its device, ready for inference. A segmentation network has ``predict(images, scales, flip)``.
    class_names : tuple of str
        Number 0 is the background.
    normalise : Normalisation
        What the images must pass before.
    size : (height, width)
        Of the images in training, in pixels.
    """

    network: Any
    class_names: tuple[str, ...]
    normalise: Normalisation
    size: tuple[int, int]


class TrainedArtifact(Artifact):
    """What a training stage writes: weights, history and `DESCRIPTION`."""

    def describe(
        self, network: str, settings: Mapping[str, Any], class_names: Sequence[str], backbone: str, size
    ) -> None:
        """Write what `load` needs beside the weights."""
        from models.backbones import normalisation

        mean, std = normalisation(backbone)
        content = {
            "network": network,
            "settings": dict(settings),
            "class_names": list(class_names),
            "mean": list(mean),
            "std": list(std),
            "size": list(size),
        }
        write_json(self.path / DESCRIPTION, content)

    def load_segmenter(self, device: torch.device) -> TrainedModel:
        """`load`, for a segmentation network.

        Raises
        ------
        SettingError
            Also if the network is a classifier.
        """
        model = self.load(device)
        if not hasattr(model.network, "predict"):
            raise SettingError(
                f"{self.path}: is a classifier; a segmentation network is needed ({', '.join(NETWORKS)}), as "
                "TrainSegmenter, TrainByMasking and TrainCoarse train it"
            )
        return model

    def load(self, device: torch.device) -> TrainedModel:
        """The trained network: the one way to it.

        Raises
        ------
        SettingError
            If the folder is not a complete artifact of a training stage.
        DamagedArtifactError
            If a file is not what was written.
        """
        import torch
        from safetensors.torch import load

        from tasks.runtime.networks import build_network
        from tasks.runtime.tensors import Normalisation

        if not self.is_complete() or not (self.path / DESCRIPTION).is_file():
            raise SettingError(
                f"{self.path}: is not a complete artifact of a training stage; name the folder of a trained model"
            )
        described = json.loads(self.read(DESCRIPTION))
        network: Any = build_network(described["network"], len(described["class_names"]) - 1, described["settings"])
        network.load_state_dict(load(self.read(MODEL)))
        return TrainedModel(
            network.to(device, memory_format=torch.channels_last).eval(),
            tuple(described["class_names"]),
            Normalisation(tuple(described["mean"]), tuple(described["std"])),
            tuple(described["size"]),
        )
