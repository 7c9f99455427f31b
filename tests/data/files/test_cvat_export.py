"""The archive is read by the rules of CVAT's manual: colours of labelmap.txt, one label per object."""

import io

import numpy as np
import pytest
from PIL import Image

from data.errors import DatasetError
from data.files.cvat_export import LABEL_MAP, MOST_OBJECTS, cvat_files, cvat_labels
from data.files.exported_frames import ExportedFrame
from data.files.instance_export import ExportedInstance

CLASSES = ["background", "mug", "plate"]


def frame(*classes, unlabelled=(), size=(6, 8), name="images/a.jpg"):
    """A frame with one row of pixels per object."""
    objects = []
    for row, number in enumerate(classes):
        mask = np.zeros(size, bool)
        mask[row, 1:5] = True
        objects.append(ExportedInstance(number, 0.5, [1, row, 4, 1], mask))
    unknown = np.zeros(size, bool)
    for row in unlabelled:
        unknown[row] = True
    return ExportedFrame(name, None, size, objects, unknown)


def read_back(files):
    """Image -> {object: (label, mask)} and the labels, from the files of an archive, as the manual describes them."""
    files = dict(files)
    colours = {}
    for line in files["labelmap.txt"].decode().splitlines():
        if line and not line.startswith("#"):
            name, colour, parts, actions = line.split(":")
            assert parts == actions == ""
            assert tuple(map(int, colour.split(","))) not in colours
            colours[tuple(map(int, colour.split(",")))] = name
    found = {}
    for name in files["ImageSets/Segmentation/default.txt"].decode().split():
        classes, objects = (
            np.asarray(Image.open(io.BytesIO(files[f"{folder}/{name}.png"])).convert("RGB"))
            for folder in ("SegmentationClass", "SegmentationObject")
        )
        items = found[name] = []
        for colour in np.unique(objects.reshape(-1, 3), axis=0):
            if colour.any():
                mask = (objects == colour).all(-1)
                (label,) = {colours[tuple(value)] for value in classes[mask].tolist()}
                items.append((label, mask))
        assert {tuple(value) for value in classes.reshape(-1, 3).tolist()} <= colours.keys()
    assert len(files) == 2 + 2 * len(found)
    return found, colours


def test_objects_come_back_with_their_labels():
    frames = [frame(1, 2, 1), frame(2)]
    found, colours = read_back(cvat_files(frames, ["a", "x/b"], CLASSES))
    assert colours == {(0, 0, 0): "background", (128, 0, 0): "mug", (0, 128, 0): "plate"}
    for name, wanted in zip(("a", "x/b"), frames, strict=True):
        assert sorted(label for label, _ in found[name]) == sorted(CLASSES[o.class_number] for o in wanted.objects)
        for item in wanted.objects:
            wanted_name = CLASSES[item.class_number]
            assert any(label == wanted_name and np.array_equal(mask, item.mask) for label, mask in found[name])


def test_objects_without_class_and_pixels_without_label_have_labels_of_their_own():
    files = dict(cvat_files([frame(0, 1, unlabelled=[5])], ["a"], CLASSES))
    found, colours = read_back(files.items())
    assert sorted(label for label, _ in found["a"]) == ["mug", "object"]
    assert colours[(255, 255, 255)] == "unlabelled"
    classes = np.asarray(Image.open(io.BytesIO(files["SegmentationClass/a.png"])))
    assert ((classes == 255).all(-1) == frame(0, 1, unlabelled=[5]).unlabelled).all()


def test_labels_of_a_task_have_the_colours_of_the_archive():
    files = dict(cvat_files([frame(1)], ["a"], CLASSES))
    _, colours = read_back(files)
    hexes = {"#%02x%02x%02x" % colour: name for colour, name in colours.items()}  # noqa: UP031
    labels = cvat_labels(files[LABEL_MAP])
    assert [label["name"] for label in labels] == ["mug", "plate"]
    assert all(hexes[label["color"]] == label["name"] for label in labels)


def test_labels_of_a_task_are_all_labels_of_the_archive():
    """CVAT refuses an archive with a label that the task does not have; `object` was once not listed."""
    files = dict(cvat_files([frame(0, 1, unlabelled=[5])], ["a"], CLASSES))
    labels = cvat_labels(files[LABEL_MAP])
    assert [label["name"] for label in labels] == ["mug", "plate", "object", "unlabelled"]
    assert labels[-1]["color"] == "#ffffff"


def test_what_the_format_cannot_hold_is_refused():
    with pytest.raises(DatasetError, match="class 'a:b': CVAT's labelmap.txt can have no ':'"):
        list(cvat_files([], [], ["background", "a:b"]))
    size = (MOST_OBJECTS + 1, 8)
    assert len(read_back(cvat_files([frame(*[1] * MOST_OBJECTS, size=size)], ["a"], CLASSES))[0]["a"]) == MOST_OBJECTS
    with pytest.raises(DatasetError, match=r"images/a.jpg: has 256 objects, but CVAT reads at most 255"):
        list(cvat_files([frame(*[1] * (MOST_OBJECTS + 1), size=size)], ["a"], CLASSES))
