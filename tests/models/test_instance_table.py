import numpy as np
import pytest

from models.instance_table import class_of_each, depth_scores, instance_table

INSTANCES = np.array([[1, 1, 0, 0], [1, 0, 2, 2], [0, 0, 2, 2]])


def test_boxes_and_areas_are_those_of_the_pixels():
    table = instance_table(INSTANCES, np.array([4, 7]), np.array([0.25, 1.0]))
    assert table.boxes.tolist() == [[0, 0, 2, 2], [2, 1, 2, 2]]
    assert table.areas.tolist() == [3, 4]
    assert (table.classes.tolist(), table.scores.tolist()) == ([4, 7], [0.25, 1.0])


def test_an_image_without_instances_has_an_empty_table():
    nothing = np.zeros((3, 4), int)
    table = instance_table(nothing, np.zeros(0), np.zeros(0))
    assert (table.boxes.shape, table.areas.shape) == ((0, 4), (0,))
    assert class_of_each(nothing, nothing).shape == depth_scores(nothing, nothing > 0, nothing > 0, 5).shape == (0,)


def test_the_class_is_the_most_frequent_one():
    labels = np.array([[3, 3, 9, 9], [5, 9, 6, 6], [9, 9, 6, 0]])
    assert class_of_each(INSTANCES, labels).tolist() == [3, 6]


def test_scores_are_the_share_above_the_plane_and_grow_with_the_area():
    valid = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], bool)
    stands = np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], bool)
    assert depth_scores(INSTANCES, stands, valid, 2.0) == pytest.approx([2 / 3 * 3 / 5, 0.5 * 4 / 6])
