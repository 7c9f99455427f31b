"""Fully connected CRF (Kraehenbuehl and Koltun, NeurIPS 2011), with pydensecrf or with torch on any device."""

from __future__ import annotations

import numpy as np

from models.crf_constants import ENGINES, CrfConstants


def crf_from_labels(
    image: np.ndarray, labels: np.ndarray, num_labels: int, constants: CrfConstants, engine: str = "pydensecrf"
) -> np.ndarray:
    """Refine a label map with the colours of the image.

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
    wrong = -np.log((1.0 - constants.label_confidence) / (num_labels - 1))
    unary = np.full((num_labels, labels.size), wrong, np.float32)
    unary[labels.ravel(), np.arange(labels.size)] = -np.log(constants.label_confidence)
    unary = unary.reshape(num_labels, *labels.shape)
    return _infer(image, unary, constants, engine, "cpu").argmax(0)


def crf_from_probabilities(
    image: np.ndarray,
    probabilities: np.ndarray,
    constants: CrfConstants,
    engine: str = "pydensecrf",
    device: str = "cpu",
) -> np.ndarray:
    """Refine class probabilities with the colours of the image.

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
    if len(probabilities) < 2:
        return probabilities.astype(np.float32)
    unary = -np.log(np.clip(probabilities, 1e-5, 1.0)).astype(np.float32)
    return _infer(image, unary, constants, engine, device)


def _infer(image: np.ndarray, unary: np.ndarray, constants: CrfConstants, engine: str, device: str) -> np.ndarray:
    """Probabilities (L, H, W) from the unary energy (L, H, W)."""
    if engine == "torch":
        return _infer_in_torch(image, unary, constants, device)
    if engine != "pydensecrf":
        raise ValueError(f"engine must be one of {ENGINES}; got {engine!r}")
    return _infer_by_pydensecrf(image, unary.reshape(len(unary), -1), constants).reshape(unary.shape)


def _infer_in_torch(image: np.ndarray, unary: np.ndarray, constants: CrfConstants, device: str) -> np.ndarray:
    import torch  # here: processes that use pydensecrf do not load torch

    from models.mean_field import mean_field

    picture, energy = (torch.from_numpy(np.ascontiguousarray(values).copy()).to(device) for values in (image, unary))
    return mean_field(picture, energy, constants).cpu().numpy()


def _infer_by_pydensecrf(image: np.ndarray, unary: np.ndarray, constants: CrfConstants) -> np.ndarray:
    try:
        from pydensecrf.densecrf import DenseCRF2D
    except ImportError as error:
        raise ImportError(
            "the dense CRF needs the package pydensecrf2 (pip install pydensecrf2, with a C++ compiler); "
            "or choose --DiscoverSuperpixels-units cells and --PredictMasks-crf-engine torch"
        ) from error
    height, width = image.shape[:2]
    crf = DenseCRF2D(width, height, len(unary))
    crf.setUnaryEnergy(np.ascontiguousarray(unary))
    crf.addPairwiseGaussian(sxy=constants.gaussian_sxy, compat=constants.gaussian_compat)
    crf.addPairwiseBilateral(
        sxy=constants.bilateral_sxy,
        srgb=constants.bilateral_srgb,
        rgbim=np.array(image, order="C"),  # a copy: it refuses read-only arrays, which Pillow and Dask give
        compat=constants.bilateral_compat,
    )
    return np.asarray(crf.inference(constants.iterations), np.float32)
