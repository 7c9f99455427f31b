"""Starts the ranks of a training on this machine by torchrun, follows them, and ends them with this process."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tasks.runtime.devices import usable_cores
from tasks.runtime.rank_exchange import RankExchange

if TYPE_CHECKING:
    from tasks.runtime.training_stage import TrainingStage

log = logging.getLogger("depthseed")

PARENT = "DEPTHSEED_PARENT"
"""Environment variable with the process id of the stage. A rank ends when this process is gone."""

LOCAL = "127.0.0.1"
"""Address at which the ranks of one machine meet. It needs neither a network nor a host name."""

END_SECONDS = 45
"""Time in which the ranks write a checkpoint and end: once this process is told to end, or after one has failed."""

LOG_LINE = re.compile(r"^\d\d:\d\d:\d\d (.*)$")
"""A line that a rank logs."""


def rank_command(folder: Path, ranks: int, nodes: int = 1, meeting: str = "meeting", address: str = LOCAL) -> list[str]:
    """The command that starts the ranks of one machine.

    The machines meet by a file in `folder`, which only this user can enter. torchrun keeps pickles there. At a port,
    which has no login, every other user could exchange them.

    Parameters
    ----------
    folder : Path
        That of a `RankExchange` which is prepared.
    ranks : int
        Ranks on this machine.
    nodes : int
        Machines that run this command.
    meeting : str
        Name of the file, a new one for each start of the ranks.
    address : str
        Address of this machine for the others.
    """
    return [
        sys.executable, "-m", "tasks.runtime.rank_agent", "--nnodes", str(nodes), "--nproc-per-node", str(ranks),
        "--rdzv-backend", "c10d", "--rdzv-endpoint", str(folder / meeting),
        # A machine writes all that it knows at each sign of life. `RankWatch` needs none of these.
        "--rdzv-conf", "store_type=file,keep_alive_interval=600", "--local-addr", address, "--rdzv-id", "depthseed",
        "--max-restarts", "0", "-m", "tasks.runtime.rank", str(folder),
    ]  # fmt: skip


def rank_environment(ranks: int, nodes: int = 1) -> dict[str, str]:
    """The environment of `rank_command`: this one, and what is not set in it."""
    home = str(Path(__file__).resolve().parents[2])
    threads = max(1, usable_cores() // ranks)
    defaults = {
        "OMP_NUM_THREADS": str(threads),
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(END_SECONDS - 5),  # torchrun would kill the ranks after 30 s
        **({"GLOO_SOCKET_IFNAME": "lo"} if nodes == 1 else {}),
    }
    path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
    return {**defaults, **os.environ, "PYTHONPATH": path}


def exchange_of(stage: TrainingStage) -> RankExchange:
    """The exchange of a stage with its ranks."""
    return RankExchange(stage.record_path.with_suffix(".ranks"))


def finished_training(stage: TrainingStage) -> bool:
    """True if ranks have trained the network to the end, and no command has taken their result yet."""
    return exchange_of(stage).result() is not None and stage.artifact.is_trained()


def train_in_ranks(stage: TrainingStage, ranks: int) -> int:
    """Let ranks on this machine train the network of a stage. Returns the number of images in all epochs.

    Raises
    ------
    DepthseedError
        That of the first rank that failed; WorkerError if a rank has died.
    """
    exchange = exchange_of(stage)
    exchange.prepare(stage)
    environment = {**rank_environment(ranks), PARENT: str(os.getpid())}
    log.info("%s: %d ranks train it; their log is %s", stage.label, ranks, exchange.log)
    command = rank_command(exchange.folder, ranks)
    _follow(command, environment, exchange, stage)
    if exchange.result() is None:
        raise exchange.error(stage.label)
    return taken_result(stage)


def taken_result(stage: TrainingStage) -> int:
    """Number of images of a training that ranks have completed; the files of their exchange are removed."""
    exchange = exchange_of(stage)
    found = exchange.result()
    assert found is not None
    images, use = found
    stage.device_use.add(use)
    exchange.remove()
    return images


def _follow(command: list[str], environment: Mapping[str, str], exchange: RankExchange, stage: TrainingStage) -> None:
    """Run the ranks to their end."""
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    reader = threading.Thread(target=_read, args=(process.stdout, exchange.log), daemon=True)
    reader.start()
    last, failed = None, 0.0
    try:
        with _passing_on(exchange):
            while process.poll() is None and not (failed and time.monotonic() - failed > END_SECONDS):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.5)
                if (progress := exchange.progress()) != last and progress:
                    last = progress
                    stage.report_progress(*progress)
                if not failed and exchange.failures():
                    failed = time.monotonic()
    finally:
        _end(process)
        reader.join(5)


@contextlib.contextmanager
def _passing_on(exchange: RankExchange) -> Iterator[None]:
    """Within it, SIGUSR1 also asks the ranks for a checkpoint."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGUSR1)

    def take(number, frame):
        exchange.ask_for_checkpoint()
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGUSR1, take)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def _read(lines: IO[str], path: Path) -> None:
    """Write all lines to the log of the ranks, and log again what they log."""
    with lines, path.open("a") as file:
        for line in lines:
            file.write(line)
            file.flush()
            if found := LOG_LINE.match(line):
                log.info("%s", found[1])


def _end(process: subprocess.Popen) -> None:
    """End torchrun and its ranks. They get the time to write a checkpoint."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # torchrun; its ranks then end by themselves
    process.wait()
