"""Brush strokes are decoded bit by bit, as rle-pack's `decode` does (thi.ng/umbrella, packages/rle-pack)."""

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from data.files import label_studio_export
from data.files.exported_frames import ExportedFrame
from data.files.instance_export import ExportedInstance
from data.files.label_studio_export import brush_run_lengths, label_studio_files


def decoded(values, shape):
    """The mask of a brush stroke. rle-pack: 32 bits number of words, 5 bits word size, four sizes of runs; then runs.

    Label Studio puts the words into an RGBA image, and draws where its alpha is not 0.
    """
    bits, at = "".join(f"{value:08b}" for value in values), 0

    def read(count):
        nonlocal at
        at += count
        return int(bits[at - count : at], 2)

    number, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    words = []
    while len(words) < number:
        is_run = read(1)
        length = read(sizes[read(2)]) + 1
        words += [read(word)] * length if is_run else [read(word) for _ in range(length)]
    assert len(words) == number
    assert len(bits) - at < 8  # what is left fills the last byte
    return np.array(words).reshape(*shape, 4)[..., 3] > 0


def masks():
    rng = np.random.default_rng(0)
    yield np.zeros((1, 1), bool)
    yield np.ones((3, 2), bool)
    yield rng.random((13, 17)) > 0.5
    for length in (1, 2, 3, 4, 5, 63, 64, 65, 16383, 16384, 16385):  # around the limits of the four kinds
        mask = np.zeros((1, 17_000), bool)
        mask[0, 7 : 7 + length] = True
        yield mask


@pytest.mark.parametrize("mask", list(masks()), ids=lambda mask: f"{mask.shape} {mask.sum()}")
def test_a_brush_stroke_is_the_mask(mask):
    assert np.array_equal(decoded(brush_run_lengths(mask), mask.shape), mask)


def test_the_decoder_of_label_studio_reads_it():
    brush = pytest.importorskip("label_studio_sdk.converter.brush", reason="label-studio-sdk is not installed")
    for mask in masks():
        found = np.reshape(brush.decode_rle(brush_run_lengths(mask)), (*mask.shape, 4))[..., 3]
        assert np.array_equal(found > 0, mask)


def frame(name, *classes, score=0.25):
    objects = []
    for row, number in enumerate(classes):
        mask = np.zeros((5, 7), bool)
        mask[row, 2:6] = True
        objects.append(ExportedInstance(number, score, [2, row, 4, 1], mask))
    return ExportedFrame(name, None, (5, 7), objects, np.zeros((5, 7), bool))


def test_tasks_name_image_labels_and_scores():
    frames = [frame("images/a b.jpg", 1, 2), frame("images/c.jpg"), frame("images/d.jpg", 2, score=None)]
    names = ["background", "mug", 'a "plate" & more']
    files = dict(label_studio_files(frames, names, "/data/local-files/?d=", "depthseed 12"))
    assert list(files) == ["tasks_0001.json", "labels.xml"]
    tasks = json.loads(files["tasks_0001.json"])
    assert [task["data"]["image"] for task in tasks] == [
        f"/data/local-files/?d=images/{name}.jpg" for name in ("a%20b", "c", "d")
    ]
    interface = ElementTree.fromstring(files["labels.xml"])
    image, control = interface.find("Image"), interface.find("BrushLabels")
    assert image.get("value") == "$image"
    assert control.get("toName") == image.get("name")
    assert [label.get("value") for label in control] == names[1:]
    regions = []
    for task, source in zip(tasks, frames, strict=True):
        (prediction,) = task["predictions"]
        assert prediction["model_version"] == "depthseed 12"
        for result, item in zip(prediction["result"], source.objects, strict=True):
            regions.append(result["id"])
            assert (result["from_name"], result["to_name"]) == (control.get("name"), image.get("name"))
            assert (result["original_height"], result["original_width"], result["image_rotation"]) == (5, 7, 0)
            assert result["value"]["brushlabels"] == [names[item.class_number]]
            assert result.get("score") == item.score
            assert np.array_equal(decoded(result["value"]["rle"], (5, 7)), item.mask)
    assert len(set(regions)) == 3


def test_many_tasks_are_several_files_and_instances_may_have_no_class(monkeypatch):
    monkeypatch.setattr(label_studio_export, "TASKS_PER_FILE", 2)
    frames = [frame(f"{number}.jpg", 0) for number in range(4)]
    files = dict(label_studio_files(iter(frames), ["background", "mug"], "", "1"))
    assert list(files) == ["tasks_0001.json", "tasks_0002.json", "labels.xml"]
    second = json.loads(files["tasks_0002.json"])
    assert [task["data"]["image"] for task in second] == ["2.jpg", "3.jpg"]
    assert second[0]["predictions"][0]["result"][0]["value"]["brushlabels"] == ["object"]
    assert b'value="object"' in files["labels.xml"]
