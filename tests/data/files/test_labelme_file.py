import json

import pytest

from data.errors import DatasetError
from data.files.labelme_file import read_labelme_file

TRIANGLE = {"label": "mug", "points": [[0, 0], [4.5, 0], [0, 3]], "shape_type": "polygon"}


@pytest.fixture
def write(tmp_path):
    def written(**content):
        (tmp_path / "a.json").write_text(json.dumps(content))
        return tmp_path / "a.json"

    read_labelme_file.cache_clear()
    return written


def test_polygons_come_in_the_order_of_the_file_with_the_size_of_the_image(write):
    without_type = {"label": "plate", "points": TRIANGLE["points"]}
    path = write(shapes=[TRIANGLE, without_type], imageHeight=4, imageWidth=6)
    corners = [0, 0, 4.5, 0, 0, 3]
    assert read_labelme_file(path) == ((4, 6), [("mug", corners), ("plate", corners)])


def test_a_rectangle_has_four_corners(write):
    rectangle = {"label": "mug", "points": [[1, 2], [5, 4]], "shape_type": "rectangle"}
    assert read_labelme_file(write(shapes=[rectangle])) == (None, [("mug", [1, 2, 5, 2, 5, 4, 1, 4])])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape_type": "circle"}, "shape 0 is a 'circle'; draw a polygon or a rectangle"),
        ({"shape_type": ["x"]}, "shape 0 is a "),
        ({"label": None}, "shape 0 has no label"),
        ({"points": TRIANGLE["points"][:2]}, "shape 0, a polygon, has no list of its corners"),
        ({"points": [[0, 0, 0]] * 3}, "shape 0, a polygon, has no list of its corners"),
        ({"points": [[0, float("inf")]] * 3}, "shape 0, a polygon, has no list of its corners"),
        ({"points": None, "shape_type": "rectangle"}, "shape 0, a rectangle, has no list of its corners"),
    ],
)
def test_what_cannot_be_drawn_is_named(write, change, message):
    with pytest.raises(DatasetError, match=f"a.json: {message}"):
        read_labelme_file(write(shapes=[TRIANGLE | change]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "is not a labelme file .it has no list 'shapes'"),
        ({"shapes": {}}, "is not a labelme file"),
        ({"shapes": [3]}, "shape 0 has no label"),
        ({"shapes": [], "imageHeight": 4}, r"has the image size \[4, None\]"),
        ({"shapes": [], "imageHeight": 4, "imageWidth": "6"}, r"has the image size \[4, '6'\]"),
    ],
)
def test_what_is_no_labelme_file_is_named(write, content, message):
    with pytest.raises(DatasetError, match=f"a.json: {message}"):
        read_labelme_file(write(**content))
