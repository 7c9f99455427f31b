import colorsys

import pytest
import torch

from tasks.runtime.augmentation import crop_or_pad, jitter_colours, resize_nearest


def test_crop_or_pad_along_each_axis():
    values = torch.arange(6).view(2, 3)
    assert crop_or_pad(values, (2, 2), (0, 1), -1).tolist() == [[1, 2], [4, 5]]
    assert crop_or_pad(values, (4, 3), (1, 0), -1)[:, 0].tolist() == [-1, 0, 3, -1]


def test_nearest_resizing_keeps_every_value_it_can():
    values = torch.tensor([[1, 2], [3, 65535]], dtype=torch.int32)
    assert resize_nearest(values, (4, 4)).tolist() == [[1, 1, 2, 2]] * 2 + [[3, 3, 65535, 65535]] * 2
    assert resize_nearest(values, (1, 1)).tolist() == [[65535]]


def test_neutral_jitter_changes_nothing_and_grey_has_no_saturation():
    image = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(jitter_colours(image, 1, 1, 1), image, atol=1e-6)
    grey = jitter_colours(image, 1, 1, 0)
    assert torch.allclose(grey[0], grey[1])


def random_image():
    return torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0))


def grey_of(image):
    return (0.2989 * image[0] + 0.587 * image[1] + 0.114 * image[2])[None]


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_jitter_is_a_factor_of_brightness_contrast_and_saturation(factor):
    image = random_image()
    assert torch.allclose(jitter_colours(image, factor, 1, 1), (image * factor).clamp(0, 1), atol=1e-6)
    contrast = (grey_of(image).mean() * (1 - factor) + image * factor).clamp(0, 1)
    assert torch.allclose(jitter_colours(image, 1, factor, 1), contrast, atol=1e-6)
    saturation = (grey_of(image) * (1 - factor) + image * factor).clamp(0, 1)
    assert torch.allclose(jitter_colours(image, 1, 1, factor), saturation, atol=1e-6)


@pytest.mark.parametrize("hue", [-0.2, 0.35])
def test_hue_is_a_turn_of_the_colour_circle(hue):
    image = random_image()
    turned = jitter_colours(image, 1, 1, 1, hue)
    for before, after in zip(image.flatten(1).T.tolist(), turned.flatten(1).T.tolist(), strict=True):
        angle, saturation, value = colorsys.rgb_to_hsv(*before)
        assert after == pytest.approx(colorsys.hsv_to_rgb((angle + hue) % 1, saturation, value), abs=1e-3)
    assert torch.equal(jitter_colours(image, 1, 1, 1, 0.0), jitter_colours(image, 1, 1, 1))
