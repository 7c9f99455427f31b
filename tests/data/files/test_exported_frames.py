from pathlib import Path

import numpy as np
import pytest

from data.errors import DatasetError
from data.files.exported_frames import common_folder, frame_of_instances, frame_of_labels, image_name, stems
from data.files.instance_export import ExportedInstance
from data.sample import TRAIN, UNLABELLED, Sample


def sample(path="set/images/a.jpg"):
    return Sample("train/a", TRAIN, Path(path), (1,), size=(4, 5))


def test_a_label_map_has_one_object_per_class_with_its_box():
    labels = np.zeros((4, 5), np.uint16)
    labels[1:3, 2:5], labels[3, 0], labels[0, 4], labels[0, 0] = 2, 2, 1, UNLABELLED
    frame = frame_of_labels(sample(), Path("set"), labels)
    assert (frame.name, frame.size) == ("images/a.jpg", (4, 5))
    assert [(item.class_number, item.box, item.score) for item in frame.objects] == [
        (1, [4, 0, 1, 1], None),
        (2, [0, 1, 5, 3], None),
    ]
    assert np.array_equal(frame.objects[1].mask, labels == 2)
    assert np.argwhere(frame.unlabelled).tolist() == [[0, 0]]


def test_instances_are_kept_as_they_are():
    item = ExportedInstance(1, 0.5, [0, 0, 5, 4], np.ones((4, 5), bool))
    frame = frame_of_instances(sample(), Path("set"), (4, 5), [item])
    assert frame.objects == [item]
    assert not frame.unlabelled.any()


def test_an_image_outside_of_the_data_set_is_named_by_its_file():
    assert image_name(sample("/elsewhere/b.jpg"), Path("set")) == "b.jpg"


@pytest.mark.parametrize(
    ("names", "folder"),
    [
        (["a/b/c.jpg"], "a/b/"),
        (["a/b/c.jpg", "a/bb/c.jpg"], "a/"),
        (["a/b/c.jpg", "a/d.jpg", "a/b/e.jpg"], "a/"),
        (["a.jpg"], ""),
        ([], ""),
    ],
)
def test_the_folder_that_images_share(names, folder):
    assert common_folder(names) == folder


def test_names_are_as_short_as_the_common_folder_allows():
    assert stems(["x/1/a.b.jpg", "x/2/a.b.jpg"]) == ["1/a.b", "2/a.b"]
    with pytest.raises(DatasetError, match=r"x/a.jpg and x/a.png: differ only in their ending"):
        stems(["x/a.jpg", "x/a.png"])
