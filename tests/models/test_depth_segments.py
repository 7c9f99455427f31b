import numpy as np
import pytest
from scipy import ndimage

from models import depth_segments as module
from models.depth_segments import (
    CELLS_ALONG,
    LARGEST_CELL,
    cell_side,
    depth_segments,
    missing_regions,
    near_border,
    plane_cells,
    refine_segments,
    surface_cells,
    surfaces_of,
)

BOX = (slice(40, 72), slice(60, 100))


def tilted_table(noise=0.0):
    """A box on a tilted table, 160 x 120 pixels: inverse depth of a plane is affine in pixel coordinates."""
    rows, columns = np.mgrid[:120, :160]
    inverse = 1.2 + 0.004 * rows + 0.001 * columns
    inverse[BOX] += 0.25
    depth = (1 / inverse).astype(np.float32)
    return depth + noise * np.random.default_rng(0).standard_normal(depth.shape).astype(np.float32)


def segments_of(*arguments, **settings):
    return surfaces_of(*arguments, **settings).segments


def image():
    picture = np.full((120, 160, 3), 90, np.uint8)
    picture[BOX] = (200, 60, 40)
    return picture


def test_cells_are_small_in_small_images_alone():
    sides = {width: cell_side((width * 3 // 4, width)) for width in (1920, 640, 320, 319, 240, 192, 160, 159, 16)}
    assert sides == {1920: 4, 640: 4, 320: 4, 319: 3, 240: 3, 192: 2, 160: 2, 159: 1, 16: 1}
    assert cell_side((320, 240)) == 4


def test_a_tilted_plane_is_one_region():
    rows, columns = np.mgrid[:120, :160]
    depth = (1 / (1.0 + 0.008 * rows + 0.004 * columns)).astype(np.float32)
    cells = surface_cells(depth, np.ones(depth.shape, bool))
    assert cells.curvature.shape == (60, 80)
    assert np.nanmax(cells.curvature) < 1e-4
    assert not depth_segments(cells.curvature, 0.02).any()
    assert not segments_of(image(), depth, np.ones(depth.shape, bool)).any()


@pytest.mark.parametrize("noise", [0.0, 0.001])
def test_a_box_on_it_is_another_region_at_pixel_resolution(noise):
    depth = tilted_table(noise)
    segments = segments_of(image(), depth, np.ones(depth.shape, bool))
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


def kinect(inverse, seed=0):
    """Depth of a camera whose inverse depth has noise and steps of 0.003 1/m, as that of a Kinect."""
    noisy = inverse + np.random.default_rng(seed).normal(0, 0.002, inverse.shape)
    return (1 / (np.round(noisy / 0.003) * 0.003)).astype(np.float32)


def test_a_low_object_at_a_metre_stands_out_of_the_noise_of_a_kinect():
    """1.5 cm at 1 m is a step of 0.015 1/m: below a fixed limit of 0.02, above the noise of the camera."""
    rows, _ = np.mgrid[:240, :320]
    inverse, box = 0.9 + 0.0008 * rows, np.zeros((240, 320), bool)
    box[100:150, 140:200] = True
    picture = np.where(box[..., None], 200, 90).repeat(3, 2).astype(np.uint8)
    valid = np.ones_like(box)
    depth = kinect(np.where(box, inverse + 0.015, inverse))
    fixed = segments_of(picture, depth, valid, edge_factor=0, least_edge=0.02, with_plane=False)
    assert len(np.unique(fixed[box])) == 1
    assert fixed[125, 170] == fixed[20, 20]
    own = segments_of(picture, depth, valid)
    inside = own == np.bincount(own[box]).argmax()
    assert (inside & box).sum() / (inside | box).sum() > 0.9
    assert len(np.unique(own)) < 8


def test_what_is_flat_and_wide_stands_above_the_plane():
    cells = surface_cells(tilted_table(0.001), np.ones((120, 160), bool))
    box = np.zeros(cells.known.shape, bool)
    box[20:36, 30:50] = True
    found = plane_cells(cells)
    assert (found.above != box).sum() <= 4  # the corners
    assert (found.on != ~box).mean() < 0.01  # noise above the limit is rare


def test_behind_the_plane_is_not_above_it_and_not_on_it():
    depth = tilted_table(0.001)
    depth[BOX] = 1 / (1 / depth[BOX] - 0.4)
    found = plane_cells(surface_cells(depth, np.ones(depth.shape, bool)))
    assert not found.above[24:32, 34:46].any()
    assert not found.on[24:32, 34:46].any()


def test_pixels_on_the_plane_are_those_beside_the_box_and_none_without_the_plane():
    depth, valid = tilted_table(0.001), np.ones((120, 160), bool)
    valid[100:, :20] = False
    on = surfaces_of(image(), depth, valid).on_plane
    box = np.zeros(depth.shape, bool)
    box[BOX] = True
    assert on.shape == depth.shape
    assert on[~box & valid].mean() > 0.98
    assert not on[box].any()
    assert not on[~valid].any()
    assert not surfaces_of(image(), depth, valid, with_plane=False).on_plane.any()
    assert not surfaces_of(image(), depth, np.zeros_like(valid)).on_plane.any()


def test_a_large_hole_is_a_segment_of_its_own_and_a_small_one_is_filled():
    depth, valid = tilted_table(0.001), np.ones((120, 160), bool)
    valid[5:25, 5:25] = valid[100:104, 20:22] = False
    segments = segments_of(image(), depth, valid)
    hole = np.unique(segments[7:23, 7:23])
    assert len(hole) == 1
    assert not np.isin(hole, segments[30:, :])
    assert segments[102, 21] == segments[110, 30]
    filled = segments_of(image(), depth, valid, with_holes=False)
    assert filled[15, 15] == filled[110, 30]


def test_holes_that_hang_together_by_a_thread_are_two():
    valid = np.ones((60, 60), bool)
    valid[10:20, 10:20] = valid[10:20, 40:50] = valid[15, 20:40] = False
    regions = missing_regions(valid)
    assert len(np.unique(regions)) == 3
    assert not regions[15, 30]


def test_without_depth_or_on_one_plane_there_is_one_segment():
    shape = (120, 160)
    assert not segments_of(image(), np.full(shape, np.nan, np.float32), np.zeros(shape, bool)).any()
    assert not segments_of(image(), np.ones(shape, np.float32), np.ones(shape, bool)).any()


def test_edges_everywhere_are_one_region():
    assert not depth_segments(np.ones((5, 6)), threshold=0.02).any()


def test_sizes_that_are_not_a_multiple_of_the_cell():
    depth = np.ones((LARGEST_CELL * 3 + 1, LARGEST_CELL * CELLS_ALONG + 3), np.float32)
    segments = segments_of(np.zeros((*depth.shape, 3), np.uint8), depth, np.ones(depth.shape, bool))
    assert segments.shape == depth.shape
