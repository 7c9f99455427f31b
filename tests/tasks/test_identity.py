"""What matters enters the identity of an artifact, and nothing else does: every stage, every parameter."""

import shutil

import pytest
from stage_variants import STAGES, bases, is_weight, other_values, own_parameters, write_files

from data.errors import DatasetError, ImageError, SettingError, WeightsError
from pipeline.dag import stages
from tasks.index_dataset import IndexDataset
from tasks.methods import METHODS
from tasks.runtime.parameters import matters
from tasks.runtime.stage import COMMON

REFUSED = (DatasetError, ImageError, SettingError, WeightsError)
"""What planning may say of a combination."""

OTHER_SEED = 7


@pytest.fixture
def common(in_process, rendered, tmp_path):
    return {"dataset": "bop", "data_root": str(rendered), "artifacts": str(tmp_path / "artifacts")}


@pytest.fixture
def files(rendered, tmp_path):
    return write_files(tmp_path / "files", rendered)


def planned(stage, parameters):
    """The stage, with its identity; None where the combination is refused."""
    try:
        task = stage(**parameters)
        _ = task.identity
    except REFUSED:
        return None
    return task


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_the_identity_changes_exactly_where_a_parameter_matters(common, files, stage):
    varied, wrong = set(), []
    for base in bases(stage):
        parameters = {**common, **files.get(stage.__name__, {}), **base}
        task = planned(stage, parameters)
        if task is None:
            continue
        for name, parameter in own_parameters(stage).items():
            expected = parameter.significant and matters(task, name)
            for value in other_values(name, parameter, getattr(task, name)):
                changed = planned(stage, {**parameters, name: value})
                if changed is None:
                    continue
                varied.add(name)
                if (changed.identity != task.identity) != expected:
                    wrong.append((base, name, value, "matters" if expected else "does not matter"))
    assert wrong == []
    never = {name for name, parameter in own_parameters(stage).items() if parameter.significant} - varied
    assert never == set()


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_the_seed_counts_where_chance_does(common, files, stage):
    for base in bases(stage):
        parameters = {**common, **files.get(stage.__name__, {}), **base}
        task = planned(stage, parameters)
        if task is None:
            continue
        other = stage(**parameters, seed=OTHER_SEED)
        by_chance = any(found.uses_seed and found.seed == OTHER_SEED for found in stages(other))
        assert (other.identity != task.identity) == by_chance, base


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_where_and_how_fast_does_not_count(common, files, stage, tmp_path):
    parameters = {**common, **files.get(stage.__name__, {})}
    before = stage(**parameters).identity
    for name, value in (("processes", 3), ("dask", "tcp://10.0.0.1:8786"), ("device", "cpu"), ("profile", "small")):
        assert stage(**{**parameters, name: value}).identity == before
    moved = {"folder": shutil.copytree(parameters["folder"], tmp_path / "moved")} if "folder" in parameters else {}
    elsewhere = {**parameters, **{key: str(path) for key, path in moved.items()}, "artifacts": str(tmp_path / "other")}
    assert stage(**elsewhere).identity == before
