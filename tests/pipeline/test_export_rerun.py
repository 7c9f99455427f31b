"""The file for Rerun, read back by Rerun's own reader."""

import shutil
from collections import defaultdict

import numpy as np
import pytest

from data.files.intrinsics import read_intrinsics
from data.sample import TRAIN, UNLABELLED
from models.palette import palette
from models.pinhole import back_project
from pipeline.asked import parsed
from pipeline.view.run import ViewedRun

chunks = pytest.importorskip("rerun.chunk", reason="rerun is not installed (extra rerun)")


def read(path):
    """Entity -> component -> frame (None: at all times) -> value."""
    found = defaultdict(lambda: defaultdict(dict))
    for chunk in chunks.RrdReader(str(path)).stream():
        table = chunk.to_record_batch()
        frames = table.column("frame").to_pylist() if "frame" in table.schema.names else None
        for name, column in zip(table.schema.names, table.columns):
            if ":" not in name:
                continue
            for row in range(table.num_rows):
                if column[row].is_valid and len(column[row]):
                    found[str(chunk.entity_path).strip("/")][name][frames[row] if frames else None] = column[row]
    return found


def component(entity, name):
    """The values of one component, by frame."""
    (found,) = [values for key, values in entity.items() if key.endswith(f":{name}")]
    return found


@pytest.fixture
def exported(finished, tmp_path):
    def export(*flags):
        path = tmp_path / "out.rrd"
        result = finished.luigi("ExportRerun", "--file", path, *flags)
        assert result.returncode == 0, result.stderr
        assert not list(tmp_path.glob("*.partial"))
        return read(path), result.stderr

    return export


def test_a_split_is_read_back(exported, finished):
    found, lines = exported("--split", "train")
    with parsed("WriteReport", finished.flags()) as report:
        seen = ViewedRun(report)
    labels = {f"world/camera/labels/{name}" for name in ("initial_seed", "pseudo_label", "ground_truth")}
    camera = {f"world/camera/{name}" for name in ("image", "depth", "CAM", "superpixels")}
    assert labels | camera | {"world/points", "image_id"} <= set(found)
    for place, sample in enumerate(seen.samples(TRAIN)):
        image = seen.image(TRAIN, place)
        for entity, stored in (("pseudo_label", ("pseudo_labels", "label")), ("initial_seed", ("seeds", "seed"))):
            buffer = component(found[f"world/camera/labels/{entity}"], "buffer")[place]
            values = np.frombuffer(bytes(buffer.as_py()[0]), np.uint16).reshape(sample.size)
            assert np.array_equal(values, image.stored(stored[0]).read(stored[1]))
        points = np.array(component(found["world/points"], "positions")[place].as_py())
        depth = np.where(image.stored("depth").read("valid"), image.stored("depth").read("depth"), np.nan)
        expected = back_project(depth, *read_intrinsics(seen.dataset.root, sample))[::2, ::2].reshape(-1, 3)
        assert np.allclose(points, expected[np.isfinite(expected).all(1)])
        assert component(found["image_id"], "text")[place].as_py() == [sample.image_id]
    context = component(found["world/camera/labels"], "context")[None].as_py()[0]
    classes = {entry["class_id"]: entry["class_description"]["info"] for entry in context}
    assert [classes[number]["label"] for number in range(len(seen.dataset.class_names))] == list(
        seen.dataset.class_names
    )
    colour = classes[1]["color"]  # 0xRRGGBBAA
    assert [colour >> 24, colour >> 16 & 255, colour >> 8 & 255] == palette(2)[1].tolist()
    assert classes[UNLABELLED]["label"] == "unlabelled"
    assert "left out" not in lines


def test_some_images_of_one_sequence(exported):
    found, lines = exported("--split", "evaluation", "--sequence", "test/", "--images", 2)
    assert "left out: what is not computed yet: LoadDepth --split evaluation (missing)" in lines
    frames = component(found["image_id"], "text")
    assert sorted(frames) == [0, 1]
    assert all(text.as_py()[0].startswith("test/") for text in frames.values())
    assert "world/camera/labels/prediction" in found


def test_what_is_missing_is_left_out_with_a_line(exported, finished):
    shutil.rmtree(next((finished.artifacts / "bop" / "GenerateSeeds").iterdir()))
    found, lines = exported("--split", "train")
    assert "world/camera/labels/initial_seed" not in found
    assert "world/camera/labels/pseudo_label" not in found  # made from the seeds: it is stale
    assert "world/camera/CAM" in found
    assert "left out: what is not computed yet: GenerateSeeds (missing), PredictMasks --split train (stale)" in lines


def test_without_intrinsics_a_focal_length_gives_the_points(exported, finished, monkeypatch):
    monkeypatch.setattr("pipeline.export_rerun.read_intrinsics", lambda root, sample: None)
    found, lines = exported("--split", "train")
    assert "world/points" not in found
    assert "left out: the points of 10 images" in lines
    found, _ = exported("--split", "train", "--focal", 180, "--images", 1)
    matrix = component(found["world/camera"], "image_from_camera")[0].as_py()[0]
    assert np.allclose(matrix, [180, 0, 0, 0, 180, 0, 96, 72, 1])


def test_a_sequence_of_no_image_is_one_clear_line(finished, tmp_path):
    result = finished.luigi("ExportRerun", "--sequence", "nowhere", "--file", tmp_path / "out.rrd")
    assert result.returncode != 0
    assert "begins with 'nowhere'; choose another --sequence or --split" in result.stderr
    assert list(tmp_path.glob("out*")) == []
