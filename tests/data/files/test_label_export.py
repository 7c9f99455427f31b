"""Exported labels, opened again by the tools they are for."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from data.files.label_export import coco_content, exported_png, voc_palette, voc_submission
from data.files.labels import read_truth
from data.sample import TRAIN, UNLABELLED, LabelLayer, Sample


@pytest.fixture
def labels():
    found = np.zeros((20, 30), np.uint16)
    found[2:9, 3:12], found[10:15, 20:28], found[19] = 1, 3, UNLABELLED
    return found


@pytest.mark.parametrize("num_classes", [3, 254])
def test_a_png_of_8_bits_keeps_the_class_numbers_and_shows_the_colours_of_voc(labels, num_classes):
    labels[0, 0] = num_classes
    image = Image.open(io.BytesIO(exported_png(labels, num_classes)))
    assert image.mode == "P"
    assert np.array_equal(np.asarray(image), np.where(labels == UNLABELLED, 255, labels))
    assert np.array_equal(np.asarray(image.convert("RGB"))[4, 5], voc_palette()[1])


@pytest.mark.parametrize("num_classes", [255, 1203])
def test_more_classes_than_a_byte_holds_are_a_png_of_16_bits(labels, num_classes, tmp_path):
    labels[0, :4] = 44, 255, num_classes, UNLABELLED
    path = tmp_path / "a.png"
    path.write_bytes(exported_png(labels, num_classes))
    assert np.array_equal(np.asarray(Image.open(path)), labels)
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "image.png")
    sample = Sample("a", TRAIN, tmp_path / "image.png", (1,), truth=(LabelLayer(path),))
    assert np.array_equal(read_truth(sample, num_classes), labels)


def test_an_exported_png_of_8_bits_is_read_back(labels, tmp_path):
    (tmp_path / "a.png").write_bytes(exported_png(labels, 3))
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "image.png")
    sample = Sample("a", TRAIN, tmp_path / "image.png", (1,), truth=(LabelLayer(tmp_path / "a.png"),))
    assert np.array_equal(read_truth(sample, 3), labels)


def test_the_palette_goes_on_beyond_a_byte():
    table = voc_palette(1204)
    assert np.array_equal(table[:256], voc_palette())
    assert len({tuple(colour) for colour in table.tolist()}) == 1204


def test_the_palette_is_that_of_voc():
    table = voc_palette()
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 15: (192, 128, 128), 20: (0, 64, 128), 255: (224, 224, 192)}
    assert {class_number: tuple(int(v) for v in table[class_number]) for class_number in known} == known


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_coco_file_is_opened_by_pycocotools(labels, tmp_path):
    content = coco_content(["background", "mug", "plate", "can"], [("a.jpg", labels), ("b.jpg", labels * 0)])
    (tmp_path / "coco.json").write_text(json.dumps(content))
    coco = COCO(tmp_path / "coco.json")
    assert [item["name"] for item in coco.loadCats(coco.getCatIds())] == ["mug", "plate", "can"]
    (mug, can) = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert (mug["category_id"], can["category_id"]) == (1, 3)
    assert mug["bbox"] == [3, 2, 9, 7]
    assert mug["area"] == (labels == 1).sum()
    assert np.array_equal(coco.annToMask(can), labels == 3)
    assert coco.getAnnIds(imgIds=[2]) == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_class_255_is_a_category(tmp_path):
    labels = np.array([[0, 255, 255, 300, UNLABELLED]], np.uint16)
    content = coco_content([str(number) for number in range(301)], [("a.jpg", labels)])
    assert [item["category_id"] for item in content["annotations"]] == [255, 300]
    assert content["categories"][299] == {"id": 300, "name": "300"}


def test_the_archive_for_the_server_of_voc_has_its_layout_and_always_the_same_bytes():
    numbers = {"2008_1": 0, "2008_2": 20}
    files = [(name, exported_png(np.full((2, 3), number, np.uint16), 20)) for name, number in numbers.items()]
    packed = voc_submission("test", files)
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        assert archive.getnames() == [f"results/VOC2012/Segmentation/comp6_test_cls/{name}.png" for name, _ in files]
        found = Image.open(io.BytesIO(archive.extractfile(archive.getmembers()[1]).read()))
        assert (found.mode, np.asarray(found).tolist()) == ("P", [[20] * 3] * 2)
    assert voc_submission("test", files) == packed
