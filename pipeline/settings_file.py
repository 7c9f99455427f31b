"""luigi.cfg: whether it can be read, and whether all that it says has an effect."""

from __future__ import annotations

import configparser
import difflib
import logging
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from data.errors import SettingError

log = logging.getLogger("depthseed")

OTHER_SECTIONS = frozenset({
    "batch_notifier", "core", "dask", "email", "execution_summary", "logging", "resources", "retcode", "scheduler",
    "sendgrid", "slurm", "slurm-cpu", "slurm-gpu", "slurm-training", "smtp", "task_history", "worker",
})  # fmt: skip
"""Sections of luigi, and those of this project that belong to no task."""


def settings_path() -> Path:
    """The file that luigi reads in addition to those in /etc/luigi."""
    return Path(os.environ.get("LUIGI_CONFIG_PATH", "luigi.cfg"))


def check_readable(path: Path) -> None:
    """Check the form of a settings file. Call this before luigi is imported, which reads the file then.

    Raises
    ------
    SettingError
        If it is no regular file, is not UTF-8, or is not of the form of luigi.cfg.
    """
    if path.suffix == ".toml" or not os.path.exists(path):
        return
    if not path.is_file():
        raise SettingError(f"{path}: is not a regular file; remove it or write settings into it")
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text("utf-8"), str(path))
    except OSError as error:
        raise SettingError(f"{path}: cannot be read ({error.strerror}); correct its permissions") from error
    except UnicodeDecodeError as error:
        raise SettingError(
            f"{path}: is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from error
    except configparser.Error as error:
        raise SettingError(f"{path}: {_one_line(error)}; write lines of the form name=value below [Stage]") from error


def check_sections(config: configparser.ConfigParser, parameters: Mapping[str, Collection[str]]) -> None:
    """Check that every section and option of the settings is known. luigi would ignore others without a word.

    Parameters
    ----------
    config : ConfigParser
    parameters : dict
        Name of each task -> names of its parameters.

    Raises
    ------
    SettingError
        If a task has no such parameter, the name of a section is similar to that of a task, or a value refers to an
        environment variable that does not exist.
    """
    for section in config.sections():
        if section in parameters:
            for option in config.options(section):
                name = option.replace("-", "_")
                if option not in config.defaults() and name not in parameters[section]:
                    near = _near(name, parameters[section])
                    raise SettingError(f"luigi.cfg: {section} has no parameter '{option}'{near}")
                try:
                    config.get(section, option)
                except configparser.Error as error:
                    raise SettingError(f"luigi.cfg: [{section}] {option}: {_one_line(error)}; correct it") from error
        elif section not in OTHER_SECTIONS:
            if near := _near(section, parameters):
                raise SettingError(f"luigi.cfg: there is no stage '{section}'{near}")
            log.warning("luigi.cfg: section [%s] belongs to no stage; it has no effect here", section)


def _near(name: str, known: Collection[str]) -> str:
    """The end of an error line with similar names; empty if there is none."""
    lower = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.7)
    return f"; did you mean: {', '.join(lower[one] for one in near)}?" if near else ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
