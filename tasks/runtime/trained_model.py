"""What a training stage writes, and how the trained network is loaded from it. Torch is imported only then."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from data.errors import SettingError
from data.store.artifact import Artifact, write_json
from models.segmentation import NETWORKS

if TYPE_CHECKING:
    import torch

    from tasks.runtime.tensors import Normalisation

MODEL = "model.safetensors"
"""File of the weights."""

HISTORY = "history.json"
"""File of the mean losses of every epoch."""

DESCRIPTION = "model.json"
"""File of everything else about a model: builder and its settings, class names, normalisation, training size."""


class TrainedModel(NamedTuple):
    """A trained network and what is needed to use it. It needs neither the data set nor luigi.

    Attributes
    ----------
    network : nn.Module
        On its device, in evaluation mode. A segmentation network has ``predict(images, scales, flip)``.
    class_names : tuple of str
        Names of the classes 0..K; class 0 is the background if the data set has one.
    normalise : Normalisation
        Normalisation of the images before the network.
    size : (height, width)
        Size of the training crops in pixels.
    """

    network: Any
    class_names: tuple[str, ...]
    normalise: Normalisation
    size: tuple[int, int]


class TrainedArtifact(Artifact):
    """What a training stage writes: the files `MODEL`, `HISTORY` and `DESCRIPTION`."""

    def is_trained(self) -> bool:
        """True if all files are there: the training has ended, though the artifact may not be finished."""
        return all((self.path / name).exists() for name in (MODEL, HISTORY, DESCRIPTION))

    def describe(
        self, network: str, settings: Mapping[str, Any], class_names: Sequence[str], backbone: str, size
    ) -> None:
        """Write what `load` needs in addition to the weights.

        Parameters
        ----------
        network : str
            Name of the network (`tasks.runtime.networks.build_network`).
        settings : dict
            Keywords of its builder.
        class_names : sequence of str
            Names of the classes 0..K.
        backbone : str
            timm name, for the normalisation.
        size : (height, width)
            Size of the training crops in pixels.
        """
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

    def require_trained(self) -> str:
        """The digest of the artifact; SettingError if the folder is not a complete artifact of a training stage."""
        if not self.is_complete() or not (self.path / DESCRIPTION).is_file():
            raise SettingError(
                f"{self.path}: is not a complete artifact of a training stage; name the folder of a trained model"
            )
        return cast(str, self.digest())

    def class_names(self) -> tuple[str, ...]:
        """Names of the classes 0..K that the network knows; DamagedArtifactError if the file is damaged."""
        return tuple(json.loads(self.read(DESCRIPTION))["class_names"])

    def load_segmenter(self, device: torch.device) -> TrainedModel:
        """Same as `load`, for a folder that the user names as a segmentation network.

        Raises
        ------
        SettingError
            If the folder is not a complete artifact of a training stage, or the network is a classifier.
        DamagedArtifactError
            If a file is not what was written.
        """
        self.require_trained()
        model = self.load(device)
        if not hasattr(model.network, "predict"):
            raise SettingError(
                f"{self.path}: is a classifier; name the folder of a segmentation network ({', '.join(NETWORKS)}), "
                "which TrainSegmenter, TrainByMasking or TrainCoarse has trained"
            )
        return model

    def load(self, device: torch.device) -> TrainedModel:
        """Load the trained network onto a device. All users of a trained network load it with this function.

        Raises
        ------
        DamagedArtifactError
            If a file is missing or not what was written.
        """
        from safetensors.torch import load

        from models.backbones import memory_format
        from tasks.runtime.networks import build_network
        from tasks.runtime.tensors import Normalisation

        described = json.loads(self.read(DESCRIPTION))
        network: Any = build_network(described["network"], len(described["class_names"]) - 1, described["settings"])
        network.load_state_dict(load(self.read(MODEL)))
        return TrainedModel(
            network.to(device, memory_format=memory_format(network, device)).eval(),
            tuple(described["class_names"]),
            Normalisation(tuple(described["mean"]), tuple(described["std"])),
            tuple(described["size"]),
        )
