"""Class-agnostic saliency (or matting) with any network in an ONNX file."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


class OnnxSaliency:
    """Runs an ONNX network on whole images.

    Parameters
    ----------
    model : bytes
        Content of an ONNX file with one image input (1, 3, S, S). Its first output is one map.
    size : int
        S if the file does not fix it.
    mean, std : sequence of 3 floats
        Channel mean and standard deviation (RGB, of values in [0, 1]) that the network expects.
    normalise : bool
        Stretch each map to [0, 1], for networks whose output has no fixed range.

    Raises
    ------
    ImportError
        If onnxruntime is not installed.
    ValueError
        If the bytes are not an ONNX network with an image input.
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
        except ImportError as error:
            raise ImportError("ONNX networks need onnxruntime: pip install 'depthseed[onnx]'") from error
        options = onnxruntime.SessionOptions()
        options.use_deterministic_compute = True
        options.log_severity_level = 3
        # As many threads as torch has, since onnxruntime does not read OMP_NUM_THREADS. Spinning threads would take
        # cores from other processes.
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self.session = onnxruntime.InferenceSession(model, options, providers=onnxruntime.get_available_providers())
        except Exception as error:  # the exceptions of onnxruntime have no common base
            raise ValueError(f"is not an ONNX network ({error}); use another file") from error
        source = self.session.get_inputs()[0]
        if len(source.shape) != 4 or source.shape[1] != 3:
            raise ValueError(f"input has shape {source.shape}; an image (1, 3, S, S) is needed")
        fixed = [side for side in source.shape[2:] if isinstance(side, int)]
        self.name = source.name
        self.size = (fixed[0], fixed[1]) if len(fixed) == 2 else (size, size)
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
        """
        scaled = F.interpolate(image[None], self.size, mode="bilinear", align_corners=False, antialias=True)
        (output, *_) = self.session.run(None, {self.name: ((scaled - self.mean) / self.std).numpy()})
        found = torch.from_numpy(output).float().reshape(1, 1, *output.shape[-2:])
        if self.normalise:
            low, high = found.amin(), found.amax()
            found = (found - low) / (high - low).clamp(min=1e-6)
        return F.interpolate(found, image.shape[-2:], mode="bilinear", align_corners=False)[0, 0].clamp(0, 1)
