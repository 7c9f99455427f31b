"""Batch norm whose statistics are those of a batch that several processes compute in parts, on any device.

Torch's own SyncBatchNorm needs a GPU. It is the faster one there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

AddUp = Callable[[Tensor], Tensor]
"""A tensor of this process -> the sum of the tensors of all processes."""


class _BatchNorm(torch.autograd.Function):
    """Normalises by the mean and variance over the images of all processes."""

    @staticmethod
    def forward(ctx: Any, images, weight, bias, running_mean, running_var, momentum, eps, add_up):
        axes = [axis for axis in range(images.ndim) if axis != 1]
        here = images.new_full((1,), images.numel() / images.shape[1], dtype=torch.float64)
        sums = add_up(torch.cat([images.sum(axes, dtype=torch.float64), here]))
        count = sums[-1]
        mean = sums[:-1] / count
        centred = images - _per_channel(mean, images)
        variance = add_up(centred.square().sum(axes, dtype=torch.float64)) / count
        scale = (variance + eps).rsqrt()
        if running_mean is not None:
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            unbiased = variance * count / (count - 1).clamp(min=1)
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
        normalised = centred * _per_channel(scale, images)
        ctx.save_for_backward(normalised, scale, weight, count)
        ctx.add_up = add_up
        found = normalised
        if weight is not None:
            found = found * _per_channel(weight, images)
        if bias is not None:
            found = found + _per_channel(bias, images)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients):
        (gradient,) = gradients
        normalised, scale, weight, count = ctx.saved_tensors
        axes = [axis for axis in range(gradient.ndim) if axis != 1]
        of_bias = gradient.sum(axes, dtype=torch.float64)
        of_weight = (gradient * normalised).sum(axes, dtype=torch.float64)
        of_images = None
        if ctx.needs_input_grad[0]:
            mean, slope = (ctx.add_up(torch.stack([of_bias, of_weight])) / count).unbind()
            factor = scale if weight is None else scale * weight
            of_images = gradient - _per_channel(mean, gradient) - normalised * _per_channel(slope, gradient)
            of_images = of_images * _per_channel(factor, gradient)
        given = [
            found.to(gradient.dtype) if needed else None
            for found, needed in zip((of_weight, of_bias), ctx.needs_input_grad[1:3], strict=True)
        ]
        return of_images, *given, None, None, None, None, None


def _per_channel(values: Tensor, images: Tensor) -> Tensor:
    return values.to(images.dtype).view(1, -1, *[1] * (images.ndim - 2))


class SynchronisedBatchNorm(TorchFunctionMode):
    """Within it, every batch norm in training mode uses the images of all processes.

    All processes must compute the same layers in the same order. The gradient of scale and shift is that of the images
    of this process.

    Parameters
    ----------
    add_up : callable
        A tensor of this process -> the sum of the tensors of all processes. It is also called in the backward pass.
    """

    def __init__(self, add_up: AddUp):
        super().__init__()
        self.add_up = add_up

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is not F.batch_norm:
            return func(*args, **kwargs)
        return self._normalise(*args, **kwargs)

    def _normalise(
        self, images, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
    ):
        if not training:
            return F.batch_norm(images, running_mean, running_var, weight, bias, False, momentum, eps)
        # A mean in bfloat16 has eight bits: what is left after it would have a mean of its own.
        wide = images.float() if images.dtype.itemsize < 4 else images
        given = (wide, weight, bias, running_mean, running_var, momentum, eps, self.add_up)
        return _BatchNorm.apply(*given).to(images.dtype)
