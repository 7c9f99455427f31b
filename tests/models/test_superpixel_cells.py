import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.superpixel_cells import cell_features, depth_affinity, discover_on_cells, slic_cells


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
    segment = torch.tensor([0, 0, 1, 1, 2])
    found = depth_affinity(features, segment, 0.3)
    for p in range(5):
        for q in range(5):
            cosine = float(features[p] @ features[q] / features[p].norm() / features[q].norm())
            expected = 0.7 * cosine + 0.3 * (1 if segment[p] == segment[q] else -1)
            assert float(found[p, q]) == pytest.approx(expected)


def test_surfaces_are_separated_and_colours_of_one_surface_are_not():
    image, segments = picture()
    keys = torch.zeros(12, 16, 2)
    keys[..., 0] = 1.0
    parted = discover_on_cells(image, keys, segments, 30, depth_weight=0.5, tau=0.3)
    assert len(np.unique(parted)) == 2
    assert len(np.unique(parted[segments == 1])) == 1
    keys[:, 8:] = torch.tensor([0.0, 1.0])  # the right half of the object looks different
    whole = discover_on_cells(image, keys, segments, 30, depth_weight=0.5, tau=0.3)
    assert len(np.unique(whole[segments == 1])) == 1
    split = discover_on_cells(image, keys, segments, 30, depth_weight=0.0, tau=0.3)
    assert len(np.unique(split[segments == 1])) == 2


def test_one_cell():
    image, segments = picture()
    assert not discover_on_cells(image, torch.ones(1, 1, 3), np.zeros_like(segments), 1, 0.3, 0.5).any()
