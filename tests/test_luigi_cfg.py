"""luigi.cfg shows every parameter of every stage with its true default, and nothing else."""

import configparser
from pathlib import Path

import pytest

import pipeline
from pipeline.surroundings import SETTINGS
from tasks.runtime.stage import COMMON

TEXT = (Path(__file__).parent.parent / "luigi.cfg").read_text()


def sections() -> dict[str, dict[str, str]]:
    """Sections with the commented defaults taken in; comments proper have a space after the #."""
    lines = [line[1:] if line.startswith("#") and not line.startswith("# ") else line for line in TEXT.splitlines()]
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string("\n".join(lines))
    return {name: dict(parser[name]) for name in parser.sections()}


@pytest.mark.parametrize("stage", pipeline.__all__)
def test_every_default_of_a_stage_is_shown(stage):
    common = () if stage == "RunAll" else COMMON
    expected = {
        name: parameter.serialize(parameter._default)
        for name, parameter in getattr(pipeline, stage).get_params()
        if name not in common
    }
    assert sections().get(stage, {}) == expected


def test_no_section_of_a_stage_that_is_not_there():
    assert set(sections()) - set(pipeline.__all__) == {"core", "worker", "retcode", "resources"}


def test_luigis_own_settings_are_those_of_the_code():
    for (section, option), value in SETTINGS.items():
        assert sections()[section][option] == value
