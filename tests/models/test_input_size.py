import pytest
import torch
import torch.nn.functional as F

from models.input_size import LARGEST_INPUT, limited, limited_scale, scaled


def test_a_usual_frame_is_seen_at_the_wanted_scale():
    assert limited_scale((480, 640), 3.0) == 3.0
    images = torch.rand(1, 3, 20, 30)
    assert limited(images) is images


def test_no_input_is_larger_than_the_limit(monkeypatch):
    for size in ((3000, 4000), (186764, 1), (480, 640)):
        for wanted in (0.5, 1.0, 3.0):
            scale = limited_scale(size, wanted)
            assert scale <= wanted
            assert size[0] * scale * size[1] * scale <= LARGEST_INPUT * 1.000001
    monkeypatch.setattr("models.input_size.LARGEST_INPUT", 600)
    seen = limited(torch.rand(1, 3, 40, 60))
    assert seen.shape == (1, 3, 20, 30)


@pytest.mark.parametrize(("side", "scale"), [(65, 0.3), (65, 0.5), (101, 0.3), (321, 0.75), (33, 1.55)])
def test_what_lies_in_an_image_stays_where_it_is_at_every_scale(side, scale):
    """The centre of a blob, in shares of the side; torch's scale_factor moves it by about a pixel."""
    place = torch.arange(side)
    blob = torch.exp(-((place - 0.7 * side) ** 2) / (2 * (side / 10) ** 2))[None, None, None].expand(1, 1, side, side)
    seen = scaled(blob, scale)
    assert seen.shape[-1] == round(side * scale)
    shares = (torch.arange(seen.shape[-1]) + 0.5) / seen.shape[-1]
    found = float((seen[0, 0, 0] * shares).sum() / seen[0, 0, 0].sum())
    true = float((blob[0, 0, 0] * (place + 0.5)).sum() / blob[0, 0, 0].sum()) / side
    assert found == pytest.approx(true, abs=0.1 / side)


@pytest.mark.parametrize("scale", [0.5, 0.75, 1.0, 1.5, 2.0])
def test_scales_that_give_whole_sizes_are_those_of_torch(scale):
    images = torch.rand(2, 3, 240, 320)
    assert torch.equal(
        scaled(images, scale), F.interpolate(images, scale_factor=scale, mode="bilinear", align_corners=False)
    )


def test_an_image_of_one_row_stays_one():
    assert scaled(torch.rand(1, 3, 1, 9), 0.3).shape == (1, 3, 1, 3)
