"""What every run needs around it: Luigi settings that work without luigi.cfg, and readable log lines."""

from __future__ import annotations

import importlib.util
import itertools
import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import luigi.configuration

log = logging.getLogger("depthseed")

SETTINGS = {
    ("core", "local_scheduler"): "true",
    ("core", "log_level"): "WARNING",
    ("core", "no_lock"): "true",  # luigi's lock would refuse a second run; each artifact has a lock of its own
    ("worker", "check_complete_on_run"): "true",
    ("retcode", "already_running"): "10",
    ("retcode", "missing_data"): "20",
    ("retcode", "not_run"): "25",
    ("retcode", "task_failed"): "30",
    ("retcode", "scheduling_error"): "35",
    ("retcode", "unhandled_exception"): "40",
    ("resources", "gpu"): "1",
}
"""Without these luigi looks for a server, and a failed run exits with 0. luigi.cfg wins over them."""

EXPECTED = re.compile(r"^data\.errors\.\w+: (.+?)$", re.MULTILINE)

WRONG_VALUE = re.compile(r"^(?:\w+\.)*ValueError: (.+)$", re.MULTILINE)
DEFAULT = re.compile(r"ValueError: (\w+)\[args=.*Error when parsing the default value of '(\w+)'")
"""Luigi's words for a value in luigi.cfg, or of a stage's flag, that is of the wrong kind."""


class OneLine(logging.Filter):
    """Turns a traceback that ends in an error meant for the user into that error's one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = logging.Formatter().format(record)
        found = EXPECTED.findall(text)
        if line := found[-1] if found else wrong_value(text, sys.argv):
            record.msg, record.args, record.exc_info, record.exc_text = line, (), None, None
            record.levelno, record.levelname = logging.ERROR, "ERROR"
        return True


def wrong_value(text: str, arguments: Sequence[str]) -> str | None:
    """What a traceback of Luigi's parameters has to say of a value it cannot take, in one line; None for any other."""
    if "luigi/parameter.py" not in text or not (reasons := WRONG_VALUE.findall(text)):
        return None
    flags = [
        f"{flag} {value}"
        for flag, value in itertools.pairwise(arguments)
        if flag.startswith("--") and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", reasons[0])
    ]
    if defaults := DEFAULT.search(text):
        flags = flags or [f"{defaults[1]}, {defaults[2]} in luigi.cfg"]
    return f"{flags[0] if flags else 'a parameter'}: {reasons[0]}"


ROOMS = ("data", "models", "pipeline", "tasks")


def check_rooms() -> None:
    """End with one line if another package has one of this project's names, which are common ones."""
    folders = {name: _folder(name) for name in ROOMS}
    home = folders["pipeline"]
    strangers = [f"'{name}' is {folder or 'missing'}" for name, folder in folders.items() if folder != home]
    if strangers:
        sys.exit(
            f"ERROR: {'; '.join(strangers)}, but depthseed is in {home}; install depthseed in an environment of its own"
        )


def _folder(name: str) -> Path | None:
    """The folder in which a package lies, without importing it."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).resolve().parent.parent if spec and spec.origin else None


def prepare() -> None:
    """Check where the packages lie, give Luigi its missing defaults, set up the log. A second call changes nothing."""
    check_rooms()
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
        path = Path(os.environ.get("LUIGI_CONFIG_PATH", "luigi.cfg"))
        if not path.exists():
            log.info("no luigi.cfg in %s: the defaults in the code apply", Path.cwd())
