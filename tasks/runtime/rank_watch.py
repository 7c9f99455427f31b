"""A thread in each rank: it ends the rank when another rank or the stage has gone, so that no rank waits for ever.

A rank that dies closes its connections, and the others notice it. A machine without power, or a process that is
stopped, closes nothing: its heartbeat is missing.
"""

from __future__ import annotations

import itertools
import logging
import os
import signal
import threading
import time

import psutil
import torch.distributed as dist

from data.errors import WorkerError
from tasks.runtime.rank_exchange import RankExchange

log = logging.getLogger("depthseed")

BEAT_SECONDS = 1.0
"""Time between two heartbeats."""

SILENT_SECONDS = 20.0
"""Time without a heartbeat after which a rank is lost. torchrun then needs at most 30 s more to end the others."""

STORE = "the machine of rank 0"
"""Where torch's store is, in words."""

LOST = 3
"""Exit code of a rank that ends because of another one."""


class RankWatch:
    """Sends heartbeats to torch's store. The first rank reads those of all others, which read that of the first.

    Parameters
    ----------
    rank, count : int
        This rank and the number of all ranks.
    exchange : RankExchange
        It gets the reason.
    label : str
        Name of the stage.
    parent : int
        Process id of the stage on this machine; 0 = there is none.
    """

    def __init__(self, rank: int, count: int, exchange: RankExchange, label: str, parent: int = 0):
        self.rank, self.exchange, self.label = rank, exchange, label
        # Whoever dies leaves this rank alone: the stage, or torchrun.
        self.torchrun = psutil.Process(os.getppid())
        self.guardians = [self.torchrun, *([psutil.Process(parent)] if parent else [])]
        self.others = [other for other in range(count) if other != rank] if rank == 0 else [0]
        self.done = threading.Event()
        now = time.monotonic()
        self.heard = dict.fromkeys(self.others, (b"", now))
        self.answered = now  # when the store has answered last

    def start(self) -> None:
        """Start the two threads: one talks to the store and may have to wait for it, the other one looks at both."""
        threading.Thread(target=self._talk, name="heartbeat", daemon=True).start()
        threading.Thread(target=self._look, name="watch of the ranks", daemon=True).start()

    def stop(self) -> None:
        """End the watch; the training is complete."""
        self.done.set()

    def _talk(self) -> None:
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        try:
            store = dist.PrefixStore("heartbeat", dist.TCPStore(address, port, is_master=False))
            for beat in itertools.count():
                store.set(str(self.rank), str(beat))
                for other in self.others:
                    found = store.get(str(other)) if store.check([str(other)]) else b""
                    if found != self.heard[other][0]:
                        self.heard[other] = found, time.monotonic()
                self.answered = time.monotonic()
                if self.done.wait(BEAT_SECONDS):
                    return
        except RuntimeError as error:  # those of torch's store have this class; then nothing answers any more
            log.debug("the store of the heartbeats has gone: %s", error)

    def _look(self) -> None:
        while not self.done.wait(BEAT_SECONDS):
            if not all(map(_is_alive, self.guardians)):
                os._exit(LOST)  # nobody is left who could be told
            if self.rank == 0 and self.exchange.is_asked():
                os.kill(os.getpid(), signal.SIGUSR1)
            if lost := self._lost():
                self.exchange.write_failure(
                    self.rank,
                    WorkerError(
                        f"{self.label}: {lost} has not answered for {SILENT_SECONDS:.0f} s, so all ranks have stopped; "
                        "run the same command again: it goes on at the last checkpoint"
                    ),
                )
                if lost == STORE:
                    self.torchrun.kill()  # it waits for the store, too, and never ends
                os._exit(LOST)  # the main thread may wait in a collective operation, which nothing interrupts

    def _lost(self) -> str:
        """Who has not answered for too long; empty if all have."""
        limit = time.monotonic() - SILENT_SECONDS
        if self.answered < limit:
            return STORE
        return next((f"rank {other}" for other, (_, heard) in self.heard.items() if heard < limit), "")


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
