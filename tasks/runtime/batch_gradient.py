"""The gradient of a batch that is computed in parts: one after the other on a rank, and on several ranks."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from models.batch_norm import SynchronisedBatchNorm
from models.losses.whole_batch import BatchPart, part_of_batch
from tasks.runtime.precision import as_float32, autocast
from tasks.runtime.ranks import Ranks

LossFunction = Callable[[dict[str, Tensor], float], dict[str, Tensor]]
"""(batch on the device, number of epochs done) -> named scalars; ``loss`` is minimised."""

BatchNorm = nn.modules.batchnorm._BatchNorm


def in_precision(network: nn.Module, device: torch.device, precision: str) -> nn.Module:
    """Let a network compute in a precision and return float32, so that losses are float32. Returns `network`.

    Parameters
    ----------
    network : nn.Module
        It is changed in place; its weights stay float32.
    device : torch.device
    precision : {"32", "bf16"}
    """
    if precision != "32":
        network.forward = functools.partial(_computed, network.forward, device, precision)
    return network


def _computed(forward: Callable[..., Any], device: torch.device, precision: str, *inputs: Any) -> Any:
    with autocast(device, precision):
        return as_float32(forward(*inputs))


def learns_batch_norm(network: nn.Module) -> bool:
    """True if a batch norm of a network in training mode uses the statistics of the batch."""
    return any(isinstance(module, BatchNorm) and module.training for module in network.modules())


def with_synchronised_batch_norm(network: Any, ranks: Ranks, device: torch.device) -> Any:
    """The network with torch's SyncBatchNorm where that is possible: on GPUs, if there are several ranks."""
    if ranks.count == 1 or device.type != "cuda":
        return network
    from timm.layers import convert_sync_batchnorm  # torch's own function would lose the activations of timm's layers

    return convert_sync_batchnorm(network)


class _Losses(nn.Module):
    """A loss function as a module: a network may run several times in it, and the parallel wrapper sees one call."""

    def __init__(self, network: nn.Module, loss_of: LossFunction):
        super().__init__()
        self.network, self.loss_of = network, loss_of

    def forward(self, batch: dict[str, Tensor], epochs: float) -> dict[str, Tensor]:
        return self.loss_of(batch, epochs)


class BatchGradient:
    """Computes the gradient of the loss of a batch. It is that of the whole batch, whatever the number of parts.

    Statistics of a batch norm that learns are an exception: they are those of a part, on all ranks.

    Parameters
    ----------
    network : nn.Module
        On its device. Which of its parameters are trained is fixed from now on.
    loss_of : LossFunction
        Its scalars are shares of the whole batch (`models.losses.whole_batch`).
    device : torch.device
    ranks : Ranks
    images : int
        Images of a batch, on all ranks together.
    parts : int
        Parts of a batch that are computed one after the other (`Ranks.slices`).
    """

    def __init__(
        self, network: nn.Module, loss_of: LossFunction, device: torch.device, ranks: Ranks, images: int, parts: int
    ):
        self.network, self.device, self.ranks, self.images = network, device, ranks, images
        self.places = ranks.slices(images, parts)
        self.losses = self.parallel = _Losses(network, loss_of)
        self.group: Any = None
        if ranks.count > 1:
            # Some heads do not use all weights of a backbone. All ranks have equal buffers without a broadcast.
            wrapped = DistributedDataParallel(self.losses, broadcast_buffers=False, find_unused_parameters=True)
            self.parallel = cast(_Losses, wrapped)
            self.group = dist.new_group() if device.type != "cuda" else None
        self.has_counts = True
        is_whole = len(self.places) == ranks.count == 1
        self.draws = None if is_whole else torch.Generator(device)
        """Generator of the random numbers of whole batches; None = torch's global one."""

    def seed(self, seed: int) -> None:
        """Seed the random numbers of losses, as ``torch.manual_seed`` does for a batch in one piece."""
        if self.draws is None:
            return
        self.draws.manual_seed(seed)
        if self.device.type == "cpu":
            torch.empty((), dtype=torch.int64).random_(generator=self.draws)  # as in the training loop

    def __call__(self, batch: dict[str, Tensor], epochs: float) -> dict[str, Tensor]:
        """Add the gradient of a batch to the parameters.

        Parameters
        ----------
        batch : dict of name -> Tensor
            The images of this rank, on the device.
        epochs : float
            Number of epochs done.

        Returns
        -------
        dict of name -> Tensor, scalar
            The losses of this rank: its share of the batch.
        """
        if self.draws is None:
            losses = self.losses(batch, epochs)
            losses["loss"].backward()
            return {name: value.detach() for name, value in losses.items()}
        lengths = [place.stop - place.start for place in self.places]
        split = {name: values.split(lengths) for name, values in batch.items()}
        pieces = [{name: values[number] for name, values in split.items()} for number in range(len(lengths))]
        counts = self._counted(pieces, epochs)
        totals: dict[str, Tensor] = {}
        begun = self.draws.get_state()
        for piece, place in zip(pieces, self.places, strict=True):
            part = self._part(place, begun, _Totals(self.ranks, counts).take)
            with self._alone(is_last=place is self.places[-1]):
                with part_of_batch(part), self._synchronised():
                    losses = self.parallel(piece, epochs)
                # The parallel wrapper divides the gradient by the number of ranks.
                (losses["loss"] * self.ranks.count).backward()
            for name, value in losses.items():
                totals[name] = totals.get(name, 0) + value.detach()
        return totals

    def _part(self, place: slice, begun: Tensor, add_up: Callable[[Tensor], Tensor]) -> BatchPart:
        """A part of the batch; each begins with the same random numbers."""
        draws = cast(torch.Generator, self.draws)
        draws.set_state(begun)
        return BatchPart(self.images, place.start, add_up, draws)

    def _alone(self, is_last: bool) -> contextlib.AbstractContextManager:
        """The ranks add up their gradients after the last part only."""
        if self.ranks.count == 1 or is_last:
            return contextlib.nullcontext()
        return cast(DistributedDataParallel, self.parallel).no_sync()

    def _synchronised(self) -> contextlib.AbstractContextManager:
        if self.group is None or not learns_batch_norm(self.network):
            return contextlib.nullcontext()
        return SynchronisedBatchNorm(self._add_up)

    def _add_up(self, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values, group=self.group)
        return values

    def _counted(self, pieces: list[dict[str, Tensor]], epochs: float) -> list[Tensor] | None:
        """The counts of the whole batch by which the losses divide, in the order in which they ask for them.

        One part cannot know the counts of the parts after it. So all parts are first computed without a gradient, with
        the same random numbers, where a loss asks for counts. None: each part is the only one of its rank.
        """
        if len(pieces) == 1:
            return None
        if not self.has_counts:
            return []
        asked: list[list[Tensor]] = []
        draws = cast(torch.Generator, self.draws)
        begun = draws.get_state()
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.no_grad(), torch.random.fork_rng(devices), _kept_buffers(self.network):
            for piece, place in zip(pieces, self.places, strict=True):
                here: list[Tensor] = []
                part = self._part(place, begun, functools.partial(_noted, here))
                with part_of_batch(part), self._synchronised():
                    self.losses(piece, epochs)
                asked.append(here)
        draws.set_state(begun)
        self.has_counts = bool(asked[0])
        if not self.has_counts:
            return []
        totals = torch.stack([torch.stack(here) for here in asked]).sum(0)
        return list(self.ranks.sum(totals))


class _Totals:
    """Answers the requests of a part for counts of the whole batch."""

    def __init__(self, ranks: Ranks, known: list[Tensor] | None):
        self.ranks, self.known = ranks, None if known is None else iter(known)

    def take(self, count: Tensor) -> Tensor:
        return self.ranks.sum(count) if self.known is None else next(self.known)


def _noted(asked: list[Tensor], count: Tensor) -> Tensor:
    asked.append(count)
    return count


@contextlib.contextmanager
def _kept_buffers(network: nn.Module) -> Iterator[None]:
    """Within it, the buffers of a network, such as the statistics of batch norm, change; then they are as before."""
    before = [buffer.clone() for buffer in network.buffers()]
    yield
    for buffer, value in zip(network.buffers(), before, strict=True):
        buffer.copy_(value)
