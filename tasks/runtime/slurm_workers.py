"""Dask workers that are SLURM jobs: asked for, waited for, and asked for again when their jobs end.

dask-jobqueue writes the job scripts and submits them. It neither says what a job waits for, nor submits another one
for a job that has ended (its ``adapt`` counts jobs, whether or not they are alive). `SlurmWorkers.look` does both.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import dask
from dask_jobqueue.slurm import SLURMCluster, SLURMJob
from distributed import Scheduler, SchedulerPlugin
from distributed.deploy.spec import ProcessInterface

from data.errors import SettingError, WorkerError
from tasks.runtime.dask_security import CLOSED, certificate_files, dask_section, files_security
from tasks.runtime.slurm_queue import ALIVE, BUSY, FORGOTTEN, GONE, NEVER, ask_slurm
from tasks.runtime.slurm_settings import GPU, seconds_of, slurm_settings

log = logging.getLogger("depthseed")

SECONDS_TO_LOOK = 15.0
"""Time between two questions to SLURM about the jobs."""

FAILURES = 3
"""How many jobs in a row may end before their workers have come. Then the run fails."""

BY_SLURM = frozenset({
    "CANCELLED", "COMPLETED", "COMPLETING", "DEADLINE", "NODE_FAIL", "PREEMPTED", "REVOKED", "TIMEOUT", "PENDING",
    "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED", "STOPPED", GONE,
})  # fmt: skip
"""States of a job whose workers have died for another reason than what they computed."""

WORKER_SETTINGS = {
    # As for the workers that start here: no pages that show names of images, and no pause for memory without end.
    "DASK_DISTRIBUTED__WORKER__HTTP__ROUTES": "[]",
    "DASK_DISTRIBUTED__WORKER__MEMORY__TARGET": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__SPILL": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "False",
}
"""Environment of the workers: their settings of Dask."""


class _Job(SLURMJob):
    """A job that keeps why sbatch refuses it. An exception in the thread of the cluster would tell nobody."""

    refused = ""

    async def start(self):
        try:
            await super().start()
        except (RuntimeError, OSError, ValueError) as error:
            self.refused = _reason(str(error)) or type(error).__name__
            await ProcessInterface.start(self)

    async def close(self):
        await super().close()
        await ProcessInterface.close(self)  # dask-jobqueue leaves it out; the cluster then fails when it ends


class _Arrivals(SchedulerPlugin):
    """Keeps the names of all workers that have come."""

    def __init__(self):
        self.names: set[str] = set()

    def add_worker(self, scheduler, worker):
        self.names.add(str(scheduler.workers[worker].name))


class SlurmWorkers(SLURMCluster):
    """A Dask cluster whose workers are SLURM jobs.

    Parameters
    ----------
    jobs : int
        Number of jobs to keep alive.
    section : str
        Section of luigi.cfg to name in errors.
    options : keywords of SLURMCluster
    """

    job_cls = _Job

    def __init__(self, jobs: int, section: str, **options):
        self.numbers = itertools.count()
        super().__init__(**options)
        self.jobs, self.section = jobs, section
        self.looked = -SECONDS_TO_LOOK
        self.states: dict[str, tuple[str, str]] = {}  # number of a job -> state and reason, as SLURM gave them last
        self.ended: dict[str, str] = {}  # name of a job that has ended -> its state
        self.told: set[str] = set()  # what the log has: numbers of jobs, and troubles
        self.failures = 0
        self.arrivals = _Arrivals()
        cast(Scheduler, self.scheduler).add_plugin(self.arrivals)
        self.scale(jobs=jobs)

    def _new_worker_name(self, worker_number):
        return f"{self._name}-{next(self.numbers)}"  # another one for each job: it tells which job a worker was of

    def look(self) -> None:
        """Ask SLURM for the jobs, `SECONDS_TO_LOOK` after the last time, and submit another one for each ended job.

        Raises
        ------
        WorkerError
            If SLURM refuses a job or will never start it, or `FAILURES` jobs in a row ended before their workers came.
        """
        now = time.monotonic()
        if now - self.looked < SECONDS_TO_LOOK:
            return
        self.looked = now
        jobs: dict[str, Any] = dict(self.workers)
        if not self._ask([job.job_id for job in jobs.values() if job.job_id]):
            return
        self._tell_submitted([job.job_id for job in jobs.values() if job.job_id])
        for name, job in jobs.items():
            state, reason = self._state(job)
            if job.refused:
                self._check_refusal(job.refused)
                self._forget(name)
            elif job.job_id and state not in ALIVE:
                self._check_end(name, job, state)
                self._forget(name)
            elif job.job_id and reason in NEVER:
                raise WorkerError(
                    f"SLURM will never start job {job.job_id} ({reason}); completed shards are kept; correct section "
                    f"[{self.section}] of luigi.cfg"
                )
        self.scale(jobs=self.jobs)  # submits what is missing

    def waits_for(self) -> str:
        """What SLURM says of the jobs: ``SLURM: 4 jobs, 3 pending (Resources), 1 running``."""
        jobs: list[Any] = list(dict(self.workers).values())
        known = [self.states.get(job.job_id, ("SUBMITTED", "")) for job in jobs if job.job_id]
        reasons = ", ".join(sorted({reason for state, reason in known if state == "PENDING"} - {"", "None"}))
        parts = [f"SLURM: {self.jobs} job{'s' * (self.jobs > 1)}"]
        for state, count in sorted(Counter(state for state, _ in known).items()):
            parts.append(f"{count} {state.lower()}" + (f" ({reasons})" if state == "PENDING" and reasons else ""))
        refused = [job.refused for job in jobs if job.refused]
        return ", ".join([*parts, *([f"{len(refused)} refused ({refused[0]})"] if refused else [])])

    def has_ended(self, worker: str) -> bool:
        """True if SLURM has ended the job of a worker: then the worker did not die of what it computed."""
        names = {name: job.job_id for name, job in dict(self.workers).items() if _is_of(worker, name)}
        self._ask(list(names.values()))
        states = [self.states.get(number, ("", ""))[0] for number in names.values()]
        states += [state for name, state in self.ended.items() if _is_of(worker, name)]
        return bool(BY_SLURM.intersection(states))

    def _state(self, job: Any) -> tuple[str, str]:
        return self.states.get(job.job_id, (GONE, ""))

    def _ask(self, numbers: list[str]) -> bool:
        """Fill `states`; False if SLURM does not answer."""
        if not numbers:
            return True
        asked = ("squeue", "--noheader", "--states=all", f"--jobs={','.join(numbers)}", "--format=%i|%T|%r")
        answer = ask_slurm(*asked, tries=1)
        if answer.returncode and FORGOTTEN not in answer.stderr:
            self._tell_once(f"SLURM does not answer ({_reason(answer.stderr)}); asking again")
            return False
        lines = [line.strip().split("|", 2) for line in answer.stdout.splitlines()]
        self.states |= dict.fromkeys(numbers, (GONE, ""))
        self.states |= {line[0]: (line[1], line[2]) for line in lines if line[2:]}
        return True

    def _tell_once(self, line: str) -> None:
        if line not in self.told:
            self.told.add(line)
            log.warning("%s", line)

    def _tell_submitted(self, numbers: list[str]) -> None:
        if new := sorted(set(numbers) - self.told, key=int):
            logs = self._job_kwargs["log_directory"]
            log.info("SLURM: submitted job%s %s, logs in %s", "s" * (len(new) > 1), ", ".join(new), logs)
            self.told |= set(new)

    def _check_refusal(self, reason: str) -> None:
        if not BUSY.search(reason):
            raise WorkerError(
                f"SLURM refuses the job ({reason}); completed shards are kept; correct section [{self.section}] of "
                "luigi.cfg"
            )
        self._tell_once(f"SLURM accepts no more jobs for now ({reason}); trying again")

    def _check_end(self, name: str, job: Any, state: str) -> None:
        came = any(_is_of(worker, name) for worker in self.arrivals.names)
        # If a job is taken away before its worker has come, this says nothing of the next job.
        self.failures = 0 if came else self.failures + (state not in ("CANCELLED", "NODE_FAIL", "PREEMPTED"))
        self.ended[name] = state
        if self.failures == FAILURES:
            logs = Path(self._job_kwargs["log_directory"], f"{job.job_name or 'worker'}-{job.job_id}.err")
            raise WorkerError(
                f"{FAILURES} SLURM jobs in a row ended before their workers came, the last is {job.job_id} ({state}); "
                f"completed shards are kept; read {logs}"
            )
        log.info("SLURM job %s has ended (%s); another one is submitted", job.job_id, state)

    def _forget(self, name: str) -> None:
        """Drop a job, so that `scale` submits another one."""
        self.worker_spec.pop(name, None)
        self.workers.pop(name, None)


def _is_of(worker: str, job: str) -> bool:
    """True if the worker belongs to the job: with several processes, Dask adds a number to the name."""
    return worker == job or bool(re.fullmatch(re.escape(job) + r"-\d+", worker))


def _reason(text: str) -> str:
    """The line of a long message that says what is wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [re.sub(r"^.*?error: ", "", line) for line in lines if "error:" in line]
    return "; ".join(errors) or (lines[-1] if lines else "")


@contextlib.contextmanager
def slurm_cluster(kind: str, workers: int) -> Iterator[SlurmWorkers]:
    """Workers as SLURM jobs, described by the sections of luigi.cfg. The jobs end with it.

    A worker computes one job at a time. A SLURM job of the kind ``cpu`` has one worker process for each core, as
    pydensecrf holds the GIL. One of the kind ``gpu`` has one worker process and asks for one GPU: SLURM itself then
    gives each worker a GPU of its own, on nodes of any size. The ``cores`` are for the threads that decode images.

    The certificate is that of the section [dask] of luigi.cfg. Without it, one is made. The jobs read it from a
    folder that only this user can enter, in ``shared_temp_directory`` (default: home), until the cluster ends.

    Parameters
    ----------
    kind : str
        ``cpu`` or ``gpu``.
    workers : int
        Number of workers that are of use; more jobs than they need are not asked for.

    Raises
    ------
    SettingError
        If ``cores`` or ``memory`` is missing, an option cannot be used, or the shared folder cannot be written.
    """
    section, settings = f"slurm-{kind}", slurm_settings(kind)
    if missing := {"cores", "memory"} - settings.keys():
        raise SettingError(f"section [{section}] or [slurm] of luigi.cfg lacks {', '.join(sorted(missing))}; add them")
    shared = Path(settings.pop("shared_temp_directory", "~")).expanduser()
    with contextlib.ExitStack() as stack:
        security = files_security(dask_section() or stack.enter_context(certificate_files(shared)))
        # dask-jobqueue would cancel a job whose worker process starts again; `look` decides.
        stack.enter_context(dask.config.set(CLOSED | {"distributed.deploy.lost-worker-timeout": "1000 days"}))
        try:
            jobs, options = cluster_options(kind, settings)
            cluster = SlurmWorkers(
                min(jobs, -(-workers // options["processes"])), section, security=security, protocol="tls://",
                scheduler_options={"dashboard": False, "dashboard_address": "127.0.0.1:0"}, **options,
            )  # fmt: skip
        except (ValueError, OSError) as error:
            raise SettingError(f"section [{section}] of luigi.cfg: {_reason(str(error))}; correct it") from error
        yield stack.enter_context(cluster)


def cluster_options(kind: str, settings: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """The number of jobs, and the keywords of SLURMCluster, for the options of luigi.cfg.

    Raises
    ------
    SettingError
        If the options ask for several GPUs a job.
    """
    options = dict(settings)
    jobs, cores = options.pop("jobs", 1), options["cores"]
    arguments = ["--no-dashboard"]
    directives = options.get("job_extra_directives", [])
    if kind == GPU:
        if wrong := [line for line in directives if re.match(r"--(gres=gpu|gpus)\S*[:=]([2-9]|\d\d+)$", line)]:
            raise SettingError(
                f"section [slurm-gpu] of luigi.cfg: '{wrong[0]}' asks for several GPUs a job; ask for 1, and more jobs"
            )
        if not any(re.match(r"--(gres|gpus|tres)", line) for line in directives):
            directives = ["--gres=gpu:1", *directives]
        arguments += ["--resources", "GPU=1"]
        options |= {"cores": 1, "job_cpu": cores}
    walltime = options.get("walltime", dask.config.get("jobqueue.slurm.walltime"))
    if (seconds := seconds_of(str(walltime))) is not None:
        margin = min(300.0, seconds / 5)  # a worker ends by itself before SLURM kills it, and not all at once
        arguments += ["--lifetime", f"{seconds - margin:.0f}s", "--lifetime-stagger", f"{margin / 3:.0f}s"]
    return jobs, options | {
        "processes": options["cores"],
        "job_extra_directives": directives,
        "job_script_prologue": [
            *(f"export {name}={value}" for name, value in WORKER_SETTINGS.items()),
            *options.get("job_script_prologue", []),
        ],
        "worker_extra_args": [*arguments, *options.get("worker_extra_args", [])],
    }
