import json
from pathlib import Path

import pytest

from data.errors import DatasetError
from data.files.intrinsics import Intrinsics, read_intrinsics
from data.readers.bop import read_bop
from data.sample import Sample

BY_COLUMNS = [600, 0, 0, 0, 610, 0, 4, 3, 1]
FOUND = Intrinsics(600, 610, 4, 3)


def sample_at(path: Path) -> Sample:
    return Sample("a", "train", path, ())


def test_a_scene_of_bop_has_a_matrix_for_each_frame(rendered):
    for sample in read_bop(rendered, {"train": "train_pbr"}).samples:
        cameras = json.loads((sample.image.parent.parent / "scene_camera.json").read_text())
        matrix = cameras[str(int(sample.image.stem))]["cam_K"]
        assert read_intrinsics(rendered, sample) == (matrix[0], matrix[4], matrix[2], matrix[5])


def test_a_recording_has_a_file_of_its_name(tmp_path):
    (tmp_path / "intrinsics").mkdir()
    (tmp_path / "intrinsics" / "kitchen.json").write_text(json.dumps({"intrinsic_matrix": BY_COLUMNS}))
    assert read_intrinsics(tmp_path, sample_at(tmp_path / "images" / "kitchen@000004.png")) == FOUND
    assert read_intrinsics(tmp_path, sample_at(tmp_path / "images" / "hall@000004.png")) is None
    assert read_intrinsics(tmp_path, sample_at(tmp_path / "images" / "kitchen.png")) is None


@pytest.mark.parametrize("name", ["camera_intrinsic.json", "intrinsic.json"])
def test_a_file_of_open3d_is_for_all_images(tmp_path, name):
    (tmp_path / name).write_text(json.dumps({"width": 8, "height": 6, "intrinsic_matrix": BY_COLUMNS}))
    assert read_intrinsics(tmp_path, sample_at(tmp_path / "images" / "any.png")) == FOUND


@pytest.mark.parametrize("matrix", [None, [1, 2], ["x"] * 9, [float("nan")] * 9, [0, 0, 0, 0, 1, 0, 0, 0, 1]])
def test_a_malformed_matrix_is_refused(tmp_path, matrix):
    (tmp_path / "intrinsic.json").write_text(json.dumps({"intrinsic_matrix": matrix}))
    with pytest.raises(DatasetError, match="intrinsic.json: .*must"):
        read_intrinsics(tmp_path, sample_at(tmp_path / "images" / "any.png"))
