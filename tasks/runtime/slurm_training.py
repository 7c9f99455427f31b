"""A training as a SLURM job of its own: submitted, followed and, at its time limit, put into the queue again.

Before the time limit SLURM sends the job a signal. The ranks then write a checkpoint, and the job puts itself into the
queue again. So a training goes on even if the process on the login node has gone. The next run of the same command
finds the job by its note and waits for it.
"""

from __future__ import annotations

import json
import logging
import shlex
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.errors import SettingError, WorkerError
from data.store.artifact import write_bytes, write_json
from tasks.runtime.progress import SECONDS_PER_LINE
from tasks.runtime.rank_launch import LOG_LINE, exchange_of, taken_result
from tasks.runtime.slurm_queue import ALIVE, BUSY, NEVER, SILENT, ask_slurm, job_state
from tasks.runtime.slurm_settings import TRAINING, slurm_settings
from tasks.runtime.training_loop import CHECKPOINT

if TYPE_CHECKING:
    from tasks.runtime.training_stage import TrainingStage

log = logging.getLogger("depthseed")

SCRIPT, NOTE = "job.sh", "job.json"
"""Its script, beside the logs of the job, and its number, in the folder of the exchange: any later run finds it."""

KNOWN_ALIVE = ALIVE | {SILENT}
"""States of a job that is waited for: while SLURM does not answer, a job may well go on."""

SECONDS_TO_LOOK = 5.0
"""Time between two looks at a job."""

SECONDS_OF_WARNING = 120
"""How long before its time limit a job writes its checkpoint, if ``warning_seconds`` does not say it."""

SECONDS_TO_END = 10
"""How long before its time limit the ranks of a job are killed if they have not ended."""

BY_SLURM = frozenset({"TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE"})
"""States of a job that SLURM has ended. It is submitted again, as long as its checkpoint goes on."""


def train_by_slurm(stage: TrainingStage) -> int:
    """Train in a SLURM job and wait for it. Returns the number of images in all epochs.

    The section [slurm-training] of luigi.cfg describes the job.

    Raises
    ------
    SettingError
        If the section cannot be used.
    WorkerError
        If SLURM refuses the job, or it was cancelled or has died.
    DepthseedError
        What the training itself has raised.
    """
    if not shutil.which("sbatch"):
        raise SettingError("--cluster slurm: there is no command sbatch here; start on a login node of SLURM")
    job = TrainingJob(stage, slurm_settings(TRAINING))
    job.attach()
    try:
        job.wait()
    except KeyboardInterrupt:
        job.cancel()
        raise
    return taken_result(stage)


class TrainingJob:
    """The job of one training stage.

    Parameters
    ----------
    stage : TrainingStage
    settings : dict
        Options of `tasks.runtime.slurm_settings`.
    """

    def __init__(self, stage: TrainingStage, settings: Mapping[str, Any]):
        self.stage, self.settings, self.exchange = stage, settings, exchange_of(stage)
        self.folder = Path(settings["log_directory"]) / f"{type(stage).__name__}-{stage.identity}"
        self.number = ""
        self.checkpoint: float | None = None
        self.read = 0  # bytes of the log that were shown
        self.shown: tuple[str, str] | None = None
        self.told = 0.0

    @property
    def log_file(self) -> Path:
        """What the job prints; a job that is put into the queue again goes on in it."""
        return self.folder / f"{self.number}.log"

    def attach(self) -> None:
        """Find the job that an earlier run has submitted, or submit one."""
        try:
            self.number = str(json.loads((self.exchange.folder / NOTE).read_bytes())["job"])
        except (OSError, ValueError, LookupError, TypeError):
            self.number = ""
        while self.number and (state := job_state(self.number))[0] == SILENT:
            self._show(*state)
            time.sleep(SECONDS_TO_LOOK)
        if self.number and state[0] in ALIVE:
            log.info("%s: SLURM job %s is there already, log %s", self.stage.label, self.number, self.log_file)
            self.read = self.log_file.stat().st_size if self.log_file.exists() else 0
        else:
            self.submit()

    def submit(self) -> None:
        """Write the files of the job and submit it; WorkerError if SLURM refuses it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.exchange.prepare(self.stage)
        script = job_script(self.folder, self.exchange.folder, self.stage.label, self.settings)
        write_bytes(self.folder / SCRIPT, script.encode())
        while (answer := ask_slurm("sbatch", "--parsable", str(self.folder / SCRIPT))).returncode:
            reason = " ".join(answer.stderr.split())
            if not BUSY.search(reason):
                raise WorkerError(
                    f"{self.stage.label}: SLURM refuses the job ({reason}); correct section [slurm-training] of "
                    "luigi.cfg"
                )
            log.warning("%s: SLURM accepts no more jobs for now (%s); trying again", self.stage.label, reason)
            time.sleep(6 * SECONDS_TO_LOOK)
        self.number = answer.stdout.strip().partition(";")[0]
        write_json(self.exchange.folder / NOTE, {"job": self.number})
        self.checkpoint, self.read = self._checkpoint_time(), 0
        log.info("%s: submitted SLURM job %s, log %s", self.stage.label, self.number, self.log_file)

    def wait(self) -> None:
        """Follow the job to its end. Raises as `train_by_slurm`."""
        while self.exchange.result() is None:
            state, reason = job_state(self.number)
            self._show(state, reason)
            if reason in NEVER:
                self.cancel()
                raise WorkerError(
                    f"{self.stage.label}: SLURM will never start job {self.number} ({reason}); correct section "
                    "[slurm-training] of luigi.cfg"
                )
            if state not in KNOWN_ALIVE and not self._has_result_soon():
                state, _ = job_state(self.number)  # on its way into the queue again, a job seems to have failed
                if state not in KNOWN_ALIVE:
                    self._go_on_after(state)
            time.sleep(SECONDS_TO_LOOK)
        self._show(*job_state(self.number))

    def cancel(self) -> None:
        """End the job; it writes a checkpoint first."""
        log.info("%s: cancelling SLURM job %s", self.stage.label, self.number)
        ask_slurm("scancel", "--full", "--signal=TERM", self.number)
        ask_slurm("scancel", self.number)

    def _has_result_soon(self) -> bool:
        """True if a job that has ended has left its result: a shared file system may show it some seconds later."""
        for _ in range(10):
            if self.exchange.result() is not None or self.exchange.failures():
                break
            time.sleep(SECONDS_TO_LOOK / 5)
        return self.exchange.result() is not None

    def _go_on_after(self, state: str) -> None:
        """Submit a job again that SLURM has ended, if its checkpoint went on; else WorkerError."""
        if state in BY_SLURM and self._checkpoint_time() != self.checkpoint:
            log.warning("%s: SLURM job %s has ended (%s); it is submitted again", self.stage.label, self.number, state)
            self.submit()
            return
        advice = {
            "CANCELLED": "somebody has cancelled it; run the same command again to go on from its checkpoint",
            "TIMEOUT": "its time limit is too short for a checkpoint; raise walltime in section [slurm-training]",
            "OUT_OF_MEMORY": "raise memory in section [slurm-training], or lower the batch size",
        }.get(state, f"read {self.log_file}")
        if advice.startswith("read") and self.exchange.failures():
            raise self.exchange.error(self.stage.label)
        raise WorkerError(f"{self.stage.label}: SLURM job {self.number} has ended ({state}); {advice}")

    def _checkpoint_time(self) -> float | None:
        path = self.stage.artifact.path / CHECKPOINT
        return path.stat().st_mtime if path.exists() else None

    def _show(self, state: str, reason: str) -> None:
        """Log a change of the state, what the job waits for every 30 s, and the new lines of its log."""
        now = time.monotonic()
        if (state, reason) != self.shown or (state in ("PENDING", SILENT) and now - self.told >= SECONDS_PER_LINE):
            why = f" ({reason})" if reason not in ("", "None") else ""
            told = "may be there, but SLURM does not answer" if state == SILENT else f"is {state.lower()}"
            log.info("%s: SLURM job %s %s%s", self.stage.label, self.number, told, why)
            self.shown, self.told = (state, reason), now
        if (progress := self.exchange.progress()) is not None:
            self.stage.report_progress(*progress)
        try:
            with open(self.log_file, "rb") as file:
                file.seek(self.read)
                new = file.read()
        except OSError:
            return
        whole = new[: new.rfind(b"\n") + 1]
        self.read += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            if found := LOG_LINE.match(line):
                log.info("job %s: %s", self.number, found[1])


def job_script(folder: Path, exchange: Path, label: str, settings: Mapping[str, Any]) -> str:
    """The script of a job, as ``sbatch`` takes it.

    On each node, one task starts the ranks (`tasks.runtime.slurm_ranks`). A trap passes SLURM's warning on to them.
    They write a checkpoint and end, and the script puts the job into the queue again.

    Parameters
    ----------
    folder : Path
        Folder of the logs.
    exchange : Path
        Folder of the `tasks.runtime.rank_exchange.RankExchange`.
    label : str
        Name of the stage.
    settings : dict
        Options of `tasks.runtime.slurm_settings`.
    """
    warning = int(settings.get("warning_seconds", SECONDS_OF_WARNING))
    directives = {
        "job-name": settings.get("job_name", f"depthseed-{label}"),
        "output": f"{folder}/%j.log",
        "open-mode": "append",
        "signal": f"B:USR1@{warning}",
        "nodes": settings.get("nodes", 1),
        "ntasks-per-node": 1,
        "cpus-per-task": settings.get("cores"),
        "mem": settings.get("memory"),
        "time": settings.get("walltime"),
        "partition": settings.get("queue"),
        "account": settings.get("account"),
    }
    lines = [f"--{name}={value}" for name, value in directives.items() if value is not None]
    lines += ["--requeue", *settings.get("job_extra_directives", ())]
    skipped = settings.get("job_directives_skip", ())
    kept = [f"#SBATCH {line}" for line in lines if not any(word in line for word in skipped)]
    command = shlex.join([settings.get("python", sys.executable), "-m", "tasks.runtime.slurm_ranks", str(exchange)])
    home = Path(__file__).resolve().parents[2]
    return "\n".join([
        "#!/usr/bin/env bash", *kept, *settings.get("job_script_prologue", ()),
        f"cd {shlex.quote(str(Path.cwd()))}",
        f'export PYTHONPATH={shlex.quote(str(home))}"${{PYTHONPATH:+:$PYTHONPATH}}"',
        # The time for the last checkpoint; torchrun would kill the ranks after 30 s.
        f"export TORCH_ELASTIC_SHUTDOWN_TIMEOUT={max(1, warning - SECONDS_TO_END)}",
        # Since SLURM 22.05 srun does not take it from sbatch.
        '[ -z "$SLURM_CPUS_PER_TASK" ] || export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"',
        "again=",
        'tell() { interrupted=yes; scancel --signal=TERM "$SLURM_JOB_ID.0"; }',
        "trap 'again=yes; tell' USR1",
        "trap tell TERM",
        f"srun --kill-on-bad-exit=1 {command} &",
        "ranks=$!",
        'while interrupted=; wait "$ranks"; code=$?; [ "$interrupted" ]; do :; done  # a signal ends a wait',
        f'if [ "$again" ] && [ ! -e {shlex.quote(str(exchange / "result.json"))} ]; then',
        '  echo "time limit: job $SLURM_JOB_ID goes into the queue again"',
        '  scontrol requeue "$SLURM_JOB_ID"',
        "  sleep 60  # SLURM ends this script",
        "fi",
        'exit "$code"', "",
    ])  # fmt: skip
