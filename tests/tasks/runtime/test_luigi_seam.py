"""What the project uses of luigi's private names still does what it did."""

import luigi
import pytest
from luigi.task_register import Register, TaskClassAmbigiousException

from tasks.runtime.luigi_seam import (
    add_parameter,
    choices_of,
    default_text,
    default_value,
    forget_instances,
    has_default,
    is_set,
    registered_tasks,
)
from tasks.runtime.numeric import NumbersParameter, Range


class PaintDot(luigi.Task):
    size = luigi.IntParameter(default=3)
    place = luigi.Parameter()
    colour = luigi.ChoiceParameter(default="red", choices=("red", "blue"))
    scales = NumbersParameter((1.0, 0.5), "", Range(above=0))


@pytest.fixture
def config():
    yield luigi.configuration.get_config()
    luigi.configuration.get_config().remove_section("PaintDot")


def test_a_parameter_is_set_by_luigi_cfg_and_not_by_its_default(config):
    assert not is_set(PaintDot.size, "PaintDot", "size")
    config.set("PaintDot", "size", "3")
    assert is_set(PaintDot.size, "PaintDot", "size")
    assert PaintDot.size.task_value("PaintDot", "size") == 3
    assert has_default(PaintDot.size)


def test_a_parameter_is_set_by_the_command_line():
    with luigi.cmdline_parser.CmdlineParser.global_instance(["PaintDot", "--place", "a", "--PaintDot-size", "4"]):
        assert is_set(PaintDot.size, "PaintDot", "size")
        assert not is_set(PaintDot.colour, "PaintDot", "colour")


def test_defaults_as_values_and_as_text():
    assert has_default(PaintDot.size)
    assert not has_default(PaintDot.place)
    assert (default_value(PaintDot.size), default_text(PaintDot.size)) == (3, "3")
    assert (default_value(PaintDot.scales), default_text(PaintDot.scales)) == ((1.0, 0.5), "1,0.5")


def test_choices_of_a_choice_and_of_nothing_else():
    assert set(choices_of(PaintDot.colour)) == {"red", "blue"}
    assert choices_of(PaintDot.size) == ()


def test_a_parameter_added_later_is_like_any_other(config):
    task = type("PaintLine", (luigi.Task,), {"size": luigi.IntParameter(default=1)})
    add_parameter(task, "width", luigi.FloatParameter(default=0.5))
    assert [name for name, _ in task.get_params()] == ["size", "width"]
    assert task(width=2.0).width == 2.0
    assert task().param_kwargs == {"size": 1, "width": 0.5}


def test_tasks_are_found_by_name():
    assert registered_tasks()["PaintDot"] is PaintDot
    assert all(isinstance(task, type) for task in registered_tasks().values())


def test_a_forgotten_instance_is_made_again():
    first = PaintDot(place="a")
    assert PaintDot(place="a") is first
    forget_instances()
    assert PaintDot(place="a") is not first


def test_two_classes_of_one_name_are_an_error(monkeypatch):
    monkeypatch.setattr(Register, "_reg", [*Register._reg])
    type("PaintDot", (luigi.Task,), {})
    with pytest.raises(TaskClassAmbigiousException):
        registered_tasks()
