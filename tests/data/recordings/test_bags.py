import numpy as np
import pytest
from bags import COLOUR as COLOUR_TOPIC
from bags import DEPTH as DEPTH_TOPIC
from bags import SECOND, Bag, depth_of, frame

from data.errors import DatasetError
from data.recordings.bags import is_bag, open_bag
from data.recordings.frames import COLOUR, DEPTH

pytest.importorskip("rosbags")

ANY = {COLOUR: "", DEPTH: ""}


@pytest.mark.parametrize("kind", ["sqlite3", "mcap", "ros1"])
def test_times_of_the_camera_count_and_those_of_the_recording_where_it_gave_none(kind, tmp_path):
    bag = Bag(kind)
    bag.image(3 * SECOND, frame(0), "rgb8", COLOUR_TOPIC, late=SECOND, gap=2)
    bag.image(0, depth_of(0), "16UC1", DEPTH_TOPIC, late=5 * SECOND)
    path = bag.write(tmp_path)
    assert is_bag(path)
    assert not is_bag(tmp_path / "nothing")
    with open_bag(path, ANY) as found:
        assert {stream: times.tolist() for stream, times in found.stamps().items()} == {
            COLOUR: [3 * SECOND],
            DEPTH: [5 * SECOND],
        }
        images = {stream: packed for stream, _, packed in found.images()}
        assert np.array_equal(images[COLOUR].decode(), frame(0))
        assert np.array_equal(images[DEPTH].decode(), depth_of(0))
        assert found.intrinsics() is None


def test_an_uncalibrated_camera_has_no_intrinsics(tmp_path):
    bag = Bag("ros1")
    bag.pair(0, SECOND)
    bag.camera_info(SECOND, [0.0] * 9)
    with open_bag(bag.write(tmp_path), ANY) as found:
        assert found.intrinsics() is None


def test_a_topic_that_is_missing_is_named_with_those_that_are_there(tmp_path):
    bag = Bag("mcap")
    bag.pair(0, SECOND)
    with pytest.raises(DatasetError, match=r"has no topic /x with images; image topics: .*image_raw .rgb8., .*16UC1"):  # noqa: SIM117
        with open_bag(bag.write(tmp_path), {COLOUR: "/x", DEPTH: ""}):
            pass


def test_parts_of_a_bag_of_ros_1_are_one_recording(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    for number in range(2):
        bag = Bag("ros1")
        bag.pair(number, (1 + number) * SECOND)
        bag.write(folder, f"part_{number}")
    with open_bag(folder, ANY) as found:
        assert found.stamps()[COLOUR].tolist() == [SECOND, 2 * SECOND]


def test_a_bug_of_the_reader_of_frames_is_not_called_damage(tmp_path):
    bag = Bag("mcap")
    bag.pair(0, SECOND)
    path = bag.write(tmp_path)

    def read():
        with open_bag(path, ANY) as found:
            next(found.images())
            raise KeyError

    with pytest.raises(KeyError):
        read()
