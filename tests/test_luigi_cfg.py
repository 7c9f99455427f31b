"""luigi.cfg is the output of the command that writes it, and every line of it is read by a stage."""

import configparser
from pathlib import Path

import pytest

import pipeline
from pipeline.configuration import SHOWN_FOR_COMMON, config_text
from pipeline.surroundings import SETTINGS
from tasks.runtime.luigi_seam import default_text, has_default
from tasks.runtime.stage import COMMON, StageTask

TEXT = (Path(__file__).parent.parent / "luigi.cfg").read_text()


def sections() -> dict[str, dict[str, str]]:
    """Sections with the commented defaults taken in; comments proper have a space after the #."""
    lines = [line[1:] if line.startswith("#") and not line.startswith("# ") else line for line in TEXT.splitlines()]
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string("\n".join(lines))
    return {name: dict(parser[name]) for name in parser.sections()}


def test_the_file_is_what_the_command_writes():
    assert config_text() == TEXT, "run: python -m pipeline config > luigi.cfg"


@pytest.mark.parametrize("stage", pipeline.__all__)
def test_every_default_of_a_stage_is_shown(stage):
    shares = issubclass(getattr(pipeline, stage), StageTask) and stage != SHOWN_FOR_COMMON
    common = COMMON if shares else ()
    expected = {
        name: default_text(parameter)
        for name, parameter in getattr(pipeline, stage).get_params()
        if name not in common and has_default(parameter)
    }
    assert sections().get(stage, {}) == expected


def test_luigis_own_settings_are_those_of_the_code():
    for (section, option), value in SETTINGS.items():
        assert sections()[section][option] == value


@pytest.mark.parametrize("stage", pipeline.__all__)
def test_the_help_of_a_stage_can_be_printed(stage):
    """argparse takes a percent sign for a format."""
    parameters = dict(getattr(pipeline, stage).get_params())
    assert [name for name, parameter in parameters.items() if "%" in (parameter.description or "")] == []
