"""Keys of objects: each object is cut out at its own scale and seen by a pretrained network."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data.errors import SettingError
from models.features import PatchFeatures, build_key_extractor
from models.object_crops import crop_object, object_keys
from tasks.runtime.networks import normalisation_of
from tasks.runtime.precision import as_float32, autocast
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
    precision : str
        ``32`` or ``bf16`` (`tasks.runtime.precision`), of the network alone: objects are cut out and pooled in float32.

    Raises
    ------
    SettingError
        If the network cannot be built.
    WeightsError
        If its weights are not available.
    """

    def __init__(self, description: Description, device: torch.device, precision: str):
        torch.manual_seed(0)  # for weights=random
        try:
            network = build_key_extractor(description.backbone, description.stride)
        except ValueError as error:
            raise SettingError(str(error)) from error
        load_weights(network.network, description.backbone, description.weights)
        self.description, self.device, self.precision = description, device, precision
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
        masks = ((image, instances == number) for number in range(1, int(instances.max(initial=0)) + 1))
        pooling = self.description.pooling
        keys = [object_keys(features, shares, pooling).numpy() for features, shares in self.cells(masks)]
        return np.concatenate(keys) if keys else np.zeros((0, 1, self.network.dim), np.float32)

    def cells(self, objects: Iterable[tuple[Tensor, np.ndarray]]) -> Iterator[tuple[Tensor, Tensor]]:
        """What the network says of objects before it is pooled, `AT_ONCE` objects at a time.

        Parameters
        ----------
        objects : iterable of (Tensor (3, H, W) float in [0, 1] on the CPU, ndarray (H, W) bool)
            Image and mask of each object.

        Yields
        ------
        features : Tensor, (n, h, w, D), float32, on the CPU
        shares : Tensor, (n, S, S), float32
            Shares of the pixels in the mask: `models.object_crops.crop_object`.
        """
        described, mean = self.description, self.normalise.mean
        crops = (
            crop_object(image, mask, described.crop_size, described.margin, described.suppress, mean)
            for image, mask in objects
        )
        while batch := list(itertools.islice(crops, AT_ONCE)):
            seen, shares = map(torch.stack, zip(*batch, strict=True))
            with torch.inference_mode(), autocast(self.device, self.precision):
                features = as_float32(self.network(self.normalise(seen.to(self.device)))).cpu()
            yield features, shares
