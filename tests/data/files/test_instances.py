import numpy as np
import pytest

from data.files.instances import FARTHEST, instance_mask, is_coordinate, polygon_mask


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compressed_run_lengths_are_those_of_pycocotools():
    from pycocotools import mask as coco_mask

    rng = np.random.default_rng(0)
    for share in np.linspace(0, 1, 30):
        shape = tuple(int(side) for side in rng.integers(1, 90, 2))
        expected = rng.random(shape) < share
        expected[: shape[0] // 2] = share > 0.5  # long runs, too
        counts = coco_mask.encode(np.asfortranarray(expected.astype(np.uint8)))["counts"].decode()
        assert np.array_equal(instance_mask({"size": list(shape), "counts": counts}, shape), expected)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([1, 2], "whose sum is the number of pixels"),
        ([-1, 7], "no numbers of at least 0"),
        ([6.0], "no numbers of at least 0"),
        (None, "no numbers of at least 0"),
        ("", "whose sum is the number of pixels"),
        ("6\x00", "damaged"),
        ("é", "damaged"),
        ("P", "cut"),
        ("PPPPPPPPPPPPPPPP", "damaged"),
    ],
)
def test_damaged_run_lengths_are_refused(counts, message):
    """pycocotools gives arbitrary numbers for them, or writes outside of its memory."""
    with pytest.raises(ValueError, match=message):
        instance_mask({"size": [2, 3], "counts": counts}, (2, 3))


@pytest.mark.parametrize("size", [[3, 2], None, "23", [2, 3, 1]])
def test_run_lengths_of_another_image_are_refused(size):
    with pytest.raises(ValueError, match=r"the image is \[2, 3\]"):
        instance_mask({"size": size, "counts": [6]}, (2, 3))


@pytest.mark.parametrize(
    "polygons",
    [None, "text", 3, [None], [[1, 2, 3]], [[1, 2, 3, "4"]], [[1, 2, 3, None]], [[0, 0, float("nan"), 1]], [[[1, 2]]]],
)
def test_what_is_no_list_of_polygons_is_refused(polygons):
    with pytest.raises(ValueError, match="(neither a list of polygons|no list of coordinates)"):
        polygon_mask(polygons, (4, 5))


def test_polygons_may_leave_the_image_but_not_go_anywhere():
    assert polygon_mask(
        [[-FARTHEST, -FARTHEST, FARTHEST, -FARTHEST, FARTHEST, FARTHEST, -FARTHEST, FARTHEST]], (4, 5)
    ).all()
    assert not is_coordinate(2 * FARTHEST)
    assert not is_coordinate(10**400)


def test_a_polygon_without_area_is_left_out():
    assert not polygon_mask([[], [1, 1], [0, 0, 3, 3]], (4, 5)).any()
