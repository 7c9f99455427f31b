"""What luigi.cfg says of the SLURM jobs: the section [slurm] for all kinds of jobs, and one section for each kind.

::

    [slurm]
    account=robots
    walltime=04:00:00
    job_script_prologue=["module load cuda"]

    [slurm-cpu]
    jobs=4
    cores=8
    memory=16GB

    [slurm-gpu]
    jobs=8
    cores=4
    memory=32GB
    queue=gpu
"""

from __future__ import annotations

import configparser
import difflib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import luigi

from data.errors import SettingError

SLURM = "slurm"
"""The section for all kinds of jobs. A section ``slurm-<kind>`` overrides it."""

CPU, GPU, TRAINING = "cpu", "gpu", "training"
"""Kinds of jobs: workers that compute on one core each, workers with one GPU each, and trainings."""

LOGS = "slurm-logs"
"""Folder for the logs of the jobs, in the working directory; the option ``log_directory`` names another."""


def _whole(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d*", text):
        raise ValueError("give a whole number above 0")
    return int(text)


def _texts(text: str) -> list[str]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError:
        values = None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError('give a list of texts as JSON, such as ["--nice=10"]')
    return values


def _one_line(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError("give one line of text")
    return text


def _time(text: str) -> str:
    seconds_of(text)
    return text


OF_ALL: dict[str, Callable[[str], Any]] = {
    "account": _one_line,
    "cores": _whole,
    "job_directives_skip": _texts,
    "job_extra_directives": _texts,
    "job_name": _one_line,
    "job_script_prologue": _texts,
    "log_directory": _one_line,
    "memory": _one_line,
    "python": _one_line,
    "queue": _one_line,
    "walltime": _time,
}
"""Options of every kind of job, under the names of ``dask_jobqueue.SLURMCluster`` -> how their text is read."""

OF_WORKERS: dict[str, Callable[[str], Any]] = {
    "death_timeout": _whole,
    "interface": _one_line,
    "jobs": _whole,
    "local_directory": _one_line,
    "shared_temp_directory": _one_line,
    "worker_extra_args": _texts,
}
"""More options of jobs that are Dask workers; ``jobs`` is their number, all others as in ``SLURMCluster``."""

OF_TRAININGS: dict[str, Callable[[str], Any]] = {"nodes": _whole, "warning_seconds": _whole}
"""More options of jobs that are trainings."""

OPTIONS = {CPU: OF_ALL | OF_WORKERS, GPU: OF_ALL | OF_WORKERS, TRAINING: OF_ALL | OF_TRAININGS}
"""Kind of job -> its options."""


def slurm_settings(kind: str) -> dict[str, Any]:
    """The options of one kind of job: those of its own section, then those of [slurm].

    Parameters
    ----------
    kind : str
        ``cpu``, ``gpu`` or ``training``.

    Returns
    -------
    dict of name -> value
        ``log_directory`` is always there, as an absolute path.

    Raises
    ------
    SettingError
        If an option is unknown, or its value cannot be read.
    """
    config = luigi.configuration.get_config()
    check_slurm_sections(config)
    options: dict[str, Any] = {"log_directory": LOGS}
    for section in (SLURM, f"{SLURM}-{kind}"):
        if config.has_section(section):
            options |= {name: value for name, value in _read(config, section).items() if name in OPTIONS[kind]}
    options["log_directory"] = str(Path(options["log_directory"]).expanduser().absolute())
    return options


def check_slurm_sections(config: configparser.ConfigParser) -> None:
    """Read all sections about SLURM.

    Raises
    ------
    SettingError
        If a section or an option is unknown, or a value cannot be read.
    """
    names = [SLURM, *(f"{SLURM}-{kind}" for kind in OPTIONS)]
    for section in config.sections():
        if section in names:
            _read(config, section)
        elif re.match(r"slurm\W|slurm_", section, re.IGNORECASE):
            raise SettingError(f"luigi.cfg: there is no section [{section}]; use {', '.join(names)}")


def _read(config: configparser.ConfigParser, section: str) -> dict[str, Any]:
    """The options of one section: name -> value."""
    _, _, kind = section.partition("-")
    known: Mapping[str, Callable] = (
        OPTIONS[kind] if kind else {name: read for k in OPTIONS.values() for name, read in k.items()}
    )
    found = {}
    for option in config.options(section):
        if option in config.defaults():
            continue
        name = option.replace("-", "_")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.7)
            which = f"did you mean {', '.join(near)}?" if near else f"known are {', '.join(sorted(known))}"
            raise SettingError(f"luigi.cfg: section [{section}] has an unknown option '{option}'; {which}")
        try:
            found[name] = known[name](config.get(section, option).strip())
        except configparser.Error as error:
            text = " ".join(str(error).split())
            raise SettingError(f"luigi.cfg: [{section}] {option}: {text}; correct it, and write %% for a %") from error
        except ValueError as error:
            raise SettingError(f"luigi.cfg: [{section}] {option}: {error}") from error
    return found


def seconds_of(walltime: str) -> float | None:
    """A time limit as SLURM writes it, in seconds; None if there is no limit.

    Parameters
    ----------
    walltime : str
        ``minutes``, ``minutes:seconds``, ``hours:minutes:seconds``, ``days-hours``, ``days-hours:minutes``,
        ``days-hours:minutes:seconds``, ``UNLIMITED`` or ``INFINITE``.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if walltime.upper() in ("UNLIMITED", "INFINITE"):
        return None
    if not re.fullmatch(r"(\d+-\d+(:\d+){0,2}|\d+(:\d+){0,2})", walltime):
        raise ValueError(f"'{walltime}' is no time limit; give hours:minutes:seconds")
    days, dash, rest = walltime.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if dash:
        hours, minutes, seconds = (*parts, 0, 0)[:3]
    else:
        hours, minutes, seconds = {1: (0, *parts, 0), 2: (0, *parts), 3: (*parts,)}[len(parts)]
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds
