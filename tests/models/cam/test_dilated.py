"""The dilated head against eqs. 2.1, 2.2 in loops."""

import math

import pytest
import torch

from models.cam import DilatedClassifier
from models.cam.dilated import CAM_WEIGHT, cam_loss, convolutional_block, dense_cam


def reference(dense, standard, tags):
    """(2.2), one image after the other. C is the number of foreground classes; the sum goes over the present ones."""
    batch, classes, height, width = dense.shape
    total = 0.0
    for image in range(batch):
        inner = 0.0
        for k in range(classes):
            if not tags[image, k]:
                continue
            for y in range(height):
                for x in range(width):
                    gap = max(float(dense[image, k, y, x]), 0) - max(float(standard[image, k, y, x]), 0)
                    inner += gap * gap
        total += inner / (classes * height * width)
    return total / batch


def reference_entropy(scores_of_blocks, tags):
    """(2.1), one image after the other: the sum over blocks and foreground classes, divided by the classes alone."""
    batch, classes = tags.shape
    total = 0.0
    for image in range(batch):
        for scores in scores_of_blocks:
            for k in range(classes):
                p = 1 / (1 + math.exp(-float(scores[image, k])))
                total += -math.log(p if tags[image, k] else 1 - p) / classes
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
    head = DilatedClassifier("test_efficientnet", 16, 3, block_width=8)
    images, tags = torch.randn(2, 3, 64, 96), torch.tensor([[1.0, 0, 0], [0, 1, 1]])
    output = head(images)
    assert output.maps.shape == (2, 3, 4, 6)
    assert len(output.further_scores) == len(output.further_maps) == 3
    assert torch.equal(output.cams, output.maps.relu())
    losses = head.classification_losses(images, tags, output)
    values = {name: float(value.detach()) for name, value in losses.items()}
    with torch.no_grad():
        scores = [maps.mean((2, 3)) for maps in (output.maps, *output.further_maps)]
        expected = CAM_WEIGHT * reference(dense_cam(output.maps, output.further_maps), output.maps, tags)
        assert values["classification"] == pytest.approx(reference_entropy(scores, tags), rel=1e-4)
    assert values["dense_cam"] == pytest.approx(expected, rel=1e-4)
    sum(losses.values()).backward()
    assert all(parameter.grad.any() for block in head.blocks for parameter in block.parameters())


def test_the_weight_of_the_cam_loss_is_that_of_section_2_4_1():
    assert CAM_WEIGHT == 0.1


def test_a_block_has_the_layers_of_the_paper():
    """Section 2.4.1: two 3x3 convolutions of 1024 outputs (fc6, fc7), one 1x1 (fc8); section 2.3.1: d in the first."""
    block = convolutional_block(channels=12, num_classes=20, width=1024, rate=6)
    convolutions = [layer for layer in block if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.kernel_size for layer in convolutions] == [(3, 3), (3, 3), (1, 1)]
    assert [layer.out_channels for layer in convolutions] == [1024, 1024, 20]
    assert [layer.dilation for layer in convolutions] == [(6, 6), (1, 1), (1, 1)]
    assert block(torch.zeros(1, 12, 7, 9)).shape == (1, 20, 7, 9)


@pytest.mark.parametrize("rates", [(3, 6), (3, 6, 9), (6, 12, 18, 24), tuple(range(3, 25, 3))])
def test_the_blocks_of_table_2_7_can_be_built(rates):
    head = DilatedClassifier("test_efficientnet", 16, 2, block_rates=rates, block_width=4)
    assert [block[0].dilation[0] for block in head.blocks] == [1, *rates]
    assert len(head(torch.zeros(2, 3, 64, 64)).further_maps) == len(rates)


def test_the_blocks_begin_with_features_of_usual_strength():
    """Neither fc6 nor fc7 makes features vanish or grow, whatever the width of the backbone."""
    torch.manual_seed(0)
    block = convolutional_block(channels=320, num_classes=3, width=256, rate=3)
    features = torch.randn(2, 320, 16, 16)
    with torch.no_grad():
        inner = block[:4](features)
    assert 0.5 < float(inner.square().mean() / features.square().mean()) < 2


def test_in_evaluation_mode_the_dilated_blocks_are_left_out():
    torch.manual_seed(0)
    head = DilatedClassifier("test_efficientnet", 16, 3, block_width=4).eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        alone = head(images)
        assert (alone.further_scores, alone.further_maps) == ((), ())
        for block in head.blocks[1:]:
            block.requires_grad_(False)[4].weight.fill_(torch.nan)
        assert torch.equal(head(images).maps, alone.maps)
