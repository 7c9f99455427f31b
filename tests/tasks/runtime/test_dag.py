"""What a plan costs: every stage is visited once."""

import pytest

from data.store.artifact import Artifact
from pipeline import Ablation, RunAll
from tasks.runtime.dag import stages, state
from tasks.runtime.luigi_seam import forget_instances


@pytest.fixture
def run_all(finished):
    forget_instances()
    return RunAll(dataset="bop", data_root=str(finished.data_root), artifacts=str(finished.artifacts))


def test_a_plan_reads_each_marker_once(run_all, monkeypatch):
    read = []
    content = Artifact._content
    monkeypatch.setattr(Artifact, "_content", lambda self: read.append(self.path) or content(self))
    assert run_all.complete()
    assert all(stage.complete() for stage in stages(run_all))
    assert len(read) == len(set(read)) == 13


def test_every_variant_of_a_grid_shares_the_data_set(run_all, monkeypatch):
    ablation = Ablation(
        dataset="bop", data_root=run_all.data_root, artifacts=run_all.artifacts, seeds="0,1", results=("cam_seed",)
    )
    found = stages(ablation)
    assert len([stage for stage in found if type(stage).__name__ == "TrainClassifier"]) == 8
    scanned = {id(stage.required["dataset"]) for stage in found if "dataset" in stage.required}
    assert len(scanned) == 1


def test_states(run_all):
    report = run_all.required["report"]
    states = {stage.label: state(stage) for stage in stages(report)}
    assert set(states.values()) == {"done"}
    seeds = report.required["seeds"].artifact
    seeds.reopen_shard(0)
    assert state(report.required["seeds"]) == "partial 2/3"
    assert state(report.required["model"]) == "stale"
    assert state(report.required["cams"]) == "done"
    superpixels = report.required["superpixels"].artifact
    (superpixels.path / "stage.json").write_bytes(b"{")
    assert not superpixels.is_complete()
    assert state(report.required["superpixels"]) == "damaged"
    seeds.discard()
    assert state(report.required["seeds"]) == "missing"
