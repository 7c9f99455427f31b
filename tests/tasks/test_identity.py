"""What matters enters the identity of an artifact, and nothing else does: every stage, every parameter."""

import functools
import shutil

import pytest
from stage_variants import STAGES, Variants, own_parameters

from data.errors import DatasetError, ImageError, SettingError, WeightsError
from tasks.runtime import parameters
from tasks.runtime.dag import stages
from tasks.runtime.parameters import matters
from tasks.runtime.stage import COMMON, StageTask

REFUSED = (DatasetError, ImageError, SettingError, WeightsError)
"""What planning may say of a combination."""

OTHER_SEED = 7

all_stages = pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)


@pytest.fixture(scope="module")
def variants(rendered, tmp_path_factory):
    return Variants(tmp_path_factory.mktemp("variants"), rendered)


@pytest.fixture
def common(in_process, variants, tmp_path, monkeypatch):
    """The parameters of all stages. Stages upstream and lists of registries are made once: half of the time."""

    made = {}

    def upstream(task, stage, **values):
        values = {**{name: getattr(task, name) for name in COMMON}, **values}
        key = stage, repr(values)
        if key not in made:
            made[key] = stage(**values)
        return made[key]

    monkeypatch.setattr(StageTask, "upstream", upstream)
    monkeypatch.setattr(parameters, "registries_of", functools.cache(parameters.registries_of))
    return {"dataset": "bop", "data_root": str(variants.data), "artifacts": str(tmp_path / "artifacts")}


def planned(stage, values):
    """The stage, once it has its identity; None where the combination is refused."""
    try:
        task = stage(**values)
        _ = task.identity
    except REFUSED:
        return None
    return task


def changed(task, **values):
    """A stage that differs in these parameters alone, resolved by nothing; None where that is refused."""
    make, (stage, before), *_ = task.__reduce__()
    other = make(stage, {**before, **values})
    try:
        _ = other.identity
    except REFUSED:
        return None
    return other


@all_stages
def test_the_identity_changes_exactly_where_a_parameter_matters(common, variants, stage):
    varied, wrong = set(), []
    for base in variants.bases(stage):
        task = planned(stage, {**common, **base})
        if task is None:
            continue
        for name, parameter in own_parameters(stage).items():
            expected = parameter.significant and matters(task, name)
            for value in variants.other_values(stage, name, getattr(task, name)):
                other = changed(task, **{name: value})
                if other is None:
                    continue
                varied.add(name)
                if (other.identity != task.identity) != expected:
                    wrong.append((base, name, value, "matters" if expected else "does not matter"))
    assert wrong == []
    assert {name for name, parameter in own_parameters(stage).items() if parameter.significant} <= varied


@all_stages
def test_the_seed_counts_where_chance_does(common, variants, stage):
    for base in variants.bases(stage):
        task = planned(stage, {**common, **base})
        if task is None:
            continue
        other = changed(task, seed=OTHER_SEED)
        by_chance = any(found.uses_seed and found.seed == OTHER_SEED for found in stages(other))
        assert (other.identity != task.identity) == by_chance, base


@all_stages
def test_neither_place_nor_speed_counts(common, variants, stage, tmp_path):
    task = stage(**common, **variants.needed.get(stage.__name__, {}))
    elsewhere = {"artifacts": str(tmp_path / "other")}
    if folder := getattr(task, "folder", None):
        elsewhere["folder"] = str(shutil.copytree(folder, tmp_path / "moved"))
    for values in (
        {"processes": 3},
        {"dask": "tcp://10.0.0.1:8786"},
        {"shard_timeout": 5},
        {"device": "cpu"},
        {"tensorboard": "curves"},
        elsewhere,
    ):
        assert changed(task, **values).identity == task.identity, values


def test_naming_what_is_scored_anyway_changes_nothing(common):
    evaluation = next(stage for stage in STAGES if stage.__name__ == "EvaluateMasks")(**common)
    assert changed(evaluation, results=evaluation.scored).identity == evaluation.identity
    assert changed(evaluation, results=evaluation.scored[:1]).identity != evaluation.identity
