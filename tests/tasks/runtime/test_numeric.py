"""Every numeric parameter of every task has a range, and a value outside it is one error line with its flag."""

import json
import math

import luigi
import pytest
from luigi.cmdline_parser import CmdlineParser

import pipeline
from data.errors import SettingError
from pipeline.configuration import SHOWN_FOR_COMMON
from tasks.presets import METHOD_DEFAULTS, PROFILES
from tasks.runtime.dag import stages
from tasks.runtime.luigi_seam import default_value
from tasks.runtime.numeric import (
    NumberOrName,
    NumberParameter,
    NumbersParameter,
    Range,
    WholeParameter,
    number,
    ranged_parameters,
    require_legal,
    require_order,
    whole,
)
from tasks.runtime.stage import COMMON, StageTask
from tasks.train_classifier import TrainClassifier

TASKS = [getattr(pipeline, name) for name in pipeline.__all__]
NUMBERS = [
    (task, name)
    for task in TASKS
    for name in ranged_parameters(task)
    if name not in COMMON or task.__name__ == SHOWN_FOR_COMMON or not issubclass(task, StageTask)
]
PRESETS = {**{name: profile.settings for name, profile in PROFILES.items()}, **METHOD_DEFAULTS}

all_numbers = pytest.mark.parametrize(("task", "name"), NUMBERS, ids=lambda value: getattr(value, "__name__", value))


def flag(task, name):
    is_shared = issubclass(task, StageTask) and name in COMMON
    return (f"--{name}" if is_shared else f"--{task.__name__}-{name}").replace("_", "-")


def wrong_values(parameter) -> list:
    """Values beyond each bound, and what is no finite number."""
    legal, found = parameter.legal, [math.nan, math.inf, -math.inf, "many", True, 1e31, 10**400]
    found += [bound - 1 for bound in (legal.at_least, legal.above) if bound is not None]
    found += [bound + 1 for bound in (legal.at_most, legal.below) if bound is not None]
    found += [bound for bound in (legal.above, legal.below) if bound is not None]
    found += [sum(legal.among)] if legal.among else []
    if isinstance(parameter, NumbersParameter):
        size = parameter.count or 2
        listed = [(*[legal.at_most or 1.0] * (size - 1), value) for value in found if value != "many"]
        return ["many", (), *listed, *([(1.0,) * (size + 1)] if parameter.count else [])]
    return [*found, 1.5] if isinstance(parameter, WholeParameter) else found


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.__name__)
def test_every_numeric_parameter_has_a_range(task):
    kinds = (luigi.IntParameter, luigi.FloatParameter, luigi.parameter.NumericalParameter)
    ranged = ranged_parameters(task)
    assert [name for name, parameter in task.get_params() if isinstance(parameter, kinds) and name not in ranged] == []
    assert [name for name, parameter in ranged.items() if not (parameter.legal.bounds or parameter.legal.among)] == []


@all_numbers
def test_the_default_is_legal(task, name):
    parameter = ranged_parameters(task)[name]
    assert parameter.allows(default_value(parameter))


@pytest.mark.parametrize("source", PRESETS)
def test_the_presets_are_legal(source):
    for stage, values in PRESETS[source].items():
        ranged = ranged_parameters(getattr(pipeline, stage))
        assert [name for name, value in values.items() if name in ranged and not ranged[name].allows(value)] == []


@all_numbers
def test_a_value_outside_the_range_is_one_line_with_the_flag(task, name):
    parameter = ranged_parameters(task)[name]
    values = {other: default_value(found) for other, found in ranged_parameters(task).items()}
    for wrong in wrong_values(parameter):
        with pytest.raises(SettingError) as caught:
            require_legal(task, {**values, name: wrong}, COMMON if issubclass(task, StageTask) else ())
        assert str(caught.value).startswith(f"{flag(task, name)} is ")
        assert "; set it to " in str(caught.value)
        assert "\n" not in str(caught.value)


@all_numbers
def test_a_value_outside_the_range_makes_no_task(in_process, task, name):
    required = {other for other, parameter in task.get_params() if not parameter.has_task_value(task.__name__, other)}
    given = dict.fromkeys(required - {name}, "given")
    with pytest.raises(SettingError, match=f"^{flag(task, name)} is "):
        task(**given, **{name: wrong_values(ranged_parameters(task)[name])[0]})


def the_task(*arguments):
    with CmdlineParser.global_instance(["--module", "pipeline", *arguments]) as parser:
        task = parser.get_task_obj()
        stages(task)
        return task


FEW_EPOCHS = "--TrainClassifier-epochs is {}; set it to a whole number of at least 1"


@pytest.mark.parametrize("text", ["-1", "0", "1.5", "ten", "nan", "4.0"])
def test_the_command_line_is_checked_for_stages_upstream_and_for_the_stage_itself(in_process, bop_root, text):
    place = ["--dataset", "bop", "--data-root", str(bop_root)]
    for arguments in (["RunAll", "--TrainClassifier-epochs"], ["TrainClassifier", "--epochs"]):
        with pytest.raises(SettingError) as caught:
            the_task(arguments[0], *place, arguments[1], text)
        assert str(caught.value) == FEW_EPOCHS.format(text)


def test_luigi_cfg_settings_and_presets_are_checked(in_process, bop_root, monkeypatch):
    place = {"dataset": "bop", "data_root": str(bop_root)}
    with pytest.raises(SettingError, match=FEW_EPOCHS.format("-1")):
        TrainClassifier(**place, settings={"TrainClassifier": {"epochs": -1}})
    with pytest.raises(SettingError, match=FEW_EPOCHS.format("-2")):
        the_task("TrainClassifier", "--settings", json.dumps({"TrainClassifier": {"epochs": -2}}))
    with pytest.raises(SettingError, match=r"--TrainClassifier-freeze-batch-norm is maybe in settings: .*bool"):
        TrainClassifier(**place, settings={"TrainClassifier": {"freeze_batch_norm": "maybe"}})
    monkeypatch.setitem(PROFILES["voc-deal"].settings["TrainClassifier"], "crop_size", -1)
    with pytest.raises(SettingError, match="--TrainClassifier-crop-size is -1; set it to a whole number from 0"):
        TrainClassifier(**place, profile="voc-deal")
    luigi.configuration.get_config().set("TrainClassifier", "epochs", "none")  # in_process removes the section
    with pytest.raises(SettingError, match=FEW_EPOCHS.format("none")):
        TrainClassifier(**place)


def test_a_huge_learning_rate_reaches_the_training(in_process, bop_root):
    assert TrainClassifier(dataset="bop", data_root=str(bop_root), learning_rate=1e30).learning_rate == 1e30


@pytest.mark.parametrize(
    ("stage", "values", "line"),
    [
        (
            "TrainClassifier",
            {"scale_min": 2.0},
            "--TrainClassifier-scale-min is 2 and --TrainClassifier-scale-max is 1",
        ),
        ("TrainCoarse", {"scale_max": 0.5}, "--TrainCoarse-scale-min is 0.7 and --TrainCoarse-scale-max is 0.5"),
        (
            "TrainClassifier",
            {"ramp_start": 3.0},
            "--TrainClassifier-ramp-start is 3 and --TrainClassifier-ramp-end is 2",
        ),
        ("LoadDepth", {"near": 20.0}, "--LoadDepth-near is 20 and --LoadDepth-far is 20; the first must be below"),
        ("EstimateDepth", {"near": 4.0}, "--EstimateDepth-near is 4 and --EstimateDepth-far is 2"),
        ("RefineSaliency", {"sure": 0.2}, "--RefineSaliency-doubtful is 0.3 and --RefineSaliency-sure is 0.2"),
    ],
)
def test_parameters_that_do_not_fit_together_are_one_line(in_process, bop_root, stage, values, line):
    with pytest.raises(SettingError, match=f"^{line}"):
        getattr(pipeline, stage)(dataset="bop", data_root=str(bop_root), **values)


@pytest.mark.parametrize("seeds", ["0,-1", "1,1", "", "0,one", "1.5"])
def test_the_seeds_of_a_comparison_are_different_whole_numbers(in_process, bop_root, seeds):
    comparison = pipeline.Compare(dataset="bop", data_root=str(bop_root), seeds=seeds)
    with pytest.raises(SettingError, match="^--Compare-seeds is .*; set it to different whole numbers of at least 0"):
        comparison.requires()


@pytest.mark.parametrize(
    ("legal", "text", "sentence"),
    [
        (Range(at_least=1), "at least 1", "a number of at least 1"),
        (Range(above=0), "above 0", "a number above 0"),
        (Range(at_least=0, at_most=0.5), "from 0 to 0.5", "a number from 0 to 0.5"),
        (Range(at_least=0, below=1), "at least 0, below 1", "a number of at least 0, below 1"),
        (Range(above=0, at_most=100), "above 0, at most 100", "a number above 0, at most 100"),
        (Range(among=(8, 16)), "one of 8, 16", "one of 8, 16"),
        (Range(at_most=2**32 - 1), "at most 4294967295", "a number of at most 4294967295"),
    ],
)
def test_a_range_tells_itself_in_words(legal, text, sentence):
    assert str(legal) == text
    assert legal.of("a number") == sentence


def test_what_float32_cannot_hold_is_refused_and_told():
    values = {name: default_value(parameter) for name, parameter in ranged_parameters(TrainClassifier).items()}
    line = "--TrainClassifier-weight-decay is 1e.31; set it to a number of at least 0 .and of at most 1e.30.$"
    with pytest.raises(SettingError, match=line):
        require_legal(TrainClassifier, {**values, "weight_decay": 1e31})
    require_legal(TrainClassifier, {**values, "weight_decay": 1e30})


def test_the_bounds_belong_to_the_range_or_not():
    closed, opened = Range(at_least=0, at_most=1), Range(above=0, below=1)
    assert closed.allows(0)
    assert closed.allows(1.0)
    assert opened.allows(0.5)
    assert not opened.allows(0)
    assert not opened.allows(1)


def test_lists_tell_what_each_number_must_be():
    means = NumbersParameter((0.5,) * 3, "means", Range(at_least=0, at_most=1), count=3)
    rates = NumbersParameter((1.0,), "rates", Range(at_least=1), are_whole=True)
    assert means.told() == ("3 numbers, each from 0 to 1", "3 numbers, each from 0 to 1, separated by commas")
    assert rates.told()[0] == "whole numbers, each at least 1"
    assert rates.allows((1.0, 6.0))
    assert not rates.allows((1.5,))


def test_a_list_is_written_and_read_with_commas():
    parameter = NumbersParameter((1.0,), "scales", Range(above=0))
    assert parameter.parse("1,0.75,0.5") == (1.0, 0.75, 0.5)
    assert parameter.parse(parameter.serialize((1.0, 1.5))) == (1.0, 1.5)


class PickOrder(luigi.Task):
    low = number(1.0, "low", above=0)
    high = whole(2, "high", at_least=0)


def test_the_order_of_two_parameters():
    require_order(PickOrder(low=2.0), "low", "high")
    with pytest.raises(SettingError, match="--PickOrder-low is 2 and --PickOrder-high is 2; the first must be below"):
        require_order(PickOrder(low=2.0), "low", "high", is_strict=True)
    with pytest.raises(SettingError, match="--PickOrder-low is 3 and --PickOrder-high is 2; the first must be at most"):
        require_order(PickOrder(low=3.0), "low", "high")
    assert isinstance(PickOrder.low, NumberParameter)


def test_a_number_or_a_name():
    parameter = NumberOrName(0.0, "noise", Range(at_least=0), ("loud", "soft"))
    assert [parameter.parse(text) for text in ("0.5", "loud", "lou")] == [0.5, "loud", "lou"]
    assert [parameter.parse(parameter.serialize(value)) for value in (0.5, "soft")] == [0.5, "soft"]
    assert all(map(parameter.allows, (0.5, "loud")))
    assert not any(map(parameter.allows, ("lou", -1, math.nan)))
    assert parameter.told() == ("at least 0, or loud or soft", "a number of at least 0, or loud or soft")
