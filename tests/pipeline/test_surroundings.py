import logging

import luigi.configuration

from data.errors import DatasetError
from pipeline.surroundings import SETTINGS, OneLine, prepare


def record_of(error: Exception) -> logging.LogRecord:
    try:
        raise error
    except Exception as caught:
        info = (type(caught), caught, caught.__traceback__)
        return logging.LogRecord("luigi-interface", logging.ERROR, "f", 1, "Worker %s failed", ("w",), info)


def test_an_error_for_the_user_is_one_line():
    record = record_of(DatasetError("rgb/1.jpg: file is missing; restore it"))
    OneLine().filter(record)
    assert logging.Formatter("%(levelname)s: %(message)s").format(record) == (
        "ERROR: rgb/1.jpg: file is missing; restore it"
    )


def test_a_traceback_as_text_is_shortened_too():
    text = (
        "Will not run X\nTraceback (most recent call last):\n  File a\ndata.errors.DatasetError: no folder; make one\n"
    )
    record = logging.LogRecord("luigi-interface", logging.WARNING, "f", 1, text, (), None)
    OneLine().filter(record)
    assert record.getMessage() == "no folder; make one"


def test_a_bug_keeps_its_traceback():
    record = record_of(ZeroDivisionError("division"))
    OneLine().filter(record)
    assert "Traceback" in logging.Formatter().format(record)


def test_settings_that_a_file_gives_win(monkeypatch):
    config = luigi.configuration.get_config()
    before = config.get("core", "log_level")
    config.set("core", "log_level", "DEBUG")
    prepare()
    assert config.get("core", "log_level") == "DEBUG"
    config.set("core", "log_level", before)
    for section, option in SETTINGS:
        assert config.has_option(section, option)
