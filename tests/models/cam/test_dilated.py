"""The dilated head against eqs. 2.1, 2.2 in loops."""

import math

import pytest
import torch

from models.cam import DilatedClassifier
from models.cam.dilated import CAM_WEIGHT, cam_loss, dense_cam


def reference(dense, standard, tags):
    """(2.2), one image after the other."""
    batch, _, height, width = dense.shape
    total = 0.0
    for image in range(batch):
        present = [k for k in range(tags.shape[1]) if tags[image, k]]
        if not present:
            continue
        inner = 0.0
        for k in present:
            for y in range(height):
                for x in range(width):
                    gap = max(float(dense[image, k, y, x]), 0) - max(float(standard[image, k, y, x]), 0)
                    inner += gap * gap
        total += inner / (len(present) * height * width)
    return total / batch


@pytest.mark.parametrize("tags", [[[1, 0, 1], [0, 1, 0]], [[1, 1, 1], [0, 0, 0]]])
def test_cam_loss_equals_the_loops_and_its_gradient(tags):
    torch.manual_seed(0)
    standard, dilated = torch.randn(2, 3, 4, 5).double(), [torch.randn(2, 3, 4, 5).double() for _ in range(2)]
    tags = torch.tensor(tags).double()
    dense = dense_cam(standard, dilated)
    assert float(cam_loss(dense, standard, tags)) == pytest.approx(reference(dense, standard, tags))
    inputs = [values.requires_grad_() for values in (standard, *dilated)]
    assert torch.autograd.gradcheck(lambda s, *d: cam_loss(dense_cam(s, d), s, tags), inputs)


def test_dense_cam_is_the_maximum_of_the_standard_and_the_mean_dilated_map():
    standard, dilated = torch.tensor([0.5, 3.0]), [torch.tensor([0.0, 1.0]), torch.tensor([2.0, 1.0])]
    assert dense_cam(standard, dilated).tolist() == [1.0, 3.0]


def test_all_blocks_learn_the_tags_and_the_standard_one_is_extracted():
    torch.manual_seed(0)
    head = DilatedClassifier("test_efficientnet", 16, 3)
    images, tags = torch.randn(2, 3, 64, 96), torch.tensor([[1.0, 0, 0], [0, 1, 1]])
    output = head(images)
    assert output.maps.shape == (2, 3, 4, 6)
    assert len(output.further_scores) == len(output.further_maps) == 3
    assert torch.equal(output.cams, output.maps.relu())
    losses = head.classification_losses(images, tags, output)
    values = {name: float(value.detach()) for name, value in losses.items()}
    scores = [maps.mean((2, 3)) for maps in (output.maps, *output.further_maps)]
    entropy = [
        -sum(
            math.log(p if t else 1 - p) for p, t in zip(s.sigmoid().flatten().tolist(), tags.flatten().tolist())
        ) / 6
        for s in scores
    ]  # fmt: skip
    assert values["classification"] == pytest.approx(sum(entropy) / 4, rel=1e-4)
    with torch.no_grad():
        expected = CAM_WEIGHT * reference(dense_cam(output.maps, output.further_maps), output.maps, tags)
    assert values["dense_cam"] == pytest.approx(expected, rel=1e-4)
    sum(losses.values()).backward()
    assert all(block.weight.grad.any() for block in head.blocks)
