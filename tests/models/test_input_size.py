import torch

from models.input_size import LARGEST_INPUT, limited, limited_scale


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
