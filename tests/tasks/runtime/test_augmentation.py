import colorsys

import numpy as np
import pytest
import torch

from tasks.runtime.augmentation import Augmentation, crop_or_pad, jitter_colours, resize_map, resize_nearest


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


def drawn(augmentation, size, count=400):
    rng = np.random.default_rng(0)
    return [augmentation.draw_scale(size, rng)[0] for _ in range(count)]


def test_scales_are_any_between_two_or_some_of_equal_distance():
    found = drawn(Augmentation((8, 8), 0.5, 1.5), (10, 20))
    assert 0.5 <= min(found) < 0.52
    assert 1.45 < max(found) <= 1.5
    assert len(set(found)) == 400
    steps = drawn(Augmentation((8, 8), 0.5, 1.5, scale_steps=3), (10, 20))
    assert set(steps) == {0.5, 1.0, 1.5}
    assert all(100 < steps.count(scale) < 170 for scale in set(steps))


def test_a_side_is_brought_to_a_length_whatever_the_size_of_the_image():
    for size in ((1080, 1920), (300, 200)):
        long = drawn(Augmentation((8, 8), resize_side="long", resize_to=(448.0, 768.0)), size)
        lengths = [scale * max(size) for scale in long]
        assert 448 <= min(lengths) < 455
        assert 760 < max(lengths) <= 768
        short = drawn(Augmentation((8, 8), 0.5, 2.0, scale_steps=2, resize_side="short", resize_to=(100.0,)), size)
        assert {round(scale * min(size)) for scale in short} == {50, 200}


def test_small_images_are_enlarged_before_the_random_scale():
    found = drawn(Augmentation((8, 8), 0.5, 1.5, scale_steps=3, least_side=40), (10, 20))
    assert set(found) == {1.0, 2.0, 3.0}
    assert set(drawn(Augmentation((8, 8), least_side=40), (10, 50))) == {1.0}
    assert set(drawn(Augmentation((8, 8), resize_side="long", resize_to=(10.0,), least_side=40), (10, 20))) == {0.5}


def test_a_tilted_surface_stays_even_when_depth_grows_and_regions_stay_whole():
    ramp = torch.arange(6.0).expand(3, 6)
    grown = resize_map(ramp, (6, 12))
    assert torch.allclose(grown[0, 1:-1].diff(), torch.tensor(0.5))
    assert torch.equal(resize_map(ramp, (3, 3)), resize_nearest(ramp, (3, 3)))
    assert resize_map(torch.tensor([[3, 7]]), (1, 4)).tolist() == [[3, 3, 7, 7]]
    assert resize_map(torch.tensor([[True, False]]), (1, 4)).tolist() == [[True, True, False, False]]
