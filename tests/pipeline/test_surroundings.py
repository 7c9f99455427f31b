import logging
import subprocess
import sys
import traceback

import luigi
import luigi.configuration

from data.errors import DatasetError
from pipeline.surroundings import SETTINGS, OneLine, hook_exceptions, prepare, user_line, wrong_value
from tasks.fetch_dataset import FetchDataset
from tasks.refine_saliency import RefineSaliency


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


def traceback_of(function, *arguments) -> str:
    try:
        function(*arguments)
    except (ValueError, luigi.parameter.MissingParameterException):
        return traceback.format_exc()
    raise AssertionError("no error")


def test_a_value_of_the_wrong_kind_is_one_line_with_its_flag():
    text = traceback_of(luigi.IntParameter().parse, "x")
    line = wrong_value(text, ["luigi", "--module", "pipeline", "RunAll", "--data-root", "xy", "--seed", "x"])
    assert line == "--seed x: invalid literal for int() with base 10: 'x'"


def test_an_unknown_choice_is_one_line_with_the_choices():
    text = traceback_of(luigi.ChoiceParameter(choices=["gap"]).normalize, "gab")
    assert wrong_value(text, ["luigi", "--head", "gab"]) == "--head gab: gab is not a valid choice from {'gap'}"
    assert wrong_value(text, ["luigi"]).startswith("a parameter: gab")


def test_a_wrong_value_in_luigi_cfg_names_stage_and_parameter():
    config = luigi.configuration.get_config()
    config.set("RefineSaliency", "refine", "much")
    try:
        text = traceback_of(RefineSaliency)
    finally:
        config.remove_section("RefineSaliency")
    assert wrong_value(text, []) == "RefineSaliency, refine in luigi.cfg: cannot interpret 'much' as boolean"


def test_the_valid_choices_are_not_taken_for_the_value():
    text = traceback_of(luigi.ChoiceParameter(choices=["bop"]).normalize, "gif")
    assert wrong_value(text, ["--dataset", "bop", "--formats", "gif"]).startswith("--formats gif: gif is not")


def test_a_missing_value_names_its_flag():
    text = traceback_of(FetchDataset)
    assert user_line(text, []) == "FetchDataset needs --dataset"


def test_an_error_that_ends_the_process_is_one_line(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: shown.append(error))
    hook_exceptions()
    hook_exceptions()
    for error in (DatasetError("rgb/1.jpg: file is missing; restore it"), ZeroDivisionError("a bug")):
        try:
            raise error
        except Exception:
            sys.excepthook(*sys.exc_info())
    assert capsys.readouterr().err == "ERROR: rgb/1.jpg: file is missing; restore it\n"
    assert [type(error) for error in shown] == [ZeroDivisionError]


def test_a_value_error_elsewhere_is_a_bug():
    assert wrong_value(traceback_of(int, "x"), ["--seed", "x"]) is None


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


def test_a_strangers_package_of_the_same_name_is_one_line(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/__init__.py").write_text("")
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import pipeline"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"ERROR: 'models' is {tmp_path}, but depthseed is in ")
    assert line.endswith("install depthseed in an environment of its own")
