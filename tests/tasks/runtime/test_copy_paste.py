import pytest
import torch

from data.sample import UNLABELLED
from tasks.runtime.copy_paste import pasted, seeded_objects

NOTHING = 99


def test_objects_are_the_superpixels_whose_seed_is_mostly_foreground():
    superpixel = torch.tensor([[0, 0, 0, 1, 1, 1, 2, 2, NOTHING, NOTHING]])
    seed = torch.tensor([[3, 3, 0, 0, 0, 3, UNLABELLED, UNLABELLED, 1, UNLABELLED]])
    found = seeded_objects(seed, superpixel, NOTHING)
    assert found.tolist() == [[True, True, True, False, False, False, False, False, True, False]]


def test_without_superpixels_the_foreground_seeds_are_the_objects():
    seed = torch.tensor([[0, 255, UNLABELLED]], dtype=torch.int32)
    assert seeded_objects(seed, torch.full((1, 3), NOTHING), NOTHING).tolist() == [[False, True, False]]


def reference_paste(under, over, mask, centre):
    """Pixel by pixel: bounding box, shift of its middle, copy of what lands inside."""
    height, width = mask.shape
    ys, xs = zip(*mask.nonzero().tolist(), strict=True)
    down = int(centre[0] * height) - (min(ys) + max(ys) + 1) // 2
    right = int(centre[1] * width) - (min(xs) + max(xs) + 1) // 2
    result = under.clone()
    for y, x in zip(ys, xs, strict=True):
        if 0 <= y + down < height and 0 <= x + right < width:
            result[..., y + down, x + right] = over[..., y, x]
    return result


@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.5, 0.5), (0.3, 0.95), (0.999, 0.1)])
def test_pasting_equals_the_loops(centre):
    generator = torch.Generator().manual_seed(0)
    under = {"image": torch.rand(3, 12, 17, generator=generator), "seed": torch.zeros(12, 17, dtype=torch.int32)}
    over = {"image": torch.rand(3, 12, 17, generator=generator), "seed": torch.full((12, 17), 300, dtype=torch.int32)}
    mask = torch.zeros(12, 17, dtype=torch.bool)
    mask[2:9, 5:12] = torch.rand(7, 7, generator=generator) > 0.4
    before = {name: values.clone() for name, values in under.items()}
    found = pasted(under, over, mask, centre)
    for name, values in found.items():
        assert torch.equal(values, reference_paste(under[name], over[name], mask, centre))
        assert torch.equal(under[name], before[name])
    assert found["seed"].dtype == torch.int32


def test_an_object_of_one_pixel_lands_where_it_should():
    mask = torch.zeros(4, 6, dtype=torch.bool)
    mask[3, 5] = True
    found = pasted({"a": torch.zeros(4, 6)}, {"a": torch.ones(4, 6)}, mask, (0.0, 0.5))
    assert found["a"].nonzero().tolist() == [[0, 3]]
