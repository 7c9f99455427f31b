import numpy as np
import pytest
from scipy import ndimage

from models import depth_segments as module
from models.depth_segments import FACTOR, depth_edge_cells, depth_segments, near_border, refine_segments, segments_of

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


def test_flooding_the_band_gives_what_flooding_the_whole_image_gives(monkeypatch):
    watershed, flooded = module.watershed, []

    def remember(relief, markers, mask):
        flooded.append((relief, mask))
        return watershed(relief, markers, mask=mask)

    monkeypatch.setattr(module, "watershed", remember)
    depth = tilted_table(noise=0.001)
    noisy = (image() + np.random.default_rng(1).normal(0, 8, (120, 160, 3))).clip(0, 255).astype(np.uint8)
    coarse = np.zeros(depth.shape, np.int64)
    coarse[37:75, 57:104] = 1
    coarse[90:, 30:] = 2
    found = refine_segments(coarse, noisy, depth, band=5)
    (relief, mask) = flooded[0]
    assert mask.mean() < 0.5
    markers = np.where(near_border(coarse, 5), 0, coarse + 1)
    assert np.array_equal(watershed(relief, markers) - 1, found)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 3), (30, 41)])
@pytest.mark.parametrize("band", [0, 1, 5, 8])
def test_pixels_near_a_border_equal_a_grey_dilation_with_a_disk(shape, band):
    blocks = np.random.default_rng(0).integers(0, 3, (shape[0] // 4 + 1, shape[1] // 4 + 1))
    segments = blocks.repeat(4, 0).repeat(4, 1)[: shape[0], : shape[1]]
    disk = np.hypot(*np.mgrid[-band : band + 1, -band : band + 1]) <= band
    highest, lowest = (method(segments, footprint=disk) for method in (ndimage.grey_dilation, ndimage.grey_erosion))
    assert np.array_equal(near_border(segments, band), highest != lowest)


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
