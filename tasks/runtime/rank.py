"""One rank of a training, as torchrun starts it: ``python -m tasks.runtime.rank <folder of a RankExchange>``."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import time
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import torch
import torch.distributed as dist

from data.errors import WorkerError
from tasks.runtime.rank_exchange import RankExchange
from tasks.runtime.rank_launch import PARENT, finished_training
from tasks.runtime.rank_watch import RankWatch
from tasks.runtime.ranks import present_ranks
from tasks.runtime.resource_errors import resource_errors_told

log = logging.getLogger("depthseed")

MEETING = timedelta(minutes=10)
"""Longest time that a rank waits for another one whose heartbeat is there, in one operation."""

ANSWER_SECONDS = 10.0
"""Time in which the first rank begins to listen."""


def main(folder: Path) -> int:
    """Train the stage of an exchange together with the other ranks. Returns the exit code."""
    exchange, rank = RankExchange(folder), int(os.environ["RANK"])
    _set_up_log(rank)
    signal.signal(signal.SIGUSR1, lambda number, frame: None)  # until the training takes it
    try:
        stage = exchange.stage()
        stage.__dict__["report_progress"] = exchange.write_progress
        with resource_errors_told(stage, stage.artifact.path):
            _train(stage, exchange, rank)
    except Exception as error:  # the stage tells it; here is nobody else
        exchange.write_failure(rank, error)
        # No clean-up: it could wait for the other ranks.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)
    return 0


def _train(stage: Any, exchange: RankExchange, rank: int) -> None:
    count = int(os.environ["WORLD_SIZE"])
    if int(os.environ["GROUP_WORLD_SIZE"]) > 1:
        use_outer_interface()
    has_gpu = stage.device.partition(":")[0] != "cpu" and torch.cuda.is_available()
    if rank == 0 and not has_gpu and stage.device == "auto" and "SLURM_JOB_ID" in os.environ:
        log.warning(
            '%s: this SLURM job sees no GPU, so it trains on the CPU; ask for GPUs in section [slurm-training] of '
            'luigi.cfg (job_extra_directives=["--gres=gpu:1"]), or say --device cpu', stage.label,
        )  # fmt: skip
    # Counts and plain values are on the CPU, gradients on the device.
    dist.init_process_group("cpu:gloo,cuda:nccl" if has_gpu else "gloo", timeout=MEETING)
    watch = RankWatch(rank, count, exchange, stage.label, int(os.environ.get(PARENT, "0")))
    watch.start()
    with stage.being_trained() if rank == 0 else contextlib.nullcontext():
        # While this training waited for its lock, another job may have completed it.
        done = rank == 0 and finished_training(stage)
        if not present_ranks().largest([int(done)])[0]:
            images = stage.learn()
            if rank == 0:
                exchange.write_result(images, stage.device_use)
    dist.barrier()
    watch.stop()
    dist.destroy_process_group()


def use_outer_interface() -> None:
    """Let gloo use the network interface that leads to the first rank, if the name of this machine is a local address.

    Many systems have a line ``127.0.1.1 <own name>`` in /etc/hosts. Gloo would tell this address to other machines.

    Raises
    ------
    WorkerError
        If the address of the first rank is local, too, but nobody answers there: it is another machine.
    """
    if "GLOO_SOCKET_IFNAME" in os.environ or not _is_local(_address(socket.gethostname())):
        return
    first, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((first, port))  # sends nothing
        here = probe.getsockname()[0]
    if _is_local(here) and not answers(first, port):
        raise WorkerError(
            f"on {socket.gethostname()}, the name {first} is the local address {_address(first)}; correct /etc/hosts, "
            "or name the network interface of the cluster in GLOO_SOCKET_IFNAME"
        )
    for name, addresses in psutil.net_if_addrs().items():
        if here in [found.address for found in addresses]:
            os.environ["GLOO_SOCKET_IFNAME"] = name
            log.info("%s is a local address here; ranks talk over %s (%s)", socket.gethostname(), name, here)


def answers(host: str, port: int) -> bool:
    """True if a program listens at an address, or begins to within `ANSWER_SECONDS`."""
    end = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            socket.create_connection((host, port), timeout=ANSWER_SECONDS).close()
        except OSError:
            if time.monotonic() > end:
                return False
            time.sleep(0.2)
        else:
            return True


def _address(host: str) -> str:
    try:
        return socket.gethostbyname(host)
    except OSError:
        return ""


def _is_local(address: str) -> bool:
    return address.startswith("127.")


def _set_up_log(rank: int) -> None:
    """The first rank logs all lines, the others only warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log.handlers = [handler]
    log.setLevel(logging.INFO if rank == 0 else logging.WARNING)
    log.propagate = False
    # Whether a head uses all weights is not known before; and some layouts of gradients cost a copy.
    warnings.filterwarnings("ignore", message=r".*find_unused_parameters=True was specified.*")
    warnings.filterwarnings("ignore", message=r".*Grad strides do not match bucket view strides.*")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
