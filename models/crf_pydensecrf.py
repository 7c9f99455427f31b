"""Mean field of the dense CRF by pydensecrf, for any number of labels in bounded memory.

pydensecrf filters each label by itself; only the softmax couples the labels. So the messages of some labels are
computed at a time. The result is equal to that of its function ``inference`` to the last bit, since functions of the
library do the same sums in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from models.crf_constants import LATTICE_BYTES, CrfConstants, group_size, pixel_blocks

WHOLE_MEMORY = 1.5e9
"""Bytes up to which the library computes all labels at once: faster, but it takes 32 bytes per label and pixel."""

Energy = Callable[[int, int, slice], np.ndarray]
"""Function (first label, end, pixels) -> unary energy of the labels at these pixels, (labels, pixels), float32."""


def beliefs_by_pydensecrf(
    image: np.ndarray, energy: Energy, num_labels: int, constants: CrfConstants
) -> Iterator[tuple[slice, np.ndarray]]:
    """Probabilities of all labels after the last step of mean field, one block of pixels after the other.

    It takes one float per label and pixel, and the lattices and buffers of one group of labels.

    Parameters
    ----------
    image : ndarray, (H, W, 3), uint8
    energy : callable
        See `Energy`. It is called once per group of labels in each step.
    num_labels : int
        At least 2.
    constants : CrfConstants

    Yields
    ------
    pixels : slice
        A block of pixels, in row-major order.
    ndarray, (num_labels, pixels of the block), float32

    Raises
    ------
    ImportError
        If pydensecrf2 is not installed.
    """
    try:
        from pydensecrf.densecrf import DenseCRF2D
    except ImportError as error:
        raise ImportError(
            "the dense CRF needs the package pydensecrf2 (pip install pydensecrf2, with a C++ compiler); "
            "or choose --DiscoverSuperpixels-units cells and --PredictMasks-crf-engine torch"
        ) from error
    height, width = image.shape[:2]
    is_whole = num_labels <= 4 or (32 * num_labels + LATTICE_BYTES) * height * width <= WHOLE_MEMORY
    group = num_labels if is_whole else group_size(num_labels, height * width)
    crf = DenseCRF2D(width, height, group)
    crf.addPairwiseGaussian(sxy=constants.gaussian_sxy, compat=constants.gaussian_compat)
    crf.addPairwiseBilateral(
        sxy=constants.bilateral_sxy,
        srgb=constants.bilateral_srgb,
        rgbim=np.array(image, order="C"),  # a copy: it refuses read-only arrays, which Pillow and Dask give
        compat=constants.bilateral_compat,
    )
    if not is_whole:
        yield from _in_groups(crf, group, energy, num_labels, height * width, constants.iterations)
        return
    everywhere = slice(0, height * width)
    crf.setUnaryEnergy(np.ascontiguousarray(energy(0, num_labels, everywhere)))
    yield everywhere, np.asarray(crf.inference(constants.iterations), np.float32)


def _in_groups(crf, group: int, energy: Energy, num_labels: int, pixels: int, iterations: int):
    """`beliefs_by_pydensecrf` with a CRF for some labels and without a unary energy."""
    values = np.empty((pixels, num_labels), np.float32)  # exponents of the softmax, then probabilities
    blocks = pixel_blocks(num_labels, pixels)
    for block in blocks:
        values[block] = _softmax(-energy(0, num_labels, block)).T
    # Without a unary energy, the first matrix of the library is zero. Unlike the two beside it, NumPy sees its values.
    beliefs, exponents, spare = (crf.startInference()[0] for _ in range(3))
    for iteration in range(iterations):
        for first in range(0, num_labels, group):
            end = min(first + group, num_labels)
            unary = np.zeros((group, pixels), np.float32)  # the last group may have fewer labels
            unary[: end - first] = energy(first, end, slice(0, pixels))
            crf.setUnaryEnergy(unary)
            np.asarray(beliefs)[: end - first] = values[:, first:end].T
            crf.stepInference(beliefs, exponents, spare)
            values[:, first:end] = np.asarray(exponents)[: end - first].T
        for block in blocks:
            found = _softmax(values[block].T)
            if iteration + 1 == iterations:
                yield block, found
            else:
                values[block] = found.T


def _softmax(exponents: np.ndarray) -> np.ndarray:
    """Softmax over labels, (L, n) -> (L, n), by the function of the library: that of NumPy differs by rounding."""
    from pydensecrf.densecrf import DenseCRF

    crf = DenseCRF(exponents.shape[1], len(exponents))
    crf.setUnaryEnergy(np.ascontiguousarray(-exponents))
    return np.asarray(crf.startInference()[0])
