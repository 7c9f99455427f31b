"""What SLURM says of jobs."""

from __future__ import annotations

import logging
import re
import subprocess
import time

log = logging.getLogger("depthseed")

SECONDS_OF_ANSWER = 60
"""How long SLURM may take to answer."""

TRIES = 5
"""How many times a command is tried, if SLURM does not answer."""

ALIVE = frozenset({
    "PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT",
    "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT",
})  # fmt: skip
"""States of a job that has not ended. A requeued job keeps its number."""

BUSY = re.compile(r"submit limit|submitjob|socket timed out|temporarily|unable to contact|try again|Too many", re.I)
"""What sbatch says of a job that it would accept at another time."""

FORGOTTEN = "Invalid job id"
"""What squeue says of a job some minutes after its end."""

NEVER = frozenset({
    "AccountNotAllowed", "AssocMaxWallDurationPerJobLimit", "BadConstraints", "InvalidAccount", "InvalidQOS",
    "PartitionNodeLimit", "PartitionTimeLimit", "QOSMaxWallDurationPerJobLimit", "QOSNotAllowed",
})  # fmt: skip
"""Reasons of SLURM for which a pending job would wait for ever."""

GONE, SILENT = "GONE", "SILENT"
"""State of a job that SLURM does not know any more, and of a job while SLURM does not answer."""


def ask_slurm(*command: str, tries: int = TRIES) -> subprocess.CompletedProcess:
    """Run a command of SLURM; it is tried again while the controller does not answer."""
    for number in range(tries):
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_OF_ANSWER, check=False)
        except subprocess.TimeoutExpired:
            answer = subprocess.CompletedProcess(command, 1, "", f"{command[0]} did not answer")
        except OSError as error:
            return subprocess.CompletedProcess(command, 1, "", f"{command[0]}: {error.strerror or error}")
        trouble = answer.stderr.lower()
        if not answer.returncode or not any(
            word in trouble for word in ("timed out", "unable to contact", "not answer")
        ):
            return answer
        log.warning("SLURM does not answer; asking again")
        time.sleep(2**number)
    return answer


def job_state(number: str) -> tuple[str, str]:
    """State of a job and why it waits; `GONE` if SLURM does not know it any more, `SILENT` and why if it is silent."""
    answer = ask_slurm("squeue", "--noheader", "--states=all", f"--jobs={number}", "--format=%T|%r")
    state, _, reason = answer.stdout.strip().partition("\n")[0].partition("|")
    if state:
        return state, reason
    if answer.returncode and FORGOTTEN not in answer.stderr:
        return SILENT, " ".join(answer.stderr.split())
    return GONE, ""
