"""Class-agnostic saliency (or matting) with any network in an ONNX file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.onnx_safety import require_safe

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
"""Where onnxruntime computes. Of its other providers, some load compiled code, and one sends data to a server."""

LARGEST_SIDE = 8192
"""Side of the largest input, in pixels."""

TOLERANCE = 0.01
"""How far an output may leave [0, 1] by rounding."""


class OnnxSaliency:
    """Runs an ONNX network on whole images.

    Parameters
    ----------
    model : bytes
        Content of an ONNX file with one image input (1, 3, S, S), float32. Its first output is one map. It must not
        refer to other files or to operators that are not built in (`models.onnx_safety`).
    size : int
        S if the file does not fix it.
    mean, std : sequence of 3 floats
        Channel mean and standard deviation (RGB, of values in [0, 1]) that the network expects.
    normalise : bool
        Stretch each map to [0, 1], for networks whose output has no fixed range.

    Raises
    ------
    ImportError
        If onnx or onnxruntime is not installed.
    ValueError
        If the bytes are not an ONNX network with an image input, or refer to anything outside.
    """

    def __init__(
        self,
        model: bytes,
        size: int = 1024,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (1.0, 1.0, 1.0),
        normalise: bool = False,
    ):
        try:
            import onnxruntime

            require_safe(model)
        except ImportError as error:
            raise ImportError("ONNX networks need onnx and onnxruntime: pip install 'depthseed[onnx]'") from error
        options = onnxruntime.SessionOptions()
        options.use_deterministic_compute = True
        options.log_severity_level = 4  # it would print what the errors below say
        # As many threads as torch has, since onnxruntime does not read OMP_NUM_THREADS. Spinning threads would take
        # cores from other processes.
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.load_model_format", "ONNX")  # the format that was checked
        providers = [name for name in PROVIDERS if name in onnxruntime.get_available_providers()]
        try:
            self.session = onnxruntime.InferenceSession(model, options, providers=providers)
        except Exception as error:  # the exceptions of onnxruntime have no common base
            raise ValueError(f"is not an ONNX network ({_first_line(error)}); use another file") from error
        inputs = self.session.get_inputs()
        if len(inputs) != 1:
            raise ValueError(f"has {len(inputs)} inputs; a network with one image as input is needed")
        (source,) = inputs
        if source.type != "tensor(float)" or not _is_image(source.shape):
            raise ValueError(
                f"input is {source.type} of shape {source.shape}; an image (1, 3, S, S) of 32-bit floats with S up to "
                f"{LARGEST_SIDE} is needed"
            )
        if len(mean) != 3 or len(std) != 3:
            raise ValueError(f"needs 3 means and 3 standard deviations, not {len(mean)} and {len(std)}")
        self.name = source.name
        self.size = tuple(side if isinstance(side, int) else size for side in source.shape[2:])
        self.mean, self.std = (torch.tensor(values).view(1, 3, 1, 1) for values in (mean, std))
        self.normalise = normalise

    def __call__(self, image: Tensor) -> Tensor:
        """Saliency of one image.

        Parameters
        ----------
        image : Tensor, (3, H, W), float32 in [0, 1]

        Returns
        -------
        Tensor, (H, W), float32 in [0, 1]

        Raises
        ------
        ValueError
            If the network cannot be run, or its first output is not one map of finite numbers in [0, 1]. With
            `normalise`, the numbers may have any range.
        MemoryError
            If the network needs more memory than there is.
        """
        scaled = F.interpolate(image[None], self.size, mode="bilinear", align_corners=False, antialias=True)
        try:
            (output, *_) = self.session.run(None, {self.name: ((scaled - self.mean) / self.std).numpy()})
        except Exception as error:  # the exceptions of onnxruntime have no common base
            if "alloc" in str(error).lower():
                raise MemoryError(_first_line(error)) from error
            raise ValueError(f"cannot be run ({_first_line(error)}); use another file") from error
        found = _one_map(output)
        if self.normalise:
            low, high = found.amin(), found.amax()
            found = (found - low) / (high - low).clamp(min=1e-6)
        elif found.amin() < -TOLERANCE or found.amax() > 1 + TOLERANCE:
            raise ValueError(
                f"its map has values from {float(found.amin()):.3g} to {float(found.amax()):.3g}, not from 0 to 1; set "
                "--LoadSaliency-model-normalise true, or export it with its sigmoid"
            )
        return F.interpolate(found, image.shape[-2:], mode="bilinear", align_corners=False)[0, 0].clamp(0, 1)


def _is_image(shape: Sequence[int | str | None]) -> bool:
    """True for (1, 3, S, S) with sizes that can be used. A size that the file does not fix is a name or None."""
    if len(shape) != 4 or shape[1] != 3 or (isinstance(shape[0], int) and shape[0] != 1):
        return False
    return all(1 <= side <= LARGEST_SIDE for side in shape[2:] if isinstance(side, int))


def _one_map(output: object) -> Tensor:
    """The first output of a network as (1, 1, h, w) float32; ValueError if it is not one finite map."""
    if not isinstance(output, np.ndarray) or output.dtype.kind not in "fiub":
        raise ValueError("its first output is not a tensor of numbers; use another file")
    if output.ndim < 2 or not output.size or output.size != output.shape[-2] * output.shape[-1]:
        raise ValueError(f"its first output has shape {output.shape}; one map (1, 1, h, w) is needed")
    found = torch.from_numpy(output.astype(np.float32)).reshape(1, 1, *output.shape[-2:])
    if not found.isfinite().all():
        raise ValueError("its map has values that are not finite; check mean and standard deviation of its input")
    return found


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
