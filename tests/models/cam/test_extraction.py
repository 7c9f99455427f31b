import torch
import torch.nn.functional as F
from torch import nn

from models.cam import CamOutput
from models.cam.extraction import extract_cams


class Channels(nn.Module):
    """Replaces a classifier: its maps are the channels of the image at stride 2."""

    def forward(self, images):
        maps = F.avg_pool2d(images, 2)
        return CamOutput(maps.mean((2, 3)), maps, F.relu(maps))


def test_one_scale_is_the_rectified_map_over_its_maximum():
    images = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    tags = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    cams = extract_cams(Channels(), images, tags, (4, 6), (1.0,), flip=False)
    maps = Channels()(images).maps
    for b in range(2):
        for k in range(3):
            expected = maps[b, k].clamp(min=0) / maps[b, k].max() if tags[b, k] else torch.zeros(4, 6)
            assert torch.allclose(cams[b, k], expected, atol=1e-6)


def test_a_mirror_symmetric_network_gives_the_same_with_flips():
    images = torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(1))
    tags = torch.ones(1, 3)
    plain = extract_cams(Channels(), images, tags, (4, 6), (1.0,), flip=False)
    assert torch.allclose(extract_cams(Channels(), images, tags, (4, 6), (1.0,), flip=True), plain, atol=1e-6)


def test_scales_are_averaged_before_the_maximum_is_taken():
    images = torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(2))
    tags = torch.ones(1, 3)
    small = F.interpolate(Channels()(images).maps, size=(4, 6), mode="bilinear")
    large = Channels()(F.interpolate(images, scale_factor=2.0, mode="bilinear", align_corners=False)).maps
    total = small + F.interpolate(large, size=(4, 6), mode="bilinear", align_corners=False)
    cams = extract_cams(Channels(), images, tags, (4, 6), (1.0, 2.0), flip=False)
    assert torch.allclose(cams, total / total.amax((2, 3), keepdim=True), atol=1e-6)


def test_fusion_by_the_maximum_over_scales_and_mirror_images():
    images = torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(2))
    size = (4, 6)
    expected = torch.zeros(1, 3, *size)
    for scale in (1.0, 2.0):
        scaled = F.interpolate(images, scale_factor=scale, mode="bilinear", align_corners=False)
        of_scale = torch.maximum(Channels()(scaled).cams, Channels()(scaled.flip(-1)).cams.flip(-1))
        resized = F.interpolate(of_scale, size=size, mode="bilinear", align_corners=False)
        expected = torch.maximum(expected, resized)
    cams = extract_cams(Channels(), images, torch.ones(1, 3), size, (1.0, 2.0), flip=True, fusion="max")
    assert torch.allclose(cams, expected / expected.amax((2, 3), keepdim=True), atol=1e-6)


def test_a_class_that_is_nowhere_positive_is_zero_and_not_nan():
    cams = extract_cams(Channels(), -torch.ones(1, 3, 8, 8), torch.ones(1, 3), (4, 4), (1.0,), flip=True)
    assert not cams.any()


def test_maps_in_bfloat16_are_mirrored_added_and_resized_in_float32():
    images = torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(3))
    weight = torch.randn(3, 3, 1, 1, generator=torch.Generator().manual_seed(4))

    class Convolution(nn.Module):
        def forward(self, seen):
            maps = F.conv2d(F.avg_pool2d(seen, 2), weight)
            assert maps.dtype == torch.bfloat16
            return CamOutput(maps.mean((2, 3)), maps, maps.abs())

    with torch.autocast("cpu", torch.bfloat16):
        cams = extract_cams(Convolution(), images, torch.ones(1, 3), (8, 12), (1.0,), flip=True)
        parts = [Convolution()(images).cams.float(), Convolution()(images.flip(-1)).cams.float().flip(-1)]
    expected = F.interpolate(sum(parts), size=(8, 12), mode="bilinear", align_corners=False)
    assert cams.dtype == torch.float32
    assert torch.allclose(cams, expected / expected.amax((2, 3), keepdim=True), atol=1e-6)


def test_where_the_scaled_size_is_not_whole_cams_are_not_shifted():
    """The CAM of a mirror image is the mirror image of the CAM."""
    images, tags = torch.rand(1, 3, 21, 33, generator=torch.Generator().manual_seed(5)), torch.ones(1, 3)
    cams = extract_cams(Scaled(), images, tags, (21, 33), (0.3,), flip=False)
    mirrored = extract_cams(Scaled(), images.flip(-1, -2), tags, (21, 33), (0.3,), flip=False).flip(-1, -2)
    torch.testing.assert_close(cams, mirrored)


def test_an_image_of_one_row_is_seen_at_half_size():
    cams = extract_cams(Scaled(), torch.rand(1, 3, 1, 9), torch.ones(1, 3), (1, 9), (0.5,), flip=True)
    assert cams.shape == (1, 3, 1, 9)


class Scaled(nn.Module):
    """Replaces a classifier: its maps are the image."""

    def forward(self, images):
        return CamOutput(images.mean((2, 3)), images, F.relu(images))
