"""Refined saliency against eq. 2.6, pixel by pixel."""

import torch

from models.label_values import UNLABELLED
from models.saliency import refine_saliency


def reference(salient, cam, sure, doubtful):
    height, width = salient.shape
    refined = torch.zeros(height, width, dtype=torch.int32)
    for y in range(height):
        for x in range(width):
            strongest = max([float(slot[y, x]) for slot in cam], default=0.0)
            if strongest > sure and not salient[y, x]:
                refined[y, x] = 1
            elif strongest < doubtful and salient[y, x]:
                refined[y, x] = UNLABELLED
            else:
                refined[y, x] = int(salient[y, x])
    return refined


def test_equals_the_loops():
    torch.manual_seed(0)
    salient, cam = torch.rand(6, 7) > 0.5, torch.rand(2, 6, 7)
    found = refine_saliency(salient, cam)
    assert torch.equal(found, reference(salient, cam, 0.8, 0.3))
    one = refine_saliency(salient, cam[:1], 0.7, 0.5)
    assert torch.equal(one, reference(salient, cam[:1], 0.7, 0.5))
    assert set(one.flatten().tolist()) == {0, 1, UNLABELLED}


def test_without_a_class_salient_pixels_become_unlabelled():
    salient = torch.tensor([[True, False]])
    assert refine_saliency(salient, torch.zeros(0, 1, 2)).tolist() == [[UNLABELLED, 0]]


def test_doubtful_pixels_as_background_are_the_other_variant_of_table_2_5():
    torch.manual_seed(1)
    salient, cam = torch.rand(6, 7) > 0.5, torch.rand(2, 6, 7)
    expected = reference(salient, cam, 0.8, 0.6)
    assert (expected == UNLABELLED).any()
    expected[expected == UNLABELLED] = 0
    assert torch.equal(refine_saliency(salient, cam, 0.8, 0.6, doubtful_value=0), expected)
