import csv
import shutil

import luigi
import numpy as np
import pytest

from pipeline import DiscoverSuperpixels, EvaluateSuperpixels, ExtractKeys, LoadDepth
from pipeline.evaluate_superpixels import CSV, MARKDOWN, PLOT, markdown, summary


@pytest.fixture
def common(in_process, bop_root, tmp_path):
    return {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts"), "processes": 1}


def test_a_table_of_plain_depth_aware_and_slic(common):
    task = EvaluateSuperpixels(taus=(0.3,), counts=(20.0,), **common)
    assert luigi.build([task], local_scheduler=True, log_level="ERROR")
    rows = list(csv.DictReader(task.artifact.read(CSV).decode().splitlines()))
    assert [row["kind"] for row in rows] == ["patches", "cells", "depth-aware", "slic"]
    for row in rows:
        assert 0 <= float(row["ue"]) <= 1
        assert float(row["best_foreground_iou"]) <= float(row["asa"]) <= 1
        assert float(row["superpixels"]) >= 1
    assert len(task.artifact.read(MARKDOWN).decode().splitlines()) == 6
    assert task.artifact.read(PLOT).startswith(b"<svg")
    best = {row["kind"]: float(row["best_foreground_iou"]) for row in rows}
    assert best["depth-aware"] > 0.6
    assert best["depth-aware"] > best["patches"]


def test_one_kind_alone(common):
    task = EvaluateSuperpixels(kinds=("slic",), counts=(20.0,), **common)
    assert list(task.variants) == [("slic", "20 requested")]


def test_each_split_has_its_own_artifacts(common):
    train, other = DiscoverSuperpixels(**common), DiscoverSuperpixels(split="evaluation", **common)
    assert train.identity != other.identity
    assert (train.label, other.label) == ("DiscoverSuperpixels", "DiscoverSuperpixels-evaluation")
    assert {(name, type(stage), stage.split) for name, stage in other.required.items() if name != "dataset"} == {
        ("keys", ExtractKeys, "evaluation"),
        ("depth", LoadDepth, "evaluation"),
    }
    assert set(DiscoverSuperpixels(units="slic", **common).required) == {"dataset"}


def test_a_row_of_the_table():
    counts = np.array([100, 10, 90, 20, 15, 40, 10, 30, 24, 60, 18, 8])
    row = summary(counts, np.array([[60, 4, 0], [6, 30, 0]]), images=2)
    assert row["superpixels"] == 4
    assert row["ue"] == 0.1
    assert row["asa"] == 0.9
    assert (row["br"], row["bp"], row["border_recall"], row["border_precision"]) == (0.75, 0.25, 0.8, 0.3)
    assert row["best_foreground_iou"] == 30 / 40
    assert "| slic | 25 requested | 4.0 | 0.100 | 0.900 |" in markdown({("slic", "25 requested"): row})


def kinds(**parameters):
    return {kind for kind, _ in EvaluateSuperpixels(**parameters).variants}


def test_a_demo_that_is_still_to_be_rendered_can_be_planned(in_process, tmp_path):
    task = EvaluateSuperpixels(dataset="demo", artifacts=str(tmp_path))
    assert kinds(dataset="demo", artifacts=str(tmp_path)) == {"patches", "cells", "depth-aware", "slic"}
    assert not task.complete()


def test_depth_that_is_not_the_sensors_is_used_too(common, bop_root):
    for path in bop_root.glob("*/*/depth"):
        shutil.rmtree(path)
    assert "depth-aware" not in kinds(**common)
    assert "depth-aware" in kinds(**common, settings={"LoadDepth": {"source": "estimate"}})
