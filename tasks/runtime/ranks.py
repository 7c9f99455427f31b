"""The ranks of a training: processes that compute parts of each batch. Torch's process group joins them."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def part_of(size: int, parts: int, number: int) -> slice:
    """Where part `number` of a sequence lies, if it is cut into parts of nearly equal length.

    Examples
    --------
    >>> [part_of(5, 2, number) for number in range(2)]
    [slice(0, 2, None), slice(2, 5, None)]
    """
    return slice(size * number // parts, size * (number + 1) // parts)


def most_ranks(size: int, parts: int) -> int:
    """How many ranks can share each of the parts of a batch. With more, the parts would depend on their number.

    Examples
    --------
    >>> most_ranks(8, 1), most_ranks(8, 4), most_ranks(8, 3), most_ranks(2, 4)
    (8, 2, 2, 1)
    """
    return size // max(1, min(parts, size))


@dataclass(frozen=True)
class Ranks:
    """Which of the processes of a training this one is. All functions wait until every rank has called them.

    Attributes
    ----------
    rank : int
        From 0. Rank 0 alone writes files.
    count : int
        Number of processes; 1 = a training without a process group.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """True for the rank that writes files."""
        return self.rank == 0

    def slices(self, size: int, parts: int = 1) -> list[slice]:
        """Which images of a batch are those of this rank, for each of its parts that are computed one after the other.

        The ranks share each part, so the images of a part do not depend on the number of ranks. A part has one image
        of each rank at least (`most_ranks`).
        """
        parts = max(1, min(parts, size))
        assert self.count == 1 or self.count <= most_ranks(size, parts)
        found = []
        for number in range(parts):
            whole = part_of(size, parts, number)
            here = part_of(whole.stop - whole.start, self.count, self.rank)
            found.append(slice(whole.start + here.start, whole.start + here.stop))
        return found

    def own(self, batch: list[T], parts: int = 1) -> list[T]:
        """The images of this rank in a batch, part by part."""
        return [item for place in self.slices(len(batch), parts) for item in batch[place]]

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all ranks."""
        if self.count > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def largest(self, values: list[int]) -> list[int]:
        """The largest of each number over all ranks. No device is waited for."""
        if self.count == 1:
            return values
        found = torch.tensor(values)
        dist.all_reduce(found, op=dist.ReduceOp.MAX)
        return found.tolist()

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks, in their order.

        A value is plain data as JSON has it, and bytes. It is no pickle: whoever reaches the ports of the ranks could
        send one.
        """
        if self.count == 1:
            return [value]
        content = json.dumps(value, default=lambda found: {BYTES: base64.b64encode(found).decode()}).encode()
        longest = self.largest([len(content)])[0]
        own = torch.frombuffer(bytearray(content.ljust(longest)), dtype=torch.uint8)
        found = [torch.empty_like(own) for _ in range(self.count)]
        dist.all_gather(found, own)
        return [json.loads(bytes(each.numpy()), object_hook=_with_bytes) for each in found]


BYTES = "base64"
"""Key of the only entry of a dict that stands for bytes."""


def _with_bytes(found: dict) -> Any:
    return base64.b64decode(found[BYTES]) if found.keys() == {BYTES} else found


def present_ranks() -> Ranks:
    """The ranks of which this process is one; a single rank if there is no process group."""
    if dist.is_available() and dist.is_initialized():
        return Ranks(dist.get_rank(), dist.get_world_size())
    return Ranks()


def local_rank() -> int:
    """Number of this process among the ranks of its machine, as torchrun sets it."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def ranks_here() -> int:
    """Number of ranks on this machine, which share its cores."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if present_ranks().count > 1 else 1
