import csv
import shutil

import luigi
import numpy as np
import pytest
from PIL import Image

from data.errors import DatasetError, SettingError
from pipeline import DiscoverSuperpixels, EvaluateInstances, EvaluateSuperpixels, ExtractKeys, IndexDataset, LoadDepth
from pipeline.evaluate_superpixels import CSV, CURVE, MARKDOWN, PLOT, lines_of, markdown, summary
from tasks.runtime.luigi_seam import forget_instances
from tasks.runtime.quality import warnings_of


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


def test_instances_as_classes_of_their_own(common):
    tasks = [
        EvaluateSuperpixels(kinds=("slic",), counts=(20.0,), truth=truth, **common)
        for truth in ("classes", "instances")
    ]
    assert luigi.build(tasks, local_scheduler=True, log_level="ERROR")
    classes, instances = (next(csv.DictReader(task.artifact.read(CSV).decode().splitlines())) for task in tasks)
    # The foreground is the same, its parts are not: the second object of an image is class 2, whatever it is.
    assert instances["superpixels"] == classes["superpixels"]
    assert instances["best_miou"] != classes["best_miou"]
    assert abs(float(instances["asa"]) - float(classes["asa"])) < 0.05


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


def test_images_without_depth_have_plain_cells_and_are_counted(common, bop_root):
    """Depth-aware superpixels were once left out without a word if one image had no depth."""
    shutil.copytree(bop_root / "test/000001", bop_root / "test/000002")
    shutil.rmtree(bop_root / "test/000002/depth")
    parameters = {**common, "taus": (0.3,), "counts": (20.0,)}
    task = EvaluateSuperpixels(kinds=("cells", "depth-aware"), **parameters)
    assert luigi.build([task], local_scheduler=True, log_level="ERROR")
    assert warnings_of(task.artifact) == ["5 of 10 images have no depth: their depth-aware superpixels are plain cells"]
    cells, aware = (stage.open() for stage in task.variants.values())
    same = [np.array_equal(*(store.read_image("superpixel", at) for store in (cells, aware))) for at in range(10)]
    assert not any(same[:5])
    assert all(same[5:])
    shutil.rmtree(bop_root / "test/000001/depth")
    forget_instances()
    alone, both = (
        EvaluateSuperpixels(kinds=kinds, **parameters) for kinds in (("depth-aware",), ("slic", "depth-aware"))
    )
    assert luigi.build([both], local_scheduler=True, log_level="ERROR")
    assert warnings_of(both.artifact) == [
        "no image of the evaluation split has depth, so depth-aware superpixels are left out"
    ]
    with pytest.raises(DatasetError, match="no image of the evaluation split has depth; add another kind"):
        alone.run()


def test_the_superpixels_of_table_3_5_stand_beside_ours(common):
    pytest.importorskip("cv2")
    task = EvaluateSuperpixels(
        kinds=("cells", "opencv-slic", "seeds", "lsc"), taus=(0.3,), sizes=(40.0,), counts=(30.0,), **common
    )
    assert luigi.build([task], local_scheduler=True, log_level="ERROR")
    rows = {row["kind"]: row for row in csv.DictReader(task.artifact.read(CSV).decode().splitlines())}
    assert [(kind, row["value"]) for kind, row in rows.items()] == [
        ("cells", "tau 0.3"), ("opencv-slic", "side 40"), ("seeds", "30 requested"), ("lsc", "side 40"),
    ]  # fmt: skip
    assert all(float(row["superpixels"]) > 2 for row in rows.values())
    assert "BP against BR" in task.artifact.read(PLOT).decode()


def test_the_same_network_with_other_weights_is_a_line_of_its_own(common):
    """The rows had the name of the network alone, so the second one replaced the first."""
    features = "rgb,test_resnet=hub,test_resnet=random,test_resnet"
    task = EvaluateSuperpixels(kinds=("cells",), taus=(0.3,), features=features, **common)
    titles = ["cells, rgb", *(f"cells, {name}" for name in features.split(",")[1:])]
    assert [kind for kind, _ in task.variants] == titles
    keys = [stage.required["keys"].weights for stage in task.variants.values()]
    assert keys[1:3] == ["hub", "random"]


def test_features_and_rules_are_axes_of_kinds_with_features(common, tmp_path):
    weights = tmp_path / "moco.pth"
    task = EvaluateSuperpixels(
        kinds=("patches", "slic"), taus=(0.3, 0.9), counts=(20.0,), features=f"rgb,test_resnet={weights}",
        rules="lowest,ncut", **common,
    )  # fmt: skip
    assert len(task.variants) == 2 * 2 * 2 + 1
    stage = task.variants["patches, test_resnet, ncut", "tau 0.9"]
    assert (stage.units, stage.seed_rule, stage.tau) == ("patches", "ncut", 0.9)
    keys = stage.required["keys"]
    assert (keys.backbone, keys.weights) == ("test_resnet", str(weights))
    colours = task.variants["patches, rgb, lowest", "tau 0.3"].required["keys"]
    assert colours.backbone == "rgb"
    assert "weights" not in colours.parameters()
    assert task.variants["slic", "20 requested"].parameters().keys() == {"units", "cells", "split", "shard_size"}


def test_colours_and_normalised_cuts_run_to_the_end(common):
    task = EvaluateSuperpixels(
        kinds=("patches",), taus=(0.98,), features="rgb", rules="lowest,ncut", **common,
        settings={"ExtractKeys": {"stride": 16, "image_scale": 1.0}, "DiscoverSuperpixels": {"refinement": "nearest"}},
    )  # fmt: skip
    assert luigi.build([task], local_scheduler=True, log_level="ERROR")
    rows = list(csv.DictReader(task.artifact.read(CSV).decode().splitlines()))
    assert [row["kind"] for row in rows] == ["patches, rgb, lowest", "patches, rgb, ncut"]
    assert all(0 < float(row["asa"]) <= 1 for row in rows)


def test_an_unknown_rule_is_named(common):
    with pytest.raises(SettingError, match="--EvaluateSuperpixels-rules: 'middle' is unknown; use highest, lowest"):
        EvaluateSuperpixels(rules="middle", **common).variants  # noqa: B018


def test_the_lines_of_figure_3_6_are_precision_over_recall():
    rows = {("lsc", "side 50"): {"br": 0.7, "bp": 0.05}, ("cells", "tau 0"): {"br": 0.5, "bp": 0.1}}
    assert lines_of(rows, *CURVE[1:]) == {"lsc": [(0.7, 0.05)], "cells": [(0.5, 0.1)]}


@pytest.mark.parametrize("stage", [EvaluateInstances, EvaluateSuperpixels])
def test_files_that_change_places_are_another_ground_truth(in_process, tmp_path, stage):
    """Only the hashes were once in the identity, so files with exchanged names were taken for the same."""
    root = tmp_path / "set"
    for folder in ("images", "instances"):
        (root / folder).mkdir(parents=True)
        for value, name in enumerate("ab"):
            Image.fromarray(np.full((8, 10), value + 1, np.uint8)).save(root / folder / f"{name}.png")
    (root / "labels.csv").write_text("image,tags,split\na.png,cup,train\nb.png,cup,train\n")
    common = {"dataset": "folder", "data_root": str(root), "artifacts": str(tmp_path / "artifacts"), "split": "train"}
    own = {"instances": "split"} if stage is EvaluateInstances else {"truth": "instances"}

    def found():
        forget_instances()
        index = IndexDataset(**{name: common[name] for name in ("dataset", "data_root", "artifacts")})
        return index.fingerprint(truth=True), stage(**common, **own).content_identity()

    before = found()
    for old, new in (("a", "c"), ("b", "a"), ("c", "b")):
        (root / f"instances/{old}.png").rename(root / f"instances/{new}.png")
    after = found()
    assert after[0] == before[0]
    assert after[1] != before[1]
