"""The jobs of one ``map`` on Dask workers: sent, timed, and sent again if their worker process has died.

Dask counts a job as failed, too, if it only waited at a worker that died, or if its result was still there. So each
worker tells when it begins a job, and a death is blamed only on the job that the worker began last.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from data.errors import WorkerError
from tasks.runtime.code_digest import code_digest
from tasks.runtime.progress import SECONDS_PER_LINE
from tasks.runtime.resource_errors import kills_for_memory
from tasks.runtime.shards import ShardJob
from tasks.runtime.slurm_settings import CPU, GPU, SLURM

if TYPE_CHECKING:
    from distributed import Client, Future

    from tasks.runtime.slurm_workers import SlurmWorkers

log = logging.getLogger("depthseed")

TRIES = 3
"""How many times a job is begun by a worker. If the worker process died or was ended each time, the run fails."""

LOSSES = 10
"""How many times a job is sent again because its worker process died before it began the job."""

SECONDS_TO_LOOK = 1.0
"""Time between two looks at which workers there are."""

PATIENCE = 3
"""How many times, `SECONDS_PER_LINE` apart, there may be no local worker process before the run fails."""

BEGUN, LATE = "begun", "late"
"""What a worker tells of a job: it begins it; it ends its process, because the job takes longer than allowed."""

SECONDS_TO_TELL = 10
"""How long a worker tries to tell it."""


@dataclass
class _Sent:
    """A job that was sent to the workers, and what is known of it."""

    job: Any
    tries: int = 0
    losses: int = 0
    begins: int = 0
    key: str = ""
    told: str = ""
    workers: set[str] = field(default_factory=set)
    future: Future | None = None

    @property
    def images(self) -> str:
        """The images of the job, for log lines."""
        ids = [sample.image_id for sample in self.job.samples] if isinstance(self.job, ShardJob) else []
        return f"images {ids[0]} to {ids[-1]}" if ids else "a shard"


class DaskJobs:
    """Sends jobs to the workers of a client.

    Parameters
    ----------
    client : distributed.Client
    function : callable
        Computes a job; importable by name.
    address : str
        Address of the scheduler, or ``slurm``; empty = local worker processes.
    seconds : float
        Time limit of a job, from its beginning on a worker; 0 = none.
    kind : str
        ``gpu`` if a job needs a GPU for itself. With a running scheduler, this counts if any of its workers offers
        the resource GPU.
    """

    def __init__(self, client: Client, function: Callable[[Any], Any], address: str, seconds: float, kind: str = CPU):
        self.client, self.function, self.address, self.seconds = client, function, address, seconds
        self.slurm = cast("SlurmWorkers", client.cluster) if address == SLURM else None
        self.code = code_digest() if address else ""  # local workers have that of this command
        self.sent: dict[str, _Sent] = {}  # key of the future -> job
        self.begun: dict[str, str] = {}  # address of a worker -> key of the job that it began last
        self.done: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self.limit = 0  # jobs that may be sent at a time
        self.needs: dict[str, float] | None = None  # resources of a job, once they are known
        if kind == CPU or address in ("", SLURM):
            self.needs = {"GPU": 1} if kind == GPU else {}
        self.looked, self.seen = -SECONDS_TO_LOOK, time.monotonic()
        self.without_worker = 0
        self.full: set[str] = set()  # addresses of workers that were ended because of their memory
        self.kills = kills_for_memory()
        self.topic = f"depthseed-{uuid.uuid4().hex}"
        client.subscribe_topic(self.topic, self._hear)
        client.subscribe_topic("worker-restart-memory", lambda event: self.full.add(event[1]["worker"]))

    def results(self, jobs: Iterable[Any]) -> Iterator[Any]:
        """Yield results as soon as they are ready.

        To limit the memory, only two jobs per worker are sent at a time. Workers may come and go.

        Parameters
        ----------
        jobs : iterable

        Raises
        ------
        WorkerError, MemoryError
            As in `tasks.runtime.executors.DaskWorkers`.
        """
        from distributed import KilledWorker

        rest, is_more = iter(jobs), True
        while is_more or self.sent:
            self._look()
            sending = is_more and len(self.sent) < self.limit
            if sending:
                job = next(rest, None)
                if is_more := job is not None:
                    self._send(_Sent(job))
                del job
            try:
                future = self.done.get(timeout=0 if sending else SECONDS_TO_LOOK)
            except queue.Empty:
                continue
            sent = self.sent.pop(str(future.key))
            try:
                result = future.result()
            except (KilledWorker, CancelledError) as error:  # the worker process died with the job, or with its data
                self._send_again(sent, error)
                continue
            future.release()
            del future, sent
            yield result

    def _send(self, sent: _Sent) -> None:
        # What holds arrays is scattered: the probabilities of a shard are tens of megabytes. All else is a part of the
        # task, so that it is not lost if a worker goes.
        data = sent.job if getattr(sent.job, "inferred", sent.job) is None else self._scattered(sent.job)
        sent.key = key = f"shard-{uuid.uuid4().hex}"
        self.sent[key] = sent  # before the worker can tell of it
        sent.future = self.client.submit(
            _computed, self.function, self.topic, self.seconds, self.code, data,
            key=key, pure=False, resources=self.needs,
        )  # fmt: skip
        sent.future.add_done_callback(self.done.put)

    def _scattered(self, job: Any):
        while True:
            try:
                return self.client.scatter([job], hash=False, timeout=SECONDS_TO_LOOK)[0]
            # There is no worker (TimeoutError), or it died on the way; or the client is between two connections, where
            # it has no scheduler at all.
            except (OSError, AttributeError):
                self._look()
                time.sleep(0.1)

    def _look(self) -> None:
        """See now and then which workers there are."""
        now = time.monotonic()
        if now - self.looked < SECONDS_TO_LOOK:
            return
        self.looked = now
        self._check_scheduler(None)
        if self.slurm:
            self.slurm.look()
        for sent in list(self.sent.values()):
            if sent.begins > LOSSES:
                raise self._failure(sent)
        slots = self._slots()
        if self.needs is not None:
            self.limit = 2 * max(slots, 1)
        if slots:
            self.seen, self.without_worker = now, 0
        elif now - self.seen >= SECONDS_PER_LINE:
            self.seen = now
            self._no_worker()

    def _slots(self) -> int:
        """How many jobs can be computed at a time."""
        try:
            # Between two connections the client knows of no workers at all: its answer is an empty dictionary.
            workers = list(self.client.scheduler_info(n_workers=-1).get("workers", {}).values())
        except OSError as error:  # the connection is lost; Dask tries to get it back
            self._check_scheduler(error)
            return 0
        gpus = int(sum(worker["resources"].get("GPU", 0) for worker in workers))
        if self.needs is None and workers:
            self.needs = {"GPU": 1} if gpus else {}
        return gpus if self.needs else sum(worker["nthreads"] for worker in workers)

    def _no_worker(self) -> None:
        """Tell that there is no worker; WorkerError if there will be none."""
        self.without_worker += 1
        if not self.address and self.without_worker == PATIENCE:
            raise WorkerError(
                "all worker processes have ended, and none starts again; completed shards are kept; run with "
                "--processes 1 to see the cause"
            )
        if self.slurm:
            log.info("waiting for %s", self.slurm.waits_for())
        else:
            what = "a worker with a GPU" if self.needs else "a worker"
            log.info("waiting for %s of %s", what, self.address or "this machine")

    def _check_scheduler(self, error: Exception | None) -> None:
        if self.client.status not in ("running", "connecting"):
            raise WorkerError(
                f"the Dask scheduler at '{self.address}' has gone; completed shards are kept; start it, then run "
                "the same command again"
            ) from error

    def _send_again(self, sent: _Sent, error: Exception) -> None:
        from distributed import KilledWorker

        self._check_scheduler(error)
        worker = error.last_worker if isinstance(error, KilledWorker) else None
        address = worker.address if worker else ""
        sent.workers.add(address)
        is_blamed = sent.told == LATE or (
            sent.told == BEGUN
            and self.begun.get(address) == sent.key
            and not (self.slurm and worker and self.slurm.has_ended(str(worker.name)))
        )
        if is_blamed:
            sent.tries += 1
        else:
            sent.losses += 1
        if sent.tries == TRIES or sent.losses == LOSSES:
            raise self._failure(sent) from error
        if is_blamed:
            reason = f"not finished after {self.seconds:g} s" if sent.told == LATE else "the worker process died"
            log.warning("%s: %s; given to another worker, try %d of %d", sent.images, reason, sent.tries + 1, TRIES)
        sent.told = ""
        self._send(sent)

    def _failure(self, sent: _Sent) -> Exception:
        images, count = sent.images, sent.tries or sent.losses
        if sent.told == LATE:
            return WorkerError(
                f"{images}: not finished after {self.seconds:g} s, in {count} tries; completed shards are kept; give "
                "more seconds with --shard-timeout (0 = no limit), or run with --processes 1 to see where it hangs"
            )
        if not sent.tries:
            return WorkerError(
                f"{images}: begun {sent.begins} times and never finished, as the worker was taken away; completed "
                "shards are kept; give the workers more time, or let a shard have fewer images with --Stage-shard-size"
            )
        if sent.workers & self.full or (not self.address and kills_for_memory() > self.kills):
            return MemoryError(f"{images}: the worker process was ended {count} times, as it took too much memory")
        return WorkerError(
            f"{images}: the worker process died {count} times on them (out of memory, or a broken file); completed "
            "shards are kept; run with --processes 1 to see the cause"
        )

    def _hear(self, event: tuple) -> None:
        key, told, address = event[1]
        self.begun[address] = key
        if sent := self.sent.get(key):
            sent.told = told
            sent.begins += told == BEGUN


def _computed(function: Callable, topic: str, seconds: float, code: str, job: Any) -> Any:
    """``function(job)``, on a worker. It is told when the job begins, and the process ends if it takes too long.

    WorkerError if the worker has another `code_digest`: its results would be stored as those of the code that sent it.
    """
    from distributed import get_worker
    from distributed.utils import sync

    worker = get_worker()
    if code and code != code_digest():
        raise WorkerError(
            f"the worker {worker.address} on {os.uname().nodename} has another version of depthseed than this command; "
            "install the same there and start the worker again; completed shards are kept"
        )
    key = worker.get_current_task()

    def tell(what: str) -> None:
        # This returns when the scheduler knows it: the process may end at once.
        with contextlib.suppress(OSError):  # it does not answer: then the job is only blamed less exactly
            sync(
                worker.loop,
                worker.scheduler.log_event,
                callback_timeout=SECONDS_TO_TELL,
                topic=topic,
                msg=[key, what, worker.address],
            )

    def end() -> None:
        tell(LATE)
        os._exit(1)  # a thread cannot be stopped in another way

    tell(BEGUN)
    timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), end)
    timer.daemon = True
    if seconds:
        timer.start()
    try:
        return function(job)
    finally:
        timer.cancel()
