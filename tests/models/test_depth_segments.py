import numpy as np
import pytest

from models.depth_segments import FACTOR, depth_edge_cells, depth_segments, refine_segments, segments_of

BOX = (slice(40, 72), slice(60, 100))


def tilted_table(noise=0.0):
    """A box on a tilted table, 160 x 120 pixels: inverse depth of a plane is affine in pixel coordinates."""
    rows, columns = np.mgrid[:120, :160]
    inverse = 1.2 + 0.004 * rows + 0.001 * columns
    inverse[BOX] += 0.25
    depth = (1 / inverse).astype(np.float32)
    return depth + noise * np.random.default_rng(0).standard_normal(depth.shape).astype(np.float32)


def image():
    picture = np.full((120, 160, 3), 90, np.uint8)
    picture[BOX] = (200, 60, 40)
    return picture


def test_a_tilted_plane_is_one_region():
    rows, columns = np.mgrid[:120, :160]
    depth = (1 / (1.0 + 0.008 * rows + 0.004 * columns)).astype(np.float32)
    curvature = depth_edge_cells(depth, np.ones(depth.shape, bool))
    assert curvature.shape == (30, 40)
    assert np.nanmax(curvature) < 1e-4
    assert not depth_segments(curvature).any()


@pytest.mark.parametrize("noise", [0.0, 0.001])
def test_a_box_on_it_is_another_region_at_pixel_resolution(noise):
    depth = tilted_table(noise)
    segments = segments_of(image(), depth, np.ones(depth.shape, bool), threshold=0.02)
    inside = np.bincount(segments[BOX].ravel()).argmax()
    box = np.zeros(depth.shape, bool)
    box[BOX] = True
    found = segments == inside
    assert (found & box).sum() / (found | box).sum() > 0.97
    assert segments[0, 0] != inside


def test_refinement_moves_a_border_to_the_edge_and_keeps_the_regions():
    coarse = np.zeros((120, 160), np.int64)
    coarse[37:75, 57:104] = 1  # up to 4 pixels off
    box = np.zeros_like(coarse)
    box[BOX] = 1
    assert (refine_segments(coarse, image(), tilted_table(), band=5) != box).sum() <= 4  # the corners


def test_a_region_thinner_than_the_band_stays():
    coarse = np.zeros((120, 160), np.int64)
    coarse[50, 80] = 1  # a 1-pixel object
    refined = refine_segments(coarse, image(), tilted_table(), band=5)
    assert refined[50, 80] == 1


def test_unknown_depth_is_not_an_edge_and_without_depth_there_is_one_segment():
    depth = tilted_table()
    valid = np.ones(depth.shape, bool)
    valid[:, :20] = False
    assert segments_of(image(), depth, valid, 0.02)[60, 5] == segments_of(image(), depth, valid, 0.02)[60, 30]
    assert not segments_of(image(), np.full(depth.shape, np.nan, np.float32), np.zeros(depth.shape, bool), 0.02).any()
    assert not segments_of(image(), np.ones(depth.shape, np.float32), np.ones(depth.shape, bool), 0.02).any()


def test_edges_everywhere_are_one_region():
    assert not depth_segments(np.ones((5, 6)), threshold=0.02).any()


def test_sizes_that_are_not_a_multiple_of_the_cell():
    depth = np.ones((FACTOR * 3 + 1, FACTOR * 2 + 3), np.float32)
    segments = segments_of(np.zeros((*depth.shape, 3), np.uint8), depth, np.ones(depth.shape, bool), 0.02)
    assert segments.shape == depth.shape
