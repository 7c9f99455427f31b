import base64
import io

import numpy as np
from PIL import Image

from data.sample import UNLABELLED
from models.palette import palette
from pipeline.report.colours import (
    UNLABELLED_COLOUR,
    colour_depth,
    colour_instances,
    colour_labels,
    colour_superpixels,
    data_uri,
    save_sheet,
    sheet,
)


def test_labels_and_unlabelled_pixels():
    coloured = colour_labels(np.array([[0, 1, UNLABELLED]], np.uint16), 2)
    assert tuple(coloured[0, 2]) == UNLABELLED_COLOUR
    assert tuple(coloured[0, 1]) == tuple(palette(2)[1])


def test_a_thousand_classes_have_colours_that_repeat():
    coloured = colour_labels(np.array([[255, 256, 300, 1203, UNLABELLED]], np.uint16), 1204)
    assert np.array_equal(coloured[0, :4], palette(1204)[[255, 256, 300, 1203]])
    assert tuple(coloured[0, 4]) == UNLABELLED_COLOUR


def test_holes_are_black_and_near_is_bright():
    depth = np.linspace(0.5, 2.0, 100, dtype=np.float32).reshape(10, 10)
    valid = np.ones((10, 10), bool)
    valid[0, 0] = False
    coloured = colour_depth(depth, valid).astype(int)
    assert coloured[0, 0].sum() == 0
    assert coloured[0, 1].sum() > coloured[9, 9].sum()
    assert not colour_depth(np.full((2, 2), np.nan), np.zeros((2, 2), bool)).any()


def test_neighbouring_superpixels_differ_and_the_image_shines_through():
    labels = np.arange(6).repeat(6).reshape(6, 6)
    assert len(np.unique(colour_superpixels(labels).reshape(-1, 3), axis=0)) == 6
    dark, bright = (colour_superpixels(labels, np.full((6, 6, 3), v, np.uint8)) for v in (0, 200))
    assert (bright > dark).all()


def test_data_uri_is_a_png_no_wider_than_asked():
    uri = data_uri(np.zeros((30, 60, 3), np.uint8), width=20)
    picture = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert picture.size == (20, 10)


def test_a_sheet_holds_every_picture():
    pictures = [np.full((4, 5, 3), value, np.uint8) for value in (10, 20, 30, 40, 50)]
    whole = sheet(pictures, columns=2, gap=1)
    assert {10, 20, 30, 40, 50} <= set(whole.ravel().tolist())


def test_a_saved_sheet_is_no_wider_than_asked(tmp_path):
    pictures = [np.full((40, 50, 3), value, np.uint8) for value in (10, 20, 30, 40)]
    save_sheet(tmp_path / "sheet.png", pictures, columns=2, width=56)
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.size == (56, 46)


def test_each_instance_has_a_colour_and_nothing_is_dark():
    picture = colour_instances(np.array([[0, 1, 2, 21]], np.uint16))
    assert picture[0, 0].tolist() == palette(2)[0].tolist()
    assert (picture[0, 1] == picture[0, 3]).all()  # twenty colours in turn
    assert (picture[0, 1] != picture[0, 2]).any()
    assert (colour_instances(np.zeros((1, 1), np.uint16), np.full((1, 1, 3), 255, np.uint8)) > 100).all()
