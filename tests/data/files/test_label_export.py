"""Exported labels, opened again by the tools they are for."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from data.files.label_export import coco_content, indexed_png, voc_palette


@pytest.fixture
def labels():
    found = np.zeros((20, 30), np.uint8)
    found[2:9, 3:12], found[10:15, 20:28], found[19] = 1, 3, 255
    return found


def test_an_indexed_png_keeps_the_class_numbers_and_shows_the_colours_of_voc(labels):
    image = Image.open(io.BytesIO(indexed_png(labels)))
    assert image.mode == "P"
    assert np.array_equal(np.asarray(image), labels)
    assert np.array_equal(np.asarray(image.convert("RGB"))[4, 5], voc_palette()[1])


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
