import torch
import torch.nn.functional as F

from models.segmentation.multi_scale import averaged_probabilities


def test_mean_of_the_softmax_over_sizes():
    torch.manual_seed(0)
    images = torch.randn(1, 3, 8, 12)

    def logits_of(seen):
        return F.avg_pool2d(seen, 2) * 3

    found = averaged_probabilities(logits_of, images, (1.0, 2.0), flip=False)
    large = F.interpolate(images, size=(16, 24), mode="bilinear", align_corners=False)
    parts = [
        F.interpolate(logits_of(seen), size=(8, 12), mode="bilinear", align_corners=False).softmax(1)
        for seen in (images, large)
    ]
    assert torch.allclose(found, sum(parts) / 2, atol=1e-6)
