"""Text files are read as ultralytics does: `verify_image_label`, `polygon2mask`, and `img2label_paths`."""

import io

import numpy as np
import pytest
import yaml
from PIL import Image
from scipy.ndimage import gaussian_filter, label

from data.files.exported_frames import ExportedFrame
from data.files.instance_export import ExportedInstance
from data.files.yolo_export import polygon_rows, yolo_files

cv2 = pytest.importorskip("cv2")


def drawn(row, shape):
    """The mask of one line: corners times the size, rounded down, filled (ultralytics' `polygon2mask`)."""
    points = np.array(row.split(), np.float32).reshape(-1, 2)
    assert len(points) >= 3  # with fewer values, ultralytics takes a line for a box
    assert (points >= 0).all()
    assert (points <= 1).all()
    assert (np.ptp(points, axis=0) > 0).all()  # its box has an area
    mask = np.zeros(shape, np.uint8)
    points = points * np.array(shape[::-1], np.float32)
    cv2.fillPoly(mask, np.asarray([points], np.int32).reshape(1, -1, 2), color=1)
    return mask > 0


def blobs(seed, shape, sigma=2.0):
    values = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), sigma)
    return values > np.quantile(values, 0.55)


@pytest.mark.parametrize("shape", [(48, 64), (97, 131)])
@pytest.mark.parametrize("seed", range(3))
def test_parts_apart_come_back_pixel_by_pixel(shape, seed):
    mask = blobs(seed, shape)
    rows = polygon_rows(mask, parts_apart=True)
    found = [drawn(row, shape) for row in rows]
    assert len(rows) == label(mask, np.ones((3, 3)))[1]
    assert np.array_equal(np.any(found, axis=0), mask)
    assert sum(one.sum() for one in found) == mask.sum()


def test_an_object_of_several_parts_is_one_line_with_thin_bridges():
    mask = np.zeros((40, 60), bool)
    mask[5:20, 5:20], mask[25:38, 30:55], mask[30:34, 40:45] = True, True, False
    (row,) = polygon_rows(mask, parts_apart=False)
    found = drawn(row, mask.shape)
    assert not (mask & ~found).any()
    assert not found[30:34, 40:45].any()  # the hole
    assert 0 < (found & ~mask).sum() <= 20  # the bridge, one pixel wide


@pytest.mark.parametrize("pixels", [[(3, 4)], [(3, 4), (3, 5)], [(3, 4), (4, 5)], [(2, 4), (3, 4), (4, 4)], [(0, 0)]])
def test_objects_of_a_few_pixels_have_a_box(pixels):
    mask = np.zeros((7, 9), bool)
    mask[tuple(np.transpose(pixels))] = True
    (row,) = polygon_rows(mask, parts_apart=True)
    assert np.array_equal(drawn(row, mask.shape), mask)


def frame(tmp_path, name, *classes):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((12, 16, 3), 90, np.uint8)).save(path)
    objects = []
    for place, number in enumerate(classes):
        mask = np.zeros((12, 16), bool)
        mask[1:5, 5 * place : 5 * place + 4] = True
        objects.append(ExportedInstance(number, 0.5, [5 * place, 1, 4, 4], mask))
    return ExportedFrame(name, path, (12, 16), objects, np.zeros((12, 16), bool))


def test_the_folder_opens_with_its_data_yaml(tmp_path):
    frames = [frame(tmp_path, "images/a.jpg", 2, 1), frame(tmp_path, "images/b.webp")]
    files = dict(yolo_files(frames, ["a", "b"], ["background", "mug", "no"], "train", parts_apart=True))
    described = yaml.safe_load(files["data.yaml"])
    assert described == {"train": "images/train", "val": "images/train", "names": {0: "mug", 1: "no"}}
    images = [name for name in files if name.startswith(described["train"])]
    assert images == ["images/train/a.jpg", "images/train/b.png"]  # webp is written again
    assert files["images/train/a.jpg"] == (tmp_path / "images/a.jpg").read_bytes()
    assert Image.open(io.BytesIO(files["images/train/b.png"])).size == (16, 12)
    for image, item in zip(images, frames, strict=True):
        text = files[image.replace("images/", "labels/").rsplit(".", 1)[0] + ".txt"].decode()
        rows = [line.split(" ", 1) for line in text.splitlines()]
        assert [int(number) for number, _ in rows] == [one.class_number - 1 for one in item.objects]
        for (_, row), one in zip(rows, item.objects, strict=True):
            assert np.array_equal(drawn(row, (12, 16)), one.mask)


def test_instances_of_any_class_are_the_class_object(tmp_path):
    files = dict(yolo_files([frame(tmp_path, "a.png", 0)], ["a"], ["background", "mug"], "train", parts_apart=False))
    assert yaml.safe_load(files["data.yaml"])["names"] == {0: "mug", 1: "object"}
    assert files["labels/train/a.txt"].startswith(b"1 ")
