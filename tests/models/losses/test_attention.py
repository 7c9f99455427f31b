"""Attention loss against eqs. 2.8-2.11 in loops."""

import math

import pytest
import torch

from models.losses import AttentionLoss
from models.losses.attention import attention_loss, masked_images


def colour_scores(images):
    """A classifier that detects red, green and blue: (B, 3, H, W) -> (B, 3), differentiable."""
    return images.mean(dim=(2, 3)) * 20


def reference(logits, images, tags, erased):
    """(2.8)-(2.11) for logits at the images' size, path after path, pixel after pixel."""
    paths, batch, classes = erased.shape
    height, width = images.shape[2:]
    total = 0.0
    for path in range(paths):
        of_path = 0.0
        for image in range(batch):
            sums = [0.0] * 3
            for y in range(height):
                for x in range(width):
                    exps = [math.exp(float(value)) for value in logits[image, :, y, x]]
                    present = [k for k in range(classes) if tags[image, k]]
                    mask = 1 - sum(exps[k + 1] / sum(exps) * int(erased[path, image, k]) for k in present)
                    for channel in range(3):
                        sums[channel] += mask * float(images[image, channel, y, x])
            scores = [20 * value / (height * width) for value in sums]
            inner = 0.0
            for k in present:
                target = 1 - int(erased[path, image, k])
                p = 1 / (1 + math.exp(-scores[k]))
                inner -= math.log(p) if target else math.log(1 - p)
            of_path += inner / max(len(present), 1)
        total += of_path / batch
    return total / paths


@pytest.mark.parametrize("tags", [[[1, 0, 1], [0, 1, 1]], [[1, 1, 1], [0, 0, 0]]])
def test_equals_the_loops_and_gradcheck(tags):
    torch.manual_seed(0)
    logits, images = torch.randn(2, 4, 3, 4).double(), torch.randn(2, 3, 3, 4).double()
    tags, erased = torch.tensor(tags), torch.randint(0, 2, (2, 2, 3))
    loss = AttentionLoss(2)
    found = loss(logits, images, tags, colour_scores, erased)
    assert float(found) == pytest.approx(reference(logits, images, tags, erased))
    assert torch.autograd.gradcheck(
        lambda values: loss(values, images, tags, colour_scores, erased), logits.requires_grad_()
    )


def test_nothing_erased_leaves_the_image_as_it_is():
    images = torch.randn(2, 3, 4, 4)
    assert torch.equal(masked_images(images, torch.rand(2, 4, 4, 4), torch.zeros(2, 3)), images)


def test_erasing_exactly_the_object_is_better_than_erasing_beside_it():
    images = torch.zeros(1, 3, 4, 8)
    images[:, 0, :, :4] = 2.0  # the red object is on the left
    exact = torch.full((1, 4, 4, 8), -9.0)
    exact[:, 1, :, :4] = exact[:, 0, :, 4:] = 9.0
    erased, tags = torch.tensor([[[1, 0, 0]]]), torch.tensor([[1, 0, 0]])
    loss = AttentionLoss(1)
    right, wrong = (float(loss(logits, images, tags, colour_scores, erased)) for logits in (exact, exact.flip(-1)))
    assert right == pytest.approx(math.log(2), rel=1e-3)
    assert wrong > 10


def test_an_absent_class_is_never_erased():
    logits = torch.randn(1, 3, 2, 2)
    images, tags = torch.randn(1, 3, 2, 2), torch.tensor([[1, 0]])

    def first_two(images):
        return colour_scores(images)[:, :2]

    loss = AttentionLoss(1)
    chosen = [loss(logits, images, tags, first_two, torch.tensor([[[1, b]]])) for b in (0, 1)]
    assert torch.equal(*chosen)


def test_smaller_logits_are_resized():
    logits = torch.randn(1, 4, 2, 3, requires_grad=True)
    loss = AttentionLoss(2)(logits, torch.randn(1, 3, 32, 48), torch.ones(1, 3), colour_scores, torch.ones(2, 1, 3))
    loss.backward()
    assert logits.grad.any()


def test_drawn_paths_follow_torchs_seed():
    arguments = (torch.randn(4, 4, 2, 2), torch.randn(4, 3, 2, 2), torch.ones(4, 3), colour_scores)
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        found.append(float(AttentionLoss(3)(*arguments)))
    assert found[0] == found[1] != found[2]


def test_an_image_without_a_class_counts_nothing():
    scores = torch.randn(1, 3, requires_grad=True)
    loss = attention_loss(scores, torch.zeros(1, 3), torch.zeros(1, 3))
    loss.backward()
    assert float(loss.detach()) == 0
    assert not scores.grad.any()


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match="expected logits"):
        AttentionLoss()(torch.zeros(2, 4, 2, 2), torch.zeros(2, 3, 2, 2), torch.zeros(2, 4), colour_scores)
