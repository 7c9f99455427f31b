import numpy as np
import pytest
from PIL import Image

from data.depth.folder import depth_file, read_depth_file
from data.errors import ImageError
from data.sample import TRAIN, Sample


@pytest.fixture
def sample(tmp_path):
    return Sample("room/0001", TRAIN, tmp_path / "0001.jpg", (1,), size=(4, 6))


def test_png_has_a_unit_and_npy_is_in_metres(tmp_path, sample):
    (tmp_path / "room").mkdir()
    Image.fromarray(np.full((4, 6), 1500, np.uint16)).save(tmp_path / "room/0001.png")
    path = depth_file(tmp_path, sample)
    assert read_depth_file(path, sample, 0.001) == pytest.approx(np.full((4, 6), 1.5), abs=1e-6)
    path.unlink()
    np.save(tmp_path / "room/0001.npy", np.array([[0.5, np.nan, np.inf, 0, 1, 2]] * 4))
    found = read_depth_file(depth_file(tmp_path, sample), sample, 0.001)
    assert found[0].tolist() == [0.5, 0, 0, 0, 1, 2]
    assert found.dtype == np.float32


def test_bad_files_are_named(tmp_path, sample):
    with pytest.raises(ImageError, match=r"0001.png: file is missing.* add the depth map of room/0001"):
        depth_file(tmp_path, sample)
    path = tmp_path / "a.npy"
    path.write_bytes(b"not an array")
    with pytest.raises(ImageError, match=r"a.npy: is not a readable npy"):
        read_depth_file(path, sample, 1)
    np.save(path, np.ones((3, 3), np.uint16))
    with pytest.raises(ImageError, match=r"a.npy: holds values of type uint16; write metres as float32"):
        read_depth_file(path, sample, 1)
    np.save(path, np.full((4, 6), -1.0))
    with pytest.raises(ImageError, match=r"a.npy: has the negative depth -1 m"):
        read_depth_file(path, sample, 1)
    np.save(path, np.ones((3, 3)))
    with pytest.raises(ImageError, match=r"has shape \(3, 3\), but image room/0001 has \(4, 6\)"):
        read_depth_file(path, sample, 1)
    np.save(path, np.zeros((4, 6)))
    with pytest.raises(ImageError, match="zero everywhere"):
        read_depth_file(path, sample, 1)


def test_pickles_are_never_loaded(tmp_path, sample):
    path = tmp_path / "a.npy"
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(ImageError, match="not a readable npy"):
        read_depth_file(path, sample, 1)


def test_what_float32_cannot_hold_was_not_measured(tmp_path, sample):
    np.save(tmp_path / "a.npy", np.array([[1e300, -np.inf, 0, 1, 2, 3]] * 4))
    assert read_depth_file(tmp_path / "a.npy", sample, 1)[0].tolist() == [0, 0, 0, 1, 2, 3]
