"""Saliency loss against eq. 2.7 in loops."""

import math

import pytest
import torch

from models.label_values import UNLABELLED
from models.losses import SaliencyLoss
from models.losses.saliency import saliency_loss


def reference(logits, saliency, tags):
    """(2.7), pixel after pixel."""
    batch, classes, height, width = logits.shape
    terms = {0: [], 1: []}
    for image in range(batch):
        present = [k for k in range(classes - 1) if tags[image, k]]
        for y in range(height):
            for x in range(width):
                exps = [math.exp(float(value)) for value in logits[image, :, y, x]]
                target = int(saliency[image, y, x])
                if target == 0:
                    terms[0].append(math.log(exps[0] / sum(exps)))
                elif target == 1 and present:
                    terms[1].append(math.log(sum(exps[k + 1] for k in present) / sum(exps)))
    return -sum(sum(values) / len(values) for values in terms.values() if values)


@pytest.mark.parametrize("tags", [[[1, 0, 1], [0, 1, 0]], [[1, 1, 1], [0, 0, 0]]])
def test_equals_the_loops_and_gradcheck(tags):
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 3, 4).double().requires_grad_()
    saliency = torch.tensor([0, 1, UNLABELLED])[torch.randint(0, 3, (2, 3, 4))]
    tags = torch.tensor(tags)
    assert float(saliency_loss(logits, saliency, tags).detach()) == pytest.approx(
        reference(logits.detach(), saliency, tags)
    )
    assert torch.autograd.gradcheck(lambda values: saliency_loss(values, saliency, tags), logits)


def test_unlabelled_pixels_and_salient_ones_without_a_class_give_no_gradient():
    logits = torch.randn(2, 3, 2, 2, requires_grad=True)
    saliency = torch.tensor([[[0, 1], [UNLABELLED, UNLABELLED]], [[1, 1], [UNLABELLED, 0]]])
    SaliencyLoss()(logits, saliency, torch.tensor([[1, 0], [0, 0]])).backward()
    seen = logits.grad.abs().sum(1) > 0
    assert seen.tolist() == [[[True, True], [False, False]], [[False, False], [False, True]]]
    assert torch.isfinite(logits.grad).all()


def test_nothing_labelled_is_zero():
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    loss = saliency_loss(logits, torch.full((1, 2, 2), UNLABELLED), torch.tensor([[1, 0]]))
    loss.backward()
    assert float(loss.detach()) == 0
    assert not logits.grad.any()


def test_absent_classes_are_not_foreground():
    logits = torch.zeros(1, 3, 1, 1)
    salient = torch.ones(1, 1, 1)
    wrong = saliency_loss(logits + torch.tensor([0.0, 0, 9]).view(1, 3, 1, 1), salient, torch.tensor([[1, 0]]))
    right = saliency_loss(logits + torch.tensor([0.0, 9, 0]).view(1, 3, 1, 1), salient, torch.tensor([[1, 0]]))
    assert float(wrong) > 8
    assert float(right) < 0.01


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    loss = saliency_loss(torch.zeros(1, 3, 1, 2, dtype=dtype), torch.tensor([[[0, 1]]]), torch.tensor([[1, 0]]))
    assert float(loss) == pytest.approx(2 * math.log(3), rel=0.02)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"expected logits .* saliency \(B, H, W\)"):
        saliency_loss(torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 3), torch.zeros(1, 2))
