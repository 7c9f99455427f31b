"""The error line of a stage that lacks memory (host, GPU, worker process) or that the disk fails."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator
from pathlib import Path

import luigi

from data.errors import DepthseedError, OutOfMemory, StoreError, WorkerError

NO_MEMORY = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|failed to allocate memory|bad_alloc|bad allocation"
    r"|unable to allocate|ALLOC_FAILED|out of shared memory|killed by signal: Killed",
    re.IGNORECASE,
)
"""What numpy, torch, CUDA, torch's data loader and onnxruntime say. Most of these errors have no class of their own."""

GPU = re.compile(r"cuda|cublas|cudnn|GPU", re.IGNORECASE)

SAVING = {
    "accumulate": "a larger --{stage}-accumulate (now {value})",
    "batch_size": "a smaller --{stage}-batch-size (now {value})",
    "crop_size": "a smaller --{stage}-crop-size (now {value})",
    "loader_processes": "fewer --{stage}-loader-processes (now {value})",
    "scales": "smaller --{stage}-scales (now {value})",
}
"""Parameter of a stage -> how it saves memory."""


@contextlib.contextmanager
def resource_errors_told(stage: luigi.Task, folder: Path) -> Iterator[None]:
    """Turn the many errors of lacking memory, and those of the disk, into one line that says what helps.

    Parameters
    ----------
    stage : luigi.Task
        The stage that computes.
    folder : Path
        Where it writes.

    Raises
    ------
    OutOfMemory
        If no memory is left; the line names the flags of the stage that save memory.
    StoreError
        If a file cannot be read or written.
    WorkerError
        If a connection to another process failed.
    """
    try:
        yield
    except DepthseedError:
        raise
    except Exception as error:  # those of onnxruntime have no other base; what is of another kind is raised again
        if is_lack_of_memory(error):
            reason = " ".join(re.split(r"(?<=\.)\s", str(error))[:2]) or type(error).__name__  # torch adds advice
            raise OutOfMemory(
                f"{type(stage).__name__}: out of memory ({reason}); what is complete is kept; try "
                f"{saving(stage, reason)}, then run the same command again"
            ) from error
        if isinstance(error, (ConnectionError, TimeoutError)) and not error.filename:
            raise WorkerError(
                f"{type(stage).__name__}: a connection failed ({error or type(error).__name__}); completed shards "
                "are kept; check the network, then run the same command again"
            ) from error
        if isinstance(error, OSError):
            raise StoreError(
                f"{error.filename or folder}: {error.strerror or error}; check the disk space and the file "
                "permissions, then run the same command again: completed shards are kept"
            ) from error
        raise


def is_lack_of_memory(error: Exception) -> bool:
    """True if an error says that the host, a GPU or a worker process has no memory left."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or bool(NO_MEMORY.search(str(error)))


def saving(stage: luigi.Task, reason: str) -> str:
    """The flags of a stage that save memory, as text; `reason` tells whether the GPU has none left."""
    parameters = dict(stage.get_params())
    values = {name: parameters[name].serialize(getattr(stage, name)) for name in SAVING if name in parameters}
    ways = [
        SAVING[name].format(stage=type(stage).__name__, value=value)
        for name, value in values.items()
        if value not in ("0", "-1")
    ]
    if GPU.search(reason):
        return " or ".join([*ways, "--device cpu"])
    if "processes" in parameters and "epochs" not in parameters:  # a training is one process
        ways.append(f"fewer --processes (now {getattr(stage, 'processes', 0) or 'one per core'})")
    return " or ".join(ways or ["a machine with more memory"])


def kills_for_memory() -> int:
    """How many processes of this machine the kernel has ended because no memory was left; 0 if it does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
