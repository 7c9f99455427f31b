"""Keys of objects: each object is cut out at its own scale and seen by a pretrained network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data.errors import SettingError
from models.features import PatchFeatures, build_key_extractor
from models.object_crops import crop_object, object_keys
from tasks.runtime.networks import normalisation_of
from tasks.runtime.precision import as_float32
from tasks.runtime.tensors import Normalisation
from tasks.runtime.weights import load_weights

AT_ONCE = 16
"""Objects in a batch."""


@dataclass(frozen=True)
class Description:
    """How objects are described: the parameters of `tasks.build_templates.BuildTemplates` of the same names."""

    backbone: str
    weights: str
    stride: int
    pooling: str
    crop_size: int
    margin: float
    suppress: bool


class Describer:
    """Computes the keys of objects.

    Parameters
    ----------
    description : Description
    device : torch.device

    Raises
    ------
    SettingError
        If the network cannot be built.
    WeightsError
        If its weights are not available.
    """

    def __init__(self, description: Description, device: torch.device):
        torch.manual_seed(0)  # for weights=random
        try:
            network = build_key_extractor(description.backbone, description.stride)
        except ValueError as error:
            raise SettingError(str(error)) from error
        load_weights(network.network, description.backbone, description.weights)
        self.description, self.device = description, device
        self.network: PatchFeatures = network.to(device).eval()
        self.normalise: Normalisation = normalisation_of(description.backbone)

    def __call__(self, image: Tensor, instances: np.ndarray) -> np.ndarray:
        """Keys of the instances 1..N of an image.

        Parameters
        ----------
        image : Tensor, (3, H, W), float in [0, 1], on the CPU
        instances : ndarray, (H, W), integer
            1..N without gaps, 0 = none.

        Returns
        -------
        ndarray, (N, P, D), float32
            `models.object_crops.object_keys`.
        """
        count = int(instances.max(initial=0))
        parts = [self._keys(image, instances, range(first, min(first + AT_ONCE, count + 1)))
                 for first in range(1, count + 1, AT_ONCE)]  # fmt: skip
        return np.concatenate(parts) if parts else np.zeros((0, 1, self.network.dim), np.float32)

    def _keys(self, image: Tensor, instances: np.ndarray, numbers: range) -> np.ndarray:
        crops, weights = map(torch.stack, zip(*self._crops(image, instances, numbers), strict=True))
        with torch.inference_mode():
            features = as_float32(self.network(self.normalise(crops.to(self.device))))
            return object_keys(features.cpu(), weights, self.description.pooling).numpy()

    def _crops(self, image: Tensor, instances: np.ndarray, numbers: range) -> Iterator[tuple[Tensor, Tensor]]:
        described = self.description
        for number in numbers:
            mask = instances == number
            yield crop_object(
                image, mask, described.crop_size, described.margin, described.suppress, self.normalise.mean
            )
