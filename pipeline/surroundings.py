"""What every run needs around it: Luigi settings that work without luigi.cfg, and readable log lines."""

from __future__ import annotations

import logging
import os
import re
import sys
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
}
"""Without these luigi looks for a server, and a failed run exits with 0. luigi.cfg wins over them."""

EXPECTED = re.compile(r"^data\.errors\.\w+: (.+?)$", re.MULTILINE)


class OneLine(logging.Filter):
    """Turns a traceback that ends in an error meant for the user into that error's one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = logging.Formatter().format(record)
        found = EXPECTED.findall(text)
        if found:
            record.msg, record.args, record.exc_info, record.exc_text = found[-1], (), None, None
            record.levelno, record.levelname = logging.ERROR, "ERROR"
        return True


def prepare() -> None:
    """Give Luigi the defaults it lacks and set up the project's log. Calling it twice changes nothing."""
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
