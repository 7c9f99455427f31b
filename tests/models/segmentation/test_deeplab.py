import torch
import torch.nn.functional as F

from models.backbones import build_backbone, dense_features
from models.segmentation import DeepLabAspp


def network():
    torch.manual_seed(0)
    return DeepLabAspp(build_backbone("test_efficientnet", 16), 4, rates=(1, 2, 3)).eval()


def test_the_head_is_the_sum_of_dilated_convolutions():
    deeplab, images = network(), torch.randn(1, 3, 96, 64)
    features = dense_features(deeplab.backbone, images)
    total = sum(
        F.conv2d(features, branch.weight, branch.bias, padding=rate, dilation=rate)
        for branch, rate in zip(deeplab.branches, (1, 2, 3), strict=True)
    )
    assert torch.allclose(deeplab(images), total, atol=1e-6)
    assert total.shape == (1, 4, 6, 4)


def test_predictions_are_probabilities_at_image_size():
    with torch.no_grad():
        probabilities = network().predict(torch.randn(2, 3, 50, 70), (1.0, 0.75), flip=True)
    assert probabilities.shape == (2, 4, 50, 70)
    assert torch.allclose(probabilities.sum(1), torch.ones(2, 50, 70), atol=1e-5)


def test_flip_averages_the_image_and_its_mirror():
    deeplab, images = network(), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        straight = deeplab.predict(images, (1.0,), flip=False)
        mirrored = deeplab.predict(images.flip(-1), (1.0,), flip=False).flip(-1)
        both = deeplab.predict(images, (1.0,), flip=True)
    assert torch.allclose(both, (straight + mirrored) / 2, atol=1e-6)
