import numpy as np
import pytest

from data.files.instances import FARTHEST, LONGEST, instance_mask, is_coordinate, polygon_mask


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
@pytest.mark.parametrize("mask_of", [polygon_mask, instance_mask])
def test_what_is_no_list_of_polygons_is_refused(polygons, mask_of):
    with pytest.raises(ValueError, match="(neither a list of polygons|no list of coordinates)"):
        mask_of(polygons, (4, 5))


def test_polygons_may_leave_the_image_but_not_go_anywhere():
    square = [-FARTHEST, -FARTHEST, FARTHEST, -FARTHEST, FARTHEST, FARTHEST, -FARTHEST, FARTHEST]
    assert polygon_mask([square], (4, 5)).all()
    assert instance_mask([[value / 1000 for value in square]], (4, 5)).all()
    assert not is_coordinate(2 * FARTHEST)
    assert not is_coordinate(10**400)


@pytest.mark.parametrize("mask_of", [polygon_mask, instance_mask])
def test_a_polygon_without_area_is_left_out(mask_of):
    assert not mask_of([[], [1, 1], [0, 0, 3, 3]], (4, 5)).any()
    assert np.array_equal(mask_of([[0, 0, 3, 3], SQUARE], (30, 30)), mask_of([SQUARE], (30, 30)))


SQUARE = [10, 10, 20, 10, 20, 20, 10, 20]


def test_the_corners_of_coco_lie_on_the_edges_of_pixels():
    expected = np.zeros((30, 40), bool)
    expected[10:20, 10:20] = True
    assert np.array_equal(instance_mask([SQUARE], (30, 40)), expected)
    assert polygon_mask([SQUARE], (30, 40)).sum() == 121  # labelme's lie on their centres


def test_the_polygons_of_an_object_of_coco_are_joined():
    expected = np.zeros((30, 40), bool)
    expected[10:20, 10:20] = expected[15:25, 15:30] = True
    assert np.array_equal(instance_mask([SQUARE, [15, 15, 30, 15, 30, 25, 15, 25]], (30, 40)), expected)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_polygons_of_coco_are_those_of_pycocotools():
    from pycocotools.coco import COCO

    rng, coco = np.random.default_rng(0), COCO()
    for _ in range(100):
        height, width = (int(side) for side in rng.integers(1, 60, 2))
        parts = [rng.uniform(-5, 65, 2 * int(rng.integers(3, 9))).tolist() for _ in range(int(rng.integers(1, 4)))]
        coco.imgs = {7: {"height": height, "width": width}}
        expected = coco.annToMask({"image_id": 7, "segmentation": parts})
        found = instance_mask(parts, (height, width))
        assert found.dtype == bool
        assert np.array_equal(found, expected)


def test_lines_for_which_pycocotools_has_no_memory_are_refused():
    there_and_back = [-FARTHEST, 0, FARTHEST, 0] * (int(LONGEST / FARTHEST) // 4 + 1)
    with pytest.raises(ValueError, match="longer than 10000000 pixels"):
        instance_mask([there_and_back], (4, 5))
