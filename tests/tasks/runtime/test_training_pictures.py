"""Pictures of what a network sees during a training."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from data.sample import Sample
from models.palette import palette
from tasks.runtime.tensors import Normalisation
from tasks.runtime.training_pictures import LARGEST_SIDE, network_pictures

COLOURS = Normalisation((0.5, 0.4, 0.3), (0.2, 0.2, 0.1))


class Segmenter(nn.Module):
    """Class 2 in the right half."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def predict(self, images, scales, flip):
        found = torch.zeros(len(images), 3, *images.shape[-2:])
        found[:, 0] = 0.5
        found[:, 2, :, images.shape[-1] // 2 :] = 0.9
        return found


class Classifier(Segmenter):
    """Class 1 is seen in the upper half, class 2 in the lower."""

    predict = property()  # hasattr is false

    def forward(self, images):
        maps = torch.zeros(len(images), 2, 4, 4)
        maps[:, 0, :2], maps[:, 1, 2:] = 8.0, 3.0
        return SimpleNamespace(cams=maps)


def images_of(colour, height=8, width=8, tags=(1.0, 0.0)):
    image = torch.tensor(colour).view(3, 1, 1).expand(3, height, width)
    return SimpleNamespace(
        samples=[Sample(f"room/{number}", "train", None, (1,)) for number in range(6)],
        normalisation=COLOURS,
        whole=lambda index: {"image": COLOURS(image), "tags": torch.tensor(tags)},
    )


def test_the_right_half_has_the_colours_of_the_classes():
    found = network_pictures(Segmenter(), images_of((1.0, 0.2, 0.0)))
    assert list(found) == ["room/0", "room/2", "room/3", "room/5"]
    picture = found["room/3"]
    assert (picture.shape, picture.dtype) == ((8, 16, 3), np.uint8)
    assert (picture[:, :8] == (255, 51, 0)).all()
    assert (picture[:, 8:12] == palette(3)[0]).all()
    assert (picture[:, 12:] == palette(3)[2]).all()


@pytest.mark.parametrize(("tags", "lit"), [((1.0, 0.0), [True, False]), ((1.0, 1.0), [True, True])])
def test_the_image_is_bright_where_a_classifier_sees_a_tag(tags, lit):
    picture = network_pictures(Classifier(), images_of((1.0, 1.0, 1.0), tags=tags))["room/0"]
    assert [bool(picture[row, 8:].min() > 200) for row in (0, 7)] == lit


def test_a_large_image_is_made_smaller_and_no_random_number_is_drawn():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    picture = network_pictures(Segmenter(), images_of((0.0, 1.0, 0.0), 100, 4 * LARGEST_SIDE))["room/0"]
    assert picture.shape == (25, 2 * LARGEST_SIDE, 3)
    assert torch.equal(torch.get_rng_state(), before)
