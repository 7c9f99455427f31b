"""A small campaign of faults; `make faults` runs the large one, and odd_flags and kill -9 have tests of their own."""

import numpy as np
import pytest
from faults.artifact_faults import files_by_kind, try_files
from faults.campaign import Size, campaign, kinds_of
from faults.damage import flip_bit
from faults.finished_run import FinishedRun
from faults.tally import Outcome, Row, markdown

from data.store.artifact import Artifact

SMALL = Size(
    flips=8, spoilt=4, healings=0, inputs=60, archives=8, commands=0, interrupted=2, exchanged=3, reopened=1, kills=0,
    changed=2,
)  # fmt: skip


@pytest.fixture
def run(finished, bop_root, tmp_path) -> FinishedRun:
    finished.data_root = bop_root  # it is damaged, too
    return FinishedRun(finished, tmp_path / "spare")


@pytest.mark.pipeline
def test_nothing_wrong_is_served_and_nothing_ends_in_a_traceback(run, tmp_path):
    rows = campaign(kinds_of(run, None, tmp_path / "trials", SMALL), seed=0)
    assert [problem for row in rows for problem in row.problems] == []
    tried = {row.title: row.tried for row in rows}
    assert all(tried[f"bit flip: {kind}"] == SMALL.flips for kind in ("shard", "zarr.json", "coordinate", "model.json"))
    assert {row.title for row in rows if row.healings} >= {"damage in an artifact that is reopened"}


@pytest.mark.pipeline
@pytest.mark.parametrize("kind", ["shard", "scores.json"])
def test_a_run_mends_what_is_damaged(run, kind):
    row = Row(kind)
    try_files(run, row, files_by_kind(run)[kind], flip_bit, 1, 1, np.random.default_rng(0))
    assert (row.healed, row.healings, row.problems) == (1, 1, [])


@pytest.mark.pipeline
def test_a_program_that_does_not_check_is_found_out(run, monkeypatch):
    monkeypatch.setattr(Artifact, "require_sound", lambda artifact, name: None)
    monkeypatch.setattr(Artifact, "read", lambda artifact, name: (artifact.path / name).read_bytes())
    for kind in ("history.json", "scores.json"):
        row = Row(kind)
        try_files(run, row, files_by_kind(run)[kind], flip_bit, 8, 0, np.random.default_rng(0))
        assert row.counts[Outcome.WRONG]


def test_the_table_has_a_line_of_sums():
    rows = [Row("first"), Row("second")]
    rows[0].add(Outcome.NOTICED)
    rows[1].add(Outcome.WRONG, "other values")
    rows[1].add_healing()
    assert markdown(rows).splitlines()[-1] == "| all | 2 | 1 | 0 | 0 | 1 of 1 | 1 | 0 |"
    assert rows[1].problems == ["second: served wrong: other values"]
