"""Mean field of the dense CRF by pydensecrf, for any number of labels in bounded memory.

pydensecrf filters each label by itself; only the softmax couples the labels. So the messages of some labels are
computed at a time. The result is equal to that of its function ``inference`` to the last bit: the same functions of the
library do the same sums in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from models.crf_constants import BLOCK_VALUES, CrfConstants, group_size

Energy = Callable[[int, int, slice], np.ndarray]
"""Function (first label, end, pixels) -> unary energy, (labels, pixels), float32, in the order of the memory."""


def beliefs_by_pydensecrf(
    image: np.ndarray, energy: Energy, num_labels: int, constants: CrfConstants
) -> Iterator[tuple[slice, np.ndarray]]:
    """Probabilities of all labels after the last step of mean field.

    Memory: one float per label and pixel, and the lattices and buffers of one group of labels.

    Parameters
    ----------
    image : ndarray, (H, W, 3), uint8
    energy : callable
        See `Energy`. It is called for each group of labels in each step.
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
        from pydensecrf.densecrf import DenseCRF, DenseCRF2D
    except ImportError as error:
        raise ImportError(
            "the dense CRF needs the package pydensecrf2 (pip install pydensecrf2, with a C++ compiler); "
            "or choose --DiscoverSuperpixels-units cells and --PredictMasks-crf-engine torch"
        ) from error
    height, width = image.shape[:2]
    every = slice(0, height * width)
    group = group_size(num_labels, height * width)
    crf = DenseCRF2D(width, height, group)
    crf.addPairwiseGaussian(sxy=constants.gaussian_sxy, compat=constants.gaussian_compat)
    crf.addPairwiseBilateral(
        sxy=constants.bilateral_sxy,
        srgb=constants.bilateral_srgb,
        rgbim=np.array(image, order="C"),  # a copy: it refuses read-only arrays, which Pillow and Dask give
        compat=constants.bilateral_compat,
    )
    if group == num_labels:
        crf.setUnaryEnergy(energy(0, num_labels, every))
        yield every, np.asarray(crf.inference(constants.iterations), np.float32)
        return

    def normalised(exponents: np.ndarray) -> np.ndarray:
        """Softmax over labels, (L, n) -> (L, n), by the function of the library: NumPy's differs by rounding."""
        pixels = DenseCRF(exponents.shape[1], num_labels)
        pixels.setUnaryEnergy(-exponents)
        return np.asarray(pixels.startInference()[0])

    beliefs = np.empty((height * width, num_labels), np.float32)
    blocks = [slice(start, start + step) for step in [max(1, BLOCK_VALUES // num_labels)] for start in range(0, len(beliefs), step)]
    for block in blocks:
        beliefs[block] = normalised(-energy(0, num_labels, block)).T
    # Without a unary energy, the library returns zeros. Unlike the buffers that it returns beside them, these matrices
    # show their values to NumPy.
    here, exponents, spare = (crf.startInference()[0] for _ in range(3))
    for iteration in range(constants.iterations):
        for first in range(0, num_labels, group):
            end = min(first + group, num_labels)
            unary = np.zeros((group, len(beliefs)), np.float32)  # the last group may have fewer labels
            unary[: end - first] = energy(first, end, every)
            crf.setUnaryEnergy(unary)
            np.asarray(here)[: end - first] = beliefs[:, first:end].T
            crf.stepInference(here, exponents, spare)
            beliefs[:, first:end] = np.asarray(exponents)[: end - first].T  # from here on, exponents of these labels
        for block in blocks:
            found = normalised(np.ascontiguousarray(beliefs[block].T))
            if iteration + 1 == constants.iterations:
                yield block, found
            else:
                beliefs[block] = found.T
