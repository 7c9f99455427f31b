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


def test_logits_in_bfloat16_are_resized_in_float32():
    """In bfloat16, two classes are often equal between two cells, and the argmax takes the lower one."""
    torch.manual_seed(0)
    images, weight = torch.randn(2, 3, 8, 12), torch.randn(4, 3, 1, 1)

    def logits_of(seen):
        found = F.conv2d(F.avg_pool2d(seen, 4), weight)
        assert found.dtype == torch.bfloat16
        return found

    with torch.autocast("cpu", torch.bfloat16):
        found = averaged_probabilities(logits_of, images, (1.0,), flip=True)
        plain, mirrored = logits_of(images).float(), logits_of(images.flip(-1)).float().flip(-1)
    parts = [
        F.interpolate(logits, size=(8, 12), mode="bilinear", align_corners=False).softmax(1)
        for logits in (plain, mirrored)
    ]
    assert found.dtype == torch.float32
    assert torch.allclose(found, sum(parts) / 2, atol=1e-6)
