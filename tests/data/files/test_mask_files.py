import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.errors import DatasetError, ImageError
from data.files.label_export import run_lengths
from data.files.mask_files import MaskFiles, bop_place
from data.sample import Sample

SAMPLE = Sample("val/000002/000003", "evaluation", Path("a.jpg"), (), size=(6, 8))


def test_numbers_in_a_png_are_masks(tmp_path):
    numbers = np.zeros((6, 8), np.uint16)
    numbers[:2], numbers[4:] = 700, 3
    path = tmp_path / "val/000002/000003.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(numbers).save(path)
    found = MaskFiles(tmp_path).read(SAMPLE)
    assert [score for score, _ in found] == [1.0, 1.0]
    assert np.array_equal(found[0][1], numbers == 3)
    Image.fromarray(numbers[:3]).save(path)
    with pytest.raises(ImageError, match=r"000003.png: masks have shape \(3, 8\), but image val/000002/000003 has"):
        MaskFiles(tmp_path).read(SAMPLE)


def write(path, mask, **changed):
    item = {"scene_id": 2, "image_id": 3, "category_id": 1, "score": 0.75, "segmentation": run_lengths(mask)}
    path.write_text(json.dumps([{**item, **changed}, {**item, "image_id": 4}]))
    return MaskFiles(path)


def test_a_file_of_bop_gives_the_masks_of_the_frame(tmp_path):
    mask = np.eye(6, 8) > 0
    ((score, found),) = write(tmp_path / "masks.json", mask).read(SAMPLE)
    assert score == 0.75
    assert np.array_equal(found, mask)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"score": 2}, "no score from 0 to 1"),
        ({"segmentation": [1]}, "no segmentation"),
        ({"image_id": "3"}, "no scene_id"),
    ],
)
def test_a_malformed_item_is_named(tmp_path, change, told):
    with pytest.raises(DatasetError, match=told):
        write(tmp_path / f"{next(iter(change))}.json", np.eye(6, 8) > 0, **change).read(SAMPLE)


def test_a_file_that_is_no_list_or_masks_of_another_size_are_refused(tmp_path):
    (tmp_path / "no.json").write_text("{}")
    with pytest.raises(DatasetError, match="holds no list of masks"):
        MaskFiles(tmp_path / "no.json").read(SAMPLE)
    with pytest.raises(ImageError, match="item 0: its run lengths are of size"):
        write(tmp_path / "small.json", np.eye(3, 3) > 0).read(SAMPLE)


def test_only_frames_of_numbered_scenes_have_a_place():
    assert bop_place(SAMPLE) == (2, 3)
    with pytest.raises(DatasetError, match="evaluation/a: is not a frame of a numbered BOP scene"):
        bop_place(Sample("evaluation/a", "evaluation", Path("a.jpg"), ()))
