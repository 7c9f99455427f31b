import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage.color import rgb2lab
from skimage.measure import label
from skimage.segmentation import slic

from models.depth_segments import Surfaces
from models.superpixel_cells import (
    COLOUR_SCALE,
    cell_affinity,
    cell_colours,
    cell_features,
    discover_on_cells,
    merge_fragments,
    slic_cells,
)
from models.superpixel_metrics import superpixel_counts, superpixel_scores


def off_plane(segments):
    return Surfaces(segments, np.zeros(segments.shape, bool))


def picture():
    rng = np.random.default_rng(0)
    image = np.full((48, 64, 3), 100, np.uint8) + rng.integers(0, 20, (48, 64, 1), np.uint8)
    segments = np.zeros((48, 64), np.int64)
    segments[16:32, 20:44] = 1
    return image, segments


def test_no_cell_crosses_a_segment_and_numbers_have_no_gap():
    image, segments = picture()
    cells = slic_cells(image, segments, 30)
    assert sorted(np.unique(cells)) == list(range(cells.max() + 1))
    assert 15 <= cells.max() + 1 <= 45
    for number in range(cells.max() + 1):
        assert len(np.unique(segments[cells == number])) == 1


def test_every_cell_is_connected_and_noise_does_not_change_how_many_there_are():
    segments = picture()[1]
    for values in (1, 256):  # one colour, and pure noise
        image = np.random.default_rng(0).integers(0, values, (*segments.shape, 3)).astype(np.uint8)
        cells = slic_cells(image, segments, 30)
        assert label(cells, background=-1, connectivity=1).max() == cells.max() + 1
        assert 15 <= cells.max() + 1 <= 60


def per_segment(image, segments, count):
    """The plain reference: one SLIC call per segment, with the segment as mask."""
    cells = np.zeros(segments.shape, np.int64)
    for number in np.unique(segments):
        mask = segments == number
        inside = slic(image, max(2, round(count * mask.mean())), sigma=1, mask=mask, start_label=0)[mask]
        cells[mask] = cells.max() + 1 + inside
    return np.unique(cells, return_inverse=True)[1]


def test_cells_are_as_accurate_as_those_of_one_call_per_segment():
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:96, :128]
    truth = (np.hypot(rows - 40, columns - 50) < 22).astype(np.int64)
    truth[(abs(rows - 70) < 12) & (abs(columns - 95) < 20)] = 2
    image = np.array([(90, 90, 90), (150, 80, 60), (60, 80, 150)])[truth] + rng.normal(0, 15, (96, 128, 1))
    image = image.clip(0, 255).astype(np.uint8)
    segments = (truth == 2).astype(np.int64)  # the depth edge of the disk was not found
    ours, reference = slic_cells(image, segments, 100), per_segment(image, segments, 100)
    assert ours.max() == pytest.approx(reference.max(), rel=0.2)
    accuracy = [superpixel_scores(superpixel_counts(truth, cells))["asa"] for cells in (ours, reference)]
    assert accuracy[0] > accuracy[1] - 0.005
    assert accuracy[0] > 0.98


def test_fragments_are_merged_one_by_one_until_they_are_large_enough():
    pieces = np.array([[0, 1, 2, 3, 4, 4, 4, 4]])
    # 0 and 1 are 2 pixels, which is enough for 2; of equal borders the lower number wins, so 2 and 3 join them in turn
    merged = merge_fragments(pieces, np.zeros_like(pieces), smallest=2)
    assert merged.tolist() == [[0, 0, 0, 0, 1, 1, 1, 1]]
    assert not merge_fragments(pieces, np.zeros_like(pieces), smallest=5).any()


def test_a_fragment_goes_to_the_neighbour_with_the_longest_common_border():
    pieces = np.array([[0, 0, 1, 1], [0, 0, 2, 1], [0, 0, 1, 1]])
    merged = merge_fragments(pieces, np.zeros_like(pieces), smallest=2)
    assert merged.tolist() == [[0, 0, 1, 1]] * 3


def test_a_fragment_alone_in_its_segment_stays():
    pieces = np.array([[0, 0, 0, 1, 2, 2, 2]])
    assert merge_fragments(pieces, segments=pieces, smallest=3).tolist() == pieces.tolist()


@pytest.mark.parametrize(("shape", "count"), [((1, 1), 200), ((1, 7), 3), ((3, 2), 60_000), ((9, 13), 1)])
def test_small_images_and_extreme_counts(shape, count):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    cells = slic_cells(image, np.zeros(shape, np.int64), count)
    assert cells.shape == shape
    assert sorted(np.unique(cells)) == list(range(cells.max() + 1))
    assert cells.max() < max(shape[0] * shape[1], 1)


def test_every_segment_has_a_cell_however_small():
    image, segments = picture()
    segments[0, 0] = 2
    cells = slic_cells(image, segments, 10)
    assert (cells == cells[0, 0]).sum() == 1


def test_features_are_the_mean_of_the_enlarged_keys():
    keys = torch.randn(6, 8, 5, generator=torch.Generator().manual_seed(0))
    cells = torch.from_numpy(slic_cells(*picture(), 20))
    enlarged = F.interpolate(keys.permute(2, 0, 1)[None], size=cells.shape, mode="bilinear", align_corners=False)[0]
    found = cell_features(keys, cells)
    for number in range(int(cells.max()) + 1):
        assert torch.allclose(found[number], enlarged[:, cells == number].mean(1), atol=1e-5)


def test_affinity_equals_its_definition():
    features = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    colours = 30 * torch.rand(5, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    segment = torch.tensor([0, 0, 1, 1, 2])
    on_plane = torch.tensor([True, False, True, True, False])
    found = cell_affinity(features, colours, segment, 0.3, 0.4, on_plane)
    assert torch.equal(cell_affinity(features, colours, segment, 0.3, 0.4)[1], found[1])  # it is not on the plane
    for p in range(5):
        for q in range(5):
            cosine = float(features[p] @ features[q] / features[p].norm() / features[q].norm())
            seen = slice(1, 3) if on_plane[p] and on_plane[q] else slice(0, 3)  # a* and b*, or L*, too
            distance = sum(float(a - b) ** 2 for a, b in zip(colours[p, seen], colours[q, seen], strict=True))
            colour = 2 * math.exp(-distance / (2 * COLOUR_SCALE**2)) - 1
            expected = 0.7 * (0.6 * cosine + 0.4 * colour) + 0.3 * (1 if segment[p] == segment[q] else -1)
            assert float(found[p, q]) == pytest.approx(expected)


def test_colours_are_the_means_of_the_cells():
    image, _ = picture()
    cells = slic_cells(*picture(), 20)
    found, lab = cell_colours(image, cells), rgb2lab(image)
    for number in range(int(cells.max()) + 1):
        assert found[number] == pytest.approx(lab[cells == number].mean(0), abs=0.01)  # float32


def test_what_looks_the_same_to_the_network_is_told_apart_by_colour():
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, 32:] = (200, 60, 40)
    keys, alone = torch.ones(12, 16, 2), off_plane(np.zeros((48, 64), np.int64))
    by_keys, by_colour = (
        discover_on_cells(image, keys, alone, 30, 0.0, colour_weight=weight, tau=0.4) for weight in (0, 0.6)
    )
    assert not by_keys.any()
    assert len(np.unique(by_colour)) == 2
    assert (by_colour[:, 34:] != by_colour[0, 0]).all()


def test_a_shadow_on_the_support_plane_is_no_superpixel_and_one_on_an_object_is():
    image = np.full((48, 64, 3), (150, 120, 90), np.uint8)
    image[:, 40:] = (60, 48, 36)
    keys, segments = torch.ones(12, 16, 2), np.zeros((48, 64), np.int64)
    flat = Surfaces(segments, np.ones(segments.shape, bool))
    on_table, on_object = (
        discover_on_cells(image, keys, surfaces, 30, 0.3, colour_weight=0.6, tau=0.4)
        for surfaces in (flat, off_plane(segments))
    )
    assert not on_table.any()
    assert len(np.unique(on_object)) == 2


def test_surfaces_are_separated_and_colours_of_one_surface_are_not():
    image, segments = picture()
    keys = torch.zeros(12, 16, 2)
    keys[..., 0] = 1.0
    parted = discover_on_cells(image, keys, off_plane(segments), 30, depth_weight=0.5, colour_weight=0.0, tau=0.3)
    assert len(np.unique(parted)) == 2
    assert len(np.unique(parted[segments == 1])) == 1
    keys[:, 8:] = torch.tensor([0.0, 1.0])  # the right half of the object looks different
    whole = discover_on_cells(image, keys, off_plane(segments), 30, depth_weight=0.5, colour_weight=0.0, tau=0.3)
    assert len(np.unique(whole[segments == 1])) == 1
    split = discover_on_cells(image, keys, off_plane(segments), 30, depth_weight=0.0, colour_weight=0.0, tau=0.3)
    assert len(np.unique(split[segments == 1])) == 2


def test_one_cell():
    image, segments = picture()
    assert not discover_on_cells(image, torch.ones(1, 1, 3), off_plane(np.zeros_like(segments)), 1, 0.3, 0.4, 0.5).any()
