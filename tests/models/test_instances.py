"""Cutting rendered scenes whose instances are known."""

import numpy as np
import pytest

from data.demo.raycast import Camera, Primitive, render
from data.demo.scenes import TEXTURES
from models.instance_metrics import unseen_scores
from models.instances import concavity, numbered, reach_of, split_instances
from models.standing import FOCAL


def box(x, y, size, texture="milk_carton"):
    return Primitive("box", np.array(size), np.array([x, y]), 0.0, texture)


def rendered(objects, noise=0.001):
    camera = Camera.looking_at(np.array([0.0, -0.6, 0.5]), np.array([0.0, 0.0, 0.03]), FOCAL * 160, 160, 120)
    textures = {**TEXTURES, "table": lambda points: np.full((len(points), 3), 0.5)}
    colour, depth, visible, _ = render(camera, objects, textures, np.array([0.0, 0.0, 1.0]), 1)
    inverse = 1 / depth + np.random.default_rng(0).normal(0, noise, depth.shape)
    return (colour.clip(0, 1) * 255).astype(np.uint8), 1 / inverse, np.ones(depth.shape, bool), visible


def test_two_boxes_with_a_corner_between_them_are_cut():
    image, depth, valid, truth = rendered([box(-0.06, -0.05, (0.1, 0.06, 0.1)), box(0.04, 0.05, (0.1, 0.16, 0.06))])
    assert unseen_scores(split_instances(image, depth, valid), truth).overlap_f > 0.85


def test_a_box_whose_three_faces_are_seen_is_one():
    turned = Primitive("box", np.array([0.12, 0.1, 0.1]), np.array([0.0, 0.0]), 0.7, "milk_carton")
    image, depth, valid, truth = rendered([turned])
    found = split_instances(image, depth, valid)
    assert found.max() == 1
    assert unseen_scores(found, truth).overlap_f > 0.85


def test_a_box_behind_another_is_cut_at_the_silhouette():
    image, depth, valid, truth = rendered([box(0, 0.12, (0.12, 0.05, 0.16)), box(0.02, -0.05, (0.06, 0.05, 0.08))])
    found = split_instances(image, depth, valid)
    assert found.max() == 2
    assert unseen_scores(found, truth).overlap_f > 0.85


def test_an_empty_table_has_no_instance():
    image, depth, valid, _ = rendered([])
    assert not split_instances(image, depth, valid).any()


def test_no_instance_has_two_classes_and_each_pixel_with_a_class_may_have_one():
    image, depth, valid, truth = rendered([box(-0.051, 0, (0.1, 0.08, 0.08)), box(0.051, 0, (0.1, 0.08, 0.08))])
    found = split_instances(image, depth, valid, truth)  # side by side, only the class map divides them
    assert np.array_equal(found > 0, truth > 0)
    for number in range(1, found.max() + 1):
        assert len(np.unique(truth[found == number])) == 1
    assert split_instances(image, depth, valid, (truth > 0).astype(int)).max() == 1


def test_without_depth_the_connected_parts_of_the_classes_are_the_instances():
    labels = np.zeros((120, 160), int)
    labels[10:40, 10:50], labels[10:40, 50:90], labels[80:110, 10:40] = 1, 2, 1
    nothing = np.full(labels.shape, np.nan)
    found = split_instances(np.zeros((120, 160, 3), np.uint8), nothing, np.zeros(labels.shape, bool), labels)
    assert found.max() == 3
    assert not split_instances(np.zeros((120, 160, 3), np.uint8), nothing, np.zeros(labels.shape, bool)).any()


def test_a_hole_goes_where_its_colour_continues():
    image, depth, valid, truth = rendered([box(0, 0, (0.12, 0.1, 0.12))])
    image = np.where((truth > 0)[..., None], np.uint8(200), np.uint8(60)).repeat(3, 2).astype(np.uint8)[..., :3]
    rows, columns = np.nonzero(truth)
    hole = np.zeros(truth.shape, bool)  # over the right side of the box and the table beside it
    hole[rows.min() + 8 : rows.max() - 8, columns.max() - 10 : columns.max() + 11] = True
    found = split_instances(image, np.where(hole, 1.0, depth), valid & ~hole)
    assert ((found > 0) == (truth > 0))[hole].mean() > 0.95


def test_concavity_is_zero_on_planes_and_has_the_sign_of_the_edge():
    rows, columns = np.indices((40, 60))
    valid = np.ones(rows.shape, bool)
    plane = 1.0 + 0.002 * columns + 0.001 * rows
    assert np.abs(concavity(plane, valid, 2)[4:-4, 4:-4]).max() < 1e-9
    valley = 1.0 + 0.01 * np.abs(columns - 30)
    found = concavity(valley, valid, 4)
    # slopes of 0.01 on both sides, averaged over 5 pixels: by hand 2 * (0.04 - 0.012) / 4
    expected = 2 * (0.04 - 0.012) / 4 * FOCAL * 60 / (1.0 + 0.012)
    assert found[20, 30] == pytest.approx(expected)
    assert concavity(2.0 - valley + 1.0, valid, 4)[20, 30] <= 1e-9
    assert not concavity(valley, np.zeros(valid.shape, bool), 4).any()


def test_reach_grows_with_the_image():
    assert [reach_of(shape) for shape in ((480, 640), (240, 320), (60, 80))] == [4, 2, 2]


def test_small_parts_go_and_numbers_have_no_gaps():
    assert numbered(np.array([[5, 5, 9, 0, 2, 2, 2]]), smallest=2).tolist() == [[2, 2, 0, 0, 1, 1, 1]]
