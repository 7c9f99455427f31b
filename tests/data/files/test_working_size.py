import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from data.depth.folder import read_depth_file
from data.errors import ImageError
from data.files.images import read_depth, read_saliency
from data.files.instance_truth import read_instances
from data.files.labels import read_truth
from data.files.mask_files import MaskFiles
from data.files.working_size import at_full_size, fitted, full_size, nearest, sample_image, working_size
from data.sample import LabelLayer, Sample

FULL, SMALL = (120, 160), (30, 40)


@pytest.fixture
def sample(tmp_path):
    """A frame whose left half is the class 1; everything has the full size, the run works at a quarter of it."""
    rows, columns = np.mgrid[: FULL[0], : FULL[1]]
    half = columns < 80
    for name, values in (
        ("images", np.dstack([columns, rows, half * 200])),
        ("depth", np.where(half, 500, 900).astype(np.uint16)),
        ("masks", half),
        ("instances", half * 3),
        ("saliency", half * 255),
    ):
        (tmp_path / name).mkdir()
        values = values if values.dtype == np.uint16 else values.astype(np.uint8)
        Image.fromarray(values).save(tmp_path / f"{name}/0.png")
    truth = (LabelLayer(tmp_path / "masks/0.png"),)
    return Sample("0", "train", tmp_path / "images/0.png", (1,), tmp_path / "depth/0.png", truth=truth, size=SMALL)


def test_the_longer_side_counts_and_nothing_is_made_larger():
    assert working_size((100, 30), 50) == (50, 15)
    assert working_size((1, 5000), 50) == (1, 50)
    assert working_size((40, 30), 50) == (40, 30)


def test_everything_of_a_frame_is_read_at_the_working_size(sample, tmp_path):
    half = np.arange(40)[None].repeat(30, 0) < 20
    image = sample_image(sample)
    assert image.shape == (*SMALL, 3)
    assert np.abs(image[:, 1:-1, 0].astype(int) - (4 * np.arange(40)[None, 1:-1] + 1.5)).max() <= 1
    assert np.allclose(read_depth(sample), np.where(half, 0.5, 0.9))
    assert np.allclose(read_depth_file(tmp_path / "depth/0.png", sample, 0.001), np.where(half, 0.5, 0.9))
    assert np.array_equal(read_saliency(tmp_path / "saliency/0.png", sample), half)
    assert np.array_equal(read_truth(sample, 1), half)
    assert read_truth(at_full_size(sample), 1).shape == full_size(sample) == FULL
    (instance,) = read_instances(sample, 1)
    assert np.array_equal(instance.mask, half)
    assert instance.class_number == 1
    ((_, mask),) = MaskFiles(tmp_path / "instances").read(sample)
    assert np.array_equal(mask, half)


def test_polygons_and_binary_masks_are_read_at_the_working_size(sample, tmp_path):
    shape = {"label": "mug", "points": [[0, 0], [80, 0], [80, 120], [0, 120]], "shape_type": "polygon"}
    content = {"shapes": [shape], "imageWidth": 160, "imageHeight": 120}
    (tmp_path / "0.json").write_text(json.dumps(content))
    drawn = (LabelLayer(tmp_path / "0.json", None, "labelme", "background|mug"),)
    found = read_truth(dataclasses.replace(sample, truth=drawn), 1)
    assert found.shape == SMALL
    assert (found[:, :19] == 1).all()
    binary = (LabelLayer(tmp_path / "masks/0.png", class_index=1),)
    sample = dataclasses.replace(sample, truth=binary)
    assert np.array_equal(read_truth(sample, 1) == 1, nearest(read_truth(at_full_size(sample), 1) == 1, SMALL))
    (instance,) = read_instances(sample, 1)
    assert instance.mask.shape == SMALL


def test_a_file_of_another_size_is_refused_as_ever(sample, tmp_path):
    Image.fromarray(np.ones((60, 80), np.uint8)).save(tmp_path / "masks/0.png")
    with pytest.raises(ImageError, match="mask has shape .60, 80., but image 0 has .30, 40."):
        read_truth(sample, 1)
    values = np.zeros((60, 80))
    assert fitted(values, sample) is values


def test_an_image_that_was_changed_is_refused(sample):
    Image.fromarray(np.zeros((120, 120, 3), np.uint8)).save(sample.image)
    with pytest.raises(ImageError, match="has 120x120 pixels, but 40x30 were indexed; it was changed"):
        sample_image(sample)
