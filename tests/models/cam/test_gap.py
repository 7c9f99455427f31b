import torch
import torch.nn.functional as F

from models.cam import GapClassifier


def network(classes=3):
    torch.manual_seed(0)
    return GapClassifier("test_efficientnet", 16, classes).eval()


def test_the_score_is_the_mean_of_the_map():
    scores, maps, cams, *_ = network()(torch.randn(2, 3, 64, 96))
    assert scores.shape == (2, 3)
    assert maps.shape == (2, 3, 4, 6)
    for b in range(2):
        for k in range(3):
            assert torch.allclose(scores[b, k], sum(maps[b, k].flatten()) / 24, atol=1e-6)
    assert torch.equal(cams, maps.clamp(min=0))


def test_it_is_pooling_followed_by_a_linear_layer():
    """Zhou et al.: the class weights applied to every position give the CAM."""
    classifier, images = network(), torch.randn(1, 3, 64, 64)
    features = classifier.backbone.forward_features(images)
    pooled = F.linear(features.mean((2, 3)), classifier.head.weight[:, :, 0, 0])
    assert torch.allclose(classifier(images)[0], pooled, atol=1e-5)
