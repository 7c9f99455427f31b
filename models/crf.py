"""Fully connected CRF (Kraehenbuehl and Koltun, NeurIPS 2011) by pydensecrf, or by torch on any device."""

from __future__ import annotations

import numpy as np

from models.crf_constants import ENGINES, CrfConstants


def crf_from_labels(image: np.ndarray, labels: np.ndarray, num_labels: int, constants: CrfConstants) -> np.ndarray:
    """Refine a label map by the image's colours.

    Parameters
    ----------
    image : ndarray, (H, W, 3), uint8
    labels : ndarray, (H, W), integer in [0, num_labels)
    num_labels : int
    constants : CrfConstants

    Returns
    -------
    ndarray, (H, W), int64
    """
    if num_labels < 2:
        return labels.astype(np.int64)
    wrong = -np.log((1.0 - constants.label_confidence) / (num_labels - 1))
    unary = np.full((num_labels, labels.size), wrong, np.float32)
    unary[labels.ravel(), np.arange(labels.size)] = -np.log(constants.label_confidence)
    return _infer(image, unary, constants).argmax(0).reshape(labels.shape)


def crf_from_probabilities(
    image: np.ndarray,
    probabilities: np.ndarray,
    constants: CrfConstants,
    engine: str = "pydensecrf",
    device: str = "cpu",
) -> np.ndarray:
    """Refine class probabilities by the image's colours.

    Parameters
    ----------
    image : ndarray, (H, W, 3), uint8
    probabilities : ndarray, (L, H, W), float
        One map a candidate class: pass only classes that the image may hold, time grows with L.
    constants : CrfConstants
    engine : {"pydensecrf", "torch"}
        Both use the same lattice and differ by rounding.
    device : str
        Of the torch engine.

    Returns
    -------
    ndarray, (L, H, W), float32
    """
    if len(probabilities) < 2:
        return probabilities.astype(np.float32)
    unary = -np.log(np.clip(probabilities.reshape(len(probabilities), -1), 1e-5, 1.0)).astype(np.float32)
    if engine == "torch":
        return _infer_in_torch(image, unary.reshape(probabilities.shape), constants, device)
    if engine != "pydensecrf":
        raise ValueError(f"engine must be one of {ENGINES}; got {engine!r}")
    return _infer(image, unary, constants).reshape(probabilities.shape)


def _infer_in_torch(image: np.ndarray, unary: np.ndarray, constants: CrfConstants, device: str) -> np.ndarray:
    import torch

    from models.mean_field import mean_field

    picture, energy = (torch.from_numpy(np.ascontiguousarray(values).copy()).to(device) for values in (image, unary))
    return mean_field(picture, energy, constants).cpu().numpy()


def _infer(image: np.ndarray, unary: np.ndarray, constants: CrfConstants) -> np.ndarray:
    try:
        from pydensecrf.densecrf import DenseCRF2D
    except ImportError as error:
        raise ImportError(
            "the dense CRF needs the package pydensecrf2 (pip install pydensecrf2, with a C++ compiler); "
            "without it choose --DiscoverSuperpixels-units cells and --PredictMasks-crf-engine torch"
        ) from error
    height, width = image.shape[:2]
    crf = DenseCRF2D(width, height, len(unary))
    crf.setUnaryEnergy(np.ascontiguousarray(unary))
    crf.addPairwiseGaussian(sxy=constants.gaussian_sxy, compat=constants.gaussian_compat)
    crf.addPairwiseBilateral(
        sxy=constants.bilateral_sxy,
        srgb=constants.bilateral_srgb,
        rgbim=np.array(image, order="C"),  # a copy: it refuses read-only arrays, as Pillow and Dask give them
        compat=constants.bilateral_compat,
    )
    return np.asarray(crf.inference(constants.iterations), np.float32)
