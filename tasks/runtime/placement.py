"""Where the shards of a stage are computed: in this process, in worker processes of this machine, or on a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasks.runtime.beside import Beside
from tasks.runtime.devices import usable_cores, visible_gpus
from tasks.runtime.executors import CPU, GPU, Executor, ThisProcess, executor_for
from tasks.runtime.memory import available_bytes

if TYPE_CHECKING:
    from tasks.runtime.image_stage import ImageStage

WORKER_BYTES = 3 * 2**30
"""Memory that a worker process needs to run a network on the CPU over the largest image that it is shown."""


class Place(NamedTuple):
    """Where shards are computed.

    Attributes
    ----------
    executor : Executor
    network_is_sent : bool
        True if the process that computes a shard also runs the network for it. Else the process of the stage runs it.
    """

    executor: Executor
    network_is_sent: bool


def place_of(stage: ImageStage, shards: int, has_network: bool) -> Place:
    """Where the shards of a stage are computed.

    - On a cluster, a worker computes all of a shard, with its network. It is a GPU worker if there is a network and
      the device is not ``cpu``.
    - With several GPUs, worker processes of this machine do so, one for each GPU.
    - With one GPU, this process runs the network. Worker processes do the rest if it takes long.
    - On the CPU, this process runs the network. If the rest takes long, worker processes do all.

    Parameters
    ----------
    stage : ImageStage
    shards : int
        Number of shards to compute.
    has_network : bool
    """
    seconds = stage.shard_timeout
    if stage.dask:
        kind = GPU if has_network and stage.device != "cpu" else CPU
        return Place(executor_for(stage.processes, shards, stage.dask, seconds, kind), True)
    if not has_network:
        return Place(executor_for(stage.processes if stage.in_workers else 1, shards, "", seconds), False)
    gpus = visible_gpus(stage.device)
    if len(gpus) > 1 and shards > 1:
        return Place(executor_for(0, shards, "", seconds, GPU, gpus), True)
    if stage.in_workers:
        most = stage.processes or usable_cores()
        executor = executor_for(most if gpus else min(most, _fitting_processes()), shards, "", seconds)
        if not isinstance(executor, ThisProcess):
            return Place(executor, not gpus)
    return Place(Beside(), False)


def _fitting_processes() -> int:
    """Number of worker processes with a network that fit into the memory of this machine, at least 1."""
    return max(1, available_bytes() // WORKER_BYTES)
