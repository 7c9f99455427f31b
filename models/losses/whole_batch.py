"""Losses of a part of a batch, whose means, counts and random draws are those of the whole batch.

A batch may be computed in parts: one after the other to save memory, or each by another process. Then every loss of a
part is a share: the shares of all parts add up to the loss of the whole batch. A batch in one piece gives exactly what
it gives without the functions of this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from torch import Generator, Tensor


@dataclass(frozen=True)
class BatchPart:
    """The part of a batch that is computed now.

    Attributes
    ----------
    images : int
        Images of the whole batch.
    first : int
        Position of the first image of the part in the batch.
    add_up : callable
        A count in this part, a Tensor -> the sum of this count over all parts, a Tensor. All parts call it equally
        often and in the same order.
    generator : torch.Generator, optional
        Of the random numbers that are drawn for the whole batch. It has the same state at the start of each part.
    """

    images: int
    first: int
    add_up: Callable[[Tensor], Tensor]
    generator: Generator | None = None


_PRESENT: ContextVar[BatchPart | None] = ContextVar("part of the batch", default=None)


@contextmanager
def part_of_batch(part: BatchPart | None) -> Iterator[None]:
    """Within it, losses are computed of this part; None = of a batch in one piece."""
    token = _PRESENT.set(part)
    try:
        yield
    finally:
        _PRESENT.reset(token)


def share_of_mean(mean: Tensor, images: int) -> Tensor:
    """The mean of a loss over some images -> the share of these images in the mean over the whole batch.

    Parameters
    ----------
    mean : Tensor, scalar
    images : int
        Number of images, all that are computed now.

    Examples
    --------
    >>> import torch
    >>> with part_of_batch(BatchPart(images=8, first=0, add_up=lambda count: count)):
    ...     float(share_of_mean(torch.tensor(6.0), images=2))
    1.5
    """
    part = _PRESENT.get()
    return mean if part is None else mean * (images / part.images)


def count_in_batch(count: Tensor) -> Tensor:
    """The sum of a count over the whole batch; the loss of a part is a sum over the part, divided by it."""
    part = _PRESENT.get()
    return count if part is None else part.add_up(count)


def rows_of_batch(images: int) -> tuple[int, slice]:
    """How many images the whole batch has, and which of them are those that are computed now.

    A loss draws its random numbers for the whole batch by `generator_of_batch`, and takes those of its images. So they
    do not depend on the parts.

    Parameters
    ----------
    images : int
        Number of images that are computed now.
    """
    part = _PRESENT.get()
    return (images, slice(None)) if part is None else (part.images, slice(part.first, part.first + images))


def generator_of_batch() -> Generator | None:
    """The generator of the random numbers that a loss draws for the whole batch; None = torch's global one."""
    part = _PRESENT.get()
    return None if part is None else part.generator
