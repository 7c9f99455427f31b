import json
from pathlib import Path

import pytest
from PIL import Image

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


@pytest.mark.parametrize("says_size", [True, False])
def test_at_another_size_a_wall_stays_where_it_is(tmp_path, says_size):
    content = {
        "intrinsic_matrix": [600, 0, 0, 0, 600, 0, 319.5, 239.5, 1],
        **({"width": 640, "height": 480} if says_size else {}),
    }
    (tmp_path / "intrinsic.json").write_text(json.dumps(content))
    Image.new("RGB", (640, 480)).save(tmp_path / "a.png")
    full, half = (
        read_intrinsics(tmp_path, Sample("a", "train", tmp_path / "a.png", (), size=size))
        for size in ((480, 640), (240, 320))
    )
    assert full == (600, 600, 319.5, 239.5)
    assert half == (300, 300, 159.5, 119.5)
    for (fx, _, cx, _), width in ((full, 640), (half, 320)):  # the edges of the image, at one metre
        assert [(u - cx) / fx for u in (-0.5, width - 0.5)] == pytest.approx([-320 / 600, 320 / 600])


@pytest.mark.parametrize("matrix", [None, [1, 2], ["x"] * 9, [float("nan")] * 9, [0, 0, 0, 0, 1, 0, 0, 0, 1]])
def test_a_malformed_matrix_is_refused(tmp_path, matrix):
    (tmp_path / "intrinsic.json").write_text(json.dumps({"intrinsic_matrix": matrix}))
    with pytest.raises(DatasetError, match="intrinsic.json: .*must"):
        read_intrinsics(tmp_path, sample_at(tmp_path / "images" / "any.png"))
