"""The SLIC regulariser against its formula in loops."""

import math

import pytest
import torch
import torch.nn.functional as functional

from models.losses import SuperpixelSlicLoss
from models.segmentation.superpixel_pooling import assign


def reference(colours, shares, compactness):
    """One step of 2 x 2 pixels per cell, pixel after pixel and cell after cell."""
    batch, channels, height, width = colours.shape
    total = 0.0
    for image in range(batch):
        sums = {}
        members = {}
        for y in range(height):
            for x in range(width):
                feature = [*(float(value) for value in colours[image, :, y, x]), y, x]
                for place in range(9):
                    cell = (y // 2 + place // 3 - 1, x // 2 + place % 3 - 1)
                    if 0 <= cell[0] < height // 2 and 0 <= cell[1] < width // 2:
                        share = float(shares[image, place, y, x])
                        members.setdefault((y, x), []).append((cell, share))
                        mass, weighted = sums.get(cell, (0.0, [0.0] * len(feature)))
                        sums[cell] = (mass + share, [a + share * b for a, b in zip(weighted, feature)])
        for (y, x), around in members.items():
            feature = [*(float(value) for value in colours[image, :, y, x]), y, x]
            back = [
                sum(share * sums[cell][1][i] / sums[cell][0] for cell, share in around) for i in range(len(feature))
            ]
            of_colour = math.dist(feature[:channels], back[:channels])
            total += of_colour + compactness / 2 * math.dist(feature[channels:], back[channels:])
    return total / (batch * height * width)


def test_equals_the_loops_and_gradcheck():
    torch.manual_seed(0)
    colours = torch.rand(2, 3, 4, 6).double()
    fine, coarse = torch.randn(2, 3, 4, 6).double().requires_grad_(), torch.randn(2, 3, 2, 3).double()
    loss = SuperpixelSlicLoss(compactness=0.3)
    found = loss(colours, [assign(fine, coarse, 0.5)])
    assert float(found.detach()) == pytest.approx(reference(colours, assign(fine, coarse, 0.5).detach(), 0.3), rel=1e-5)
    assert torch.autograd.gradcheck(lambda values: loss(colours, [assign(values, coarse, 0.5)]), fine)


def test_superpixels_that_follow_the_colours_cost_less():
    colours = torch.zeros(1, 3, 4, 4)
    colours[..., 1:] = 1.0  # the border of the colours is not that of the cells
    own, follows = torch.zeros(2, 1, 9, 4, 4)
    own[:, 4] = 1.0
    follows[:, 4] = 1.0
    follows[:, 4, :, 1], follows[:, 5, :, 1] = 0.0, 1.0  # column 1 joins the cells to the right
    loss = SuperpixelSlicLoss(compactness=0.0)
    assert float(loss(colours, [follows])) < 1e-5 < 0.1 < float(loss(colours, [own]))


def test_compactness_counts_the_distance():
    shares = torch.zeros(1, 9, 4, 4)
    shares[:, 4] = 1.0
    image = torch.zeros(1, 3, 4, 4)
    assert float(SuperpixelSlicLoss(2.0)(image, [shares])) == pytest.approx(2 / 2 * math.sqrt(0.5), rel=1e-4)


def test_a_constant_image_has_a_finite_gradient():
    fine = torch.randn(1, 3, 4, 4, requires_grad=True)
    SuperpixelSlicLoss()(torch.ones(1, 3, 4, 4), [assign(fine, torch.randn(1, 3, 2, 2), 0.1)]).backward()
    assert torch.isfinite(fine.grad).all()


def test_steps_of_another_size_are_refused():
    with pytest.raises(ValueError, match="the first step must have the size of the images"):
        SuperpixelSlicLoss()(torch.zeros(1, 3, 4, 4), [torch.zeros(1, 9, 8, 8)])


def test_the_weight_of_the_mean_form_is_that_of_the_published_sum():
    """SpixelFCN: 0.005 (sum of CE over pixels + sum of the regulariser).

    Beside the mean of CE over the labelled pixels, the same gradient (up to one factor, the learning rate) needs the
    weight N / N_labelled on the mean, not 0.005.
    """
    torch.manual_seed(0)
    logits, colours = torch.randn(1, 5, 8, 8).double(), torch.rand(1, 3, 8, 8).double()
    labels = torch.randint(5, (1, 8, 8))
    labels[:, :, 5:] = 255
    fine, coarse = torch.randn(1, 3, 8, 8).double(), torch.randn(1, 3, 4, 4).double()
    regulariser = SuperpixelSlicLoss(compactness=0.003)

    def gradients(loss_of):
        inputs = [values.clone().requires_grad_() for values in (logits, fine)]
        ce = functional.cross_entropy(inputs[0], labels, ignore_index=255, reduction="sum")
        loss_of(ce, regulariser(colours, [assign(inputs[1], coarse, 0.5)])).backward()
        return [values.grad for values in inputs]

    pixels, labelled = labels.numel(), int((labels != 255).sum())
    summed = gradients(lambda ce, mean: 0.005 * (ce + pixels * mean))
    derived = gradients(lambda ce, mean: ce / labelled + pixels / labelled * mean)
    for expected, found in zip(summed, derived, strict=True):
        assert torch.allclose(found, expected / (0.005 * labelled))
    naive = gradients(lambda ce, mean: ce / labelled + 0.005 * mean)
    assert float(naive[1].norm() / derived[1].norm()) < 0.01
