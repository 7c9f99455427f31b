import numpy as np
import pytest
import zarr

from data.store.empty_arrays import IMAGE, write_empty_arrays
from data.store.tiles import STRIDE, ArraySpec

LABEL = ArraySpec(("y", "x"), (6, 8), "uint8", 255, {"long_name": "label map"})
CAM = ArraySpec(("y", "x"), (2, 2), "float32", float("nan"), {"units": "1"}, stride=4)
COORDS = {"class_name": (("class",), np.array(["background", "can"]))}


def write(path, arrays, images=5):
    ids = [f"scene/{number}" for number in range(images)]
    write_empty_arrays(path, ids, arrays, {"stage": "Test"}, 4, COORDS)
    return path


def files(path):
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_metadata_and_coordinates_and_no_shard(tmp_path):
    path = write(tmp_path / "a.zarr", {"label": LABEL, "cam": CAM})
    group = zarr.open_group(str(path), mode="r")
    assert dict(group.attrs) == {"stage": "Test", "shard_size": 4, "coordinates": "image_id class_name"}
    label, cam = group["label"], group["cam"]
    assert (label.shape, label.chunks, label.shards) == ((5, 6, 8), (1, 6, 8), (4, 6, 8))
    assert label.metadata.dimension_names == (IMAGE, "y", "x")
    assert (label.fill_value, dict(label.attrs)) == (255, {"long_name": "label map"})
    assert dict(cam.attrs) == {"units": "1", STRIDE: 4}
    assert list(group[IMAGE][:]) == [f"scene/{number}" for number in range(5)]
    assert list(group["class_name"][:]) == ["background", "can"]
    assert not [folder for name in ("label", "cam") for folder in path.glob(f"{name}/c")]
    assert [child.name for child in tmp_path.iterdir()] == ["a.zarr"]


def test_shards_and_files_with_the_right_content_stay_as_they_are(tmp_path):
    path = write(tmp_path / "a.zarr", {"label": LABEL})
    (path / "label" / "c").mkdir()
    (path / "label" / "c" / "shard").write_bytes(b"shard")
    before, inodes = files(path), {file: file.stat().st_ino for file in path.rglob("*")}
    write(path, {"label": LABEL})
    assert files(path) == before
    assert {file: file.stat().st_ino for file in path.rglob("*")} == inodes


def test_what_differs_is_replaced_and_other_arrays_go(tmp_path):
    path = write(tmp_path / "a.zarr", {"label": LABEL})
    expected = files(path)
    (path / "label" / "zarr.json").write_text("{}")
    (path / "image_id" / "c" / "0").unlink()
    (path / "old" / "c").mkdir(parents=True)
    write(path, {"label": LABEL})
    assert files(path) == expected
    assert not (path / "old").exists()


@pytest.mark.parametrize("left", ["zarr.json", "label/zarr.json"])
def test_what_a_killed_process_left_beside_the_artifact_is_not_moved_in(tmp_path, left):
    expected = files(write(tmp_path / "a.zarr", {"label": LABEL}))
    stale = tmp_path / "b.zarr.partial" / left
    stale.parent.mkdir(parents=True)
    stale.write_text("{ cut")
    (tmp_path / "b.zarr.partial" / "other").write_text("other")
    assert files(write(tmp_path / "b.zarr", {"label": LABEL})) == expected
    assert not (tmp_path / "b.zarr.partial").exists()
