"""Fully connected CRF (Kraehenbuehl and Koltun, NeurIPS 2011), with pydensecrf or with torch on any device.

Memory is bounded, whatever the size of the image and the number of labels: a process takes less than 3 GB, besides the
maps that it is given and torch itself. A problem that needs more is solved on a smaller image (`crf_scale`). All others
are solved as they are.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from models.crf_constants import ENGINES, LATTICE_BYTES, CrfConstants
from models.crf_pydensecrf import beliefs_by_pydensecrf

MEMORY = 1.9e9
"""Bytes that the probabilities and the lattices may take. Buffers of a fixed size come to them."""


def crf_scale(size: tuple[int, int], num_labels: int) -> float:
    """The scale at which the CRF sees an image: 1, or less if the problem needs more than `MEMORY`.

    Parameters
    ----------
    size : (height, width) in pixels
    num_labels : int

    Examples
    --------
    >>> crf_scale((480, 640), 1300), crf_scale((1080, 1920), 21)
    (1.0, 1.0)
    >>> round(crf_scale((3000, 4000), 21), 2), round(crf_scale((3000, 4000), 1000), 2)
    (0.45, 0.18)
    """
    pixels = MEMORY / (4 * num_labels + LATTICE_BYTES)
    return min(1.0, math.sqrt(pixels / (size[0] * size[1])))


def crf_from_labels(
    image: np.ndarray, labels: np.ndarray, num_labels: int, constants: CrfConstants, engine: str = "pydensecrf"
) -> np.ndarray:
    """Refine a label map with the colours of the image.

    If `crf_scale` is below 1, borders are found on the smaller image: each of its pixels stands for a square of the
    image, and regions smaller than that may vanish.

    Parameters
    ----------
    image : ndarray, (H, W, 3), uint8
    labels : ndarray, (H, W), integer in [0, num_labels)
    num_labels : int
    constants : CrfConstants
    engine : a name of `models.crf_constants.ENGINES`

    Returns
    -------
    ndarray, (H, W), int64

    Raises
    ------
    ImportError
        If pydensecrf2 is not installed.

    Examples
    --------
    >>> from models.crf_constants import CRF_PRESETS, installed_engine
    >>> image, labels = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.int64)
    >>> image[:, 4:], labels[:, 3:] = 255, 1  # the labels change one column before the colours
    >>> crf_from_labels(image, labels, 2, CRF_PRESETS["irn"], installed_engine())[0].tolist()
    [0, 0, 0, 0, 1, 1, 1, 1]
    """
    if num_labels < 2:
        return labels.astype(np.int64)
    constants = constants.fitting(labels.shape)
    scale = crf_scale(labels.shape, num_labels)
    if scale < 1:
        size = _scaled(labels.shape, scale)
        small = crf_from_labels(_shrunk(image, size), _nearest(labels, size), num_labels, constants.at(scale), engine)
        return _nearest(small, labels.shape)
    given = labels.ravel()
    right = -math.log(constants.label_confidence)
    wrong = -math.log((1.0 - constants.label_confidence) / (num_labels - 1))
    if _is_torch(engine):
        from models.mean_field import labels_by_torch

        return labels_by_torch(image, given, num_labels, (right, wrong), constants).reshape(labels.shape)

    def energy(first: int, end: int, pixels: slice) -> np.ndarray:
        here = given[pixels]
        unary = np.full((end - first, len(here)), wrong, np.float32)
        inside = np.flatnonzero((here >= first) & (here < end))
        unary[here[inside] - first, inside] = right
        return unary

    refined = np.empty(given.shape, np.int64)
    for pixels, beliefs in beliefs_by_pydensecrf(image, energy, num_labels, constants):
        refined[pixels] = beliefs.argmax(0)
    return refined.reshape(labels.shape)


def crf_from_probabilities(
    image: np.ndarray,
    probabilities: np.ndarray,
    constants: CrfConstants,
    engine: str = "pydensecrf",
    device: str = "cpu",
) -> np.ndarray:
    """Refine class probabilities with the colours of the image.

    If `crf_scale` is below 1, the mean probabilities of a smaller image are refined and enlarged (bilinear).

    Parameters
    ----------
    image : ndarray, (H, W, 3), uint8
    probabilities : ndarray, (L, H, W), float
        One map per candidate class. Pass only classes that the image may have: time grows with L.
    constants : CrfConstants
    engine : {"pydensecrf", "torch"}
        Both use the same lattice and differ by rounding.
    device : str
        Device of the torch engine.

    Returns
    -------
    ndarray, (L, H, W), float32

    Raises
    ------
    ImportError
        If the engine is pydensecrf and pydensecrf2 is not installed.
    ValueError
        If the engine is unknown.

    Examples
    --------
    >>> from models.crf_constants import CRF_PRESETS, installed_engine
    >>> image, probabilities = np.zeros((8, 8, 3), np.uint8), np.full((2, 8, 8), 0.2)
    >>> image[:, 4:] = 255
    >>> probabilities[0, :, :3] = probabilities[1, :, 3:] = 0.8  # the classes change one column before the colours
    >>> crf_from_probabilities(image, probabilities, CRF_PRESETS["irn"], installed_engine()).argmax(0)[0].tolist()
    [0, 0, 0, 0, 1, 1, 1, 1]
    """
    count, *size = probabilities.shape
    if count < 2:
        return probabilities.astype(np.float32)
    constants = constants.fitting(size)
    scale = crf_scale((size[0], size[1]), count)
    if scale < 1:
        less = _scaled((size[0], size[1]), scale)
        small = np.stack([_resized(values, less, Image.Resampling.BOX) for values in probabilities])
        found = crf_from_probabilities(_shrunk(image, less), small, constants.at(scale), engine, device)
        return np.stack([_resized(values, (size[0], size[1]), Image.Resampling.BILINEAR) for values in found])
    flat = probabilities.reshape(count, -1)

    def energy(first: int, end: int, pixels: slice) -> np.ndarray:
        return -np.log(np.clip(flat[first:end, pixels], 1e-5, 1.0)).astype(np.float32)

    if _is_torch(engine):
        import torch

        from models.mean_field import mean_field

        unary = torch.from_numpy(energy(0, count, slice(None))).view(probabilities.shape).to(device)
        picture = torch.from_numpy(np.ascontiguousarray(image).copy()).to(device)
        return mean_field(picture, unary, constants).cpu().numpy()
    refined = np.empty(flat.shape, np.float32)
    for pixels, beliefs in beliefs_by_pydensecrf(image, energy, count, constants):
        refined[:, pixels] = beliefs
    return refined.reshape(probabilities.shape)


def _is_torch(engine: str) -> bool:
    """Whether torch is the engine. It is imported only then: processes that use pydensecrf do not load it."""
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {ENGINES}; got {engine!r}")
    return engine == "torch"


def _scaled(size: tuple[int, ...], scale: float) -> tuple[int, int]:
    """Height and width at a scale, rounded down, at least 1."""
    height, width = (max(1, int(side * scale)) for side in size)
    return height, width


def _shrunk(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image (H, W, 3), uint8, of a smaller size (mean colours)."""
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BOX))


def _resized(values: np.ndarray, size: tuple[int, int], how: Image.Resampling) -> np.ndarray:
    """A map (H, W), float, of another size, float32."""
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize(size[::-1], how))


def _nearest(labels: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """A label map (H, W) of another size: the label at the centre of each new pixel."""
    rows, columns = (((np.arange(new) + 0.5) * old / new).astype(np.intp) for new, old in zip(size, labels.shape))
    return labels[rows[:, None], columns]
