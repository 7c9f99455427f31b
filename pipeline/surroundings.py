"""What every run needs: luigi settings that work without luigi.cfg, readable log lines, a check of the packages."""

from __future__ import annotations

import importlib.util
import itertools
import logging
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from pipeline.interrupts import end_well_on_signals
from pipeline.settings_file import check_readable, settings_path

log = logging.getLogger("depthseed")

SETTINGS = {
    ("core", "local_scheduler"): "true",
    ("core", "log_level"): "WARNING",
    ("core", "no_lock"): "true",  # luigi's lock would refuse a second run; each artifact has its own lock
    ("worker", "check_complete_on_run"): "true",
    ("retcode", "already_running"): "10",
    ("retcode", "missing_data"): "20",
    ("retcode", "not_run"): "25",
    ("retcode", "task_failed"): "30",
    ("retcode", "scheduling_error"): "35",
    ("retcode", "unhandled_exception"): "40",
}
"""Defaults of luigi's own settings: (section, option) -> value. luigi.cfg overrides them.

Without them, luigi looks for a server, and a failed run exits with 0.
"""

EXPECTED = re.compile(r"^data\.errors\.\w+: (.+?)$", re.MULTILINE)
"""The last line of a traceback of an error for the user."""

WRONG_VALUE = re.compile(r"^(?:\w+\.)*ValueError: (.+)$", re.MULTILINE)
DEFAULT = re.compile(r"ValueError: (\w+)\[args=.*Error when parsing the default value of '(\w+)'")
"""luigi's messages about a wrong value in luigi.cfg or in a flag of a stage."""

MISSING = re.compile(r"MissingParameterException: (\w+)\[.*requires the '(\w+)' parameter to be set")
"""luigi's message about a parameter without a default."""


class OneLine(logging.Filter):
    """Log filter: if a traceback ends in an error for the user, only the line of this error is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        if line := user_line(logging.Formatter().format(record), sys.argv):
            record.msg, record.args, record.exc_info, record.exc_text = line, (), None, None
            record.levelno, record.levelname = logging.ERROR, "ERROR"
        return True


def user_line(text: str, arguments: Sequence[str]) -> str | None:
    """The line for the user in a traceback; None if the traceback is of a bug.

    Parameters
    ----------
    text : str
        The traceback.
    arguments : sequence of str
        The command line, in which the flag of a wrong value is searched.
    """
    if found := EXPECTED.findall(text):
        return found[-1]
    if missing := MISSING.search(text):
        return f"{missing[1]} needs --{missing[2].replace('_', '-')}"
    return wrong_value(text, arguments)


def hook_exceptions() -> None:
    """Print only the line of an error for the user, also where luigi lets it end the process. A second call is idle."""
    before = sys.excepthook
    if getattr(before, "prints_one_line", False):
        return

    def hook(kind, error, trace):
        line = user_line("".join(traceback.format_exception(kind, error, trace)), sys.argv)
        if line:
            print(f"ERROR: {line}", file=sys.stderr)
        else:
            before(kind, error, trace)

    vars(hook)["prints_one_line"] = True
    sys.excepthook = hook


def wrong_value(text: str, arguments: Sequence[str]) -> str | None:
    """The line about a wrong value of a parameter, from a traceback of luigi; None for any other traceback.

    Parameters
    ----------
    text : str
        The traceback.
    arguments : sequence of str
        The command line, in which the flag of the value is searched.
    """
    if "luigi/parameter.py" not in text or not (reasons := WRONG_VALUE.findall(text)):
        return None
    told = reasons[0].partition(" from {")[0]  # without the valid choices
    flags = [
        f"{flag} {value}"
        for flag, value in itertools.pairwise(arguments)
        if flag.startswith("--") and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", told)
    ]
    if defaults := DEFAULT.search(text):
        flags = flags or [f"{defaults[1]}, {defaults[2]} in luigi.cfg"]
    return f"{flags[0] if flags else 'a parameter'}: {reasons[0]}"


ROOMS = ("data", "models", "pipeline", "tasks")
"""The packages of this project."""


def check_rooms() -> None:
    """Exit with one line if another package has the name of a package of this project. These names are common."""
    folders = {name: _folder(name) for name in ROOMS}
    home = folders["pipeline"]
    strangers = [f"'{name}' is {folder or 'missing'}" for name, folder in folders.items() if folder != home]
    if strangers:
        sys.exit(
            f"ERROR: {'; '.join(strangers)}, but depthseed is in {home}; install depthseed in an environment of its own"
        )


def _folder(name: str) -> Path | None:
    """The folder that contains a package; None if there is none. The package is not imported."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).resolve().parent.parent if spec and spec.origin else None


def prepare() -> None:
    """Check the packages and luigi.cfg, set luigi's missing settings, set up the log. A second call changes nothing."""
    hook_exceptions()
    end_well_on_signals()
    check_rooms()
    check_readable(settings_path())
    import luigi.configuration  # it reads luigi.cfg

    config = luigi.configuration.get_config()
    for (section, option), value in SETTINGS.items():
        if not config.has_option(section, option):
            config.set(section, option, value)
    interface = logging.getLogger("luigi-interface")
    if not any(isinstance(item, OneLine) for item in interface.filters):
        interface.addFilter(OneLine())
    if not log.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
        if not settings_path().exists():
            log.info("there is no luigi.cfg in %s; the defaults in the code apply", Path.cwd())
