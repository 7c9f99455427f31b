"""Pictures of a network that is in training: what it sees in some training images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from data.sample import spread
from models.palette import palette
from tasks.runtime.training_images import TrainingImages

PICTURED_IMAGES = 4
"""Number of training images that are drawn after each epoch."""

LARGEST_SIDE = 512
"""Longest side of an image in a picture, in pixels."""


def network_pictures(network: Any, images: TrainingImages) -> dict[str, np.ndarray]:
    """Each of some training images beside what the network sees there. No random number is drawn.

    A segmentation network: the most probable class of each pixel, in the colours of the report. A classifier: the image
    as bright as the largest of the CAMs of its tags.

    Parameters
    ----------
    network : nn.Module
        On its device, in evaluation mode.
    images : TrainingImages

    Returns
    -------
    dict of image id -> ndarray, (H, 2 W, 3) uint8
    """
    device = next(network.parameters()).device
    found = {}
    for index in spread(images.samples, PICTURED_IMAGES):
        whole = images.whole(index)
        seen = _shrunk(whole["image"])[None].to(device)
        with torch.no_grad():
            colours = images.normalisation.undo(seen)[0].cpu()
            if hasattr(network, "predict"):
                right = _class_map(network, seen)
            else:
                right = colours * _largest_cam(network, seen, whole["tags"])
        picture = torch.cat([colours, right], -1)
        found[images.samples[index].image_id] = (picture.permute(1, 2, 0) * 255).round().byte().numpy()
    return found


def _shrunk(image: Tensor) -> Tensor:
    """An image (3, H, W) whose longer side has at most `LARGEST_SIDE` pixels."""
    scale = min(1.0, LARGEST_SIDE / max(image.shape[1:]))
    if scale == 1:
        return image
    size = [max(1, round(side * scale)) for side in image.shape[1:]]
    return F.interpolate(image[None], size=size, mode="bilinear", align_corners=False, antialias=True)[0]


def _class_map(network: Any, images: Tensor) -> Tensor:
    """The colours of the most probable classes, (3, H, W) in [0, 1]."""
    probabilities = network.predict(images, (1.0,), False)[0]
    colours = torch.from_numpy(palette(len(probabilities))).float() / 255
    return colours[probabilities.argmax(0).cpu()].permute(2, 0, 1)


def _largest_cam(network: Any, images: Tensor, tags: Tensor) -> Tensor:
    """The largest CAM value of the tags, (H, W) in [0, 1]."""
    from models.cam.extraction import extract_cams

    size = (images.shape[-2], images.shape[-1])
    return extract_cams(network, images, tags[None].to(images.device), size, (1.0,), False)[0].amax(0).cpu()
