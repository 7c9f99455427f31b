import pytest
from bags import depth_of, frame
from PIL import Image

from data.errors import DatasetError
from data.recordings.folders import is_open3d, is_tum, read_open3d, read_tum
from data.recordings.frames import COLOUR, DEPTH, NANOSECONDS


def test_times_of_tum_are_exact(tmp_path):
    (tmp_path / "a b.png").write_bytes(b"")
    (tmp_path / "rgb.txt").write_text("# list\n\n1305031102.175304 a b.png\n1305031101 a b.png\n")
    assert is_tum(tmp_path)
    assert not is_open3d(tmp_path)
    assert read_tum(tmp_path).stamps()[COLOUR].tolist() == [1305031101000000000, 1305031102175304000]
    (tmp_path / "rgb.txt").write_text("1 ../a.png\n")
    with pytest.raises(DatasetError, match="rgb.txt: line 1 names ../a.png, which is missing"):
        read_tum(tmp_path)


def test_frames_of_open3d_are_matched_by_name(tmp_path):
    for folder in ("color", "depth"):
        (tmp_path / folder).mkdir()
    for name in ("00", "01", "03"):
        Image.fromarray(frame(0)).save(tmp_path / f"color/{name}.png")
    for name in ("01", "02", "03"):
        Image.fromarray(depth_of(0) * 2).save(tmp_path / f"depth/{name}.png")
    assert is_open3d(tmp_path)
    found = read_open3d(tmp_path, counts_per_metre=2000)
    stamps = {stream: (times / NANOSECONDS).tolist() for stream, times in found.stamps().items()}
    assert stamps == {COLOUR: [0, 1, 3], DEPTH: [1, 2, 3]}
    assert all((packed.decode() == depth_of(0)).all() for stream, _, packed in found.images() if stream == DEPTH)
    assert found.intrinsics() is None
