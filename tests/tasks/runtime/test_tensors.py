import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from data.sample import TRAIN, Sample
from tasks.runtime.tensors import (
    Normalisation,
    batches_of_one_size,
    colours,
    image_bytes,
    image_tensor,
    rgb_tensor,
    tags_of,
)


@pytest.fixture
def samples(tmp_path):
    """Images of two sizes."""
    sizes = [(20, 30), (20, 30), (24, 16)]
    return [Sample(str(index), TRAIN, tmp_path / f"{index}.png", (1,), size=size) for index, size in enumerate(sizes)]


def test_batches_of_one_size_hold_every_sample_once(samples):
    groups = list(batches_of_one_size(samples, 1))
    assert sorted(index for group in groups for index in group) == [0, 1, 2]
    assert list(batches_of_one_size(samples, 8)) == [[0, 1], [2]]


def test_an_image_is_channels_first_and_between_0_and_1(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    sample = Sample("a", TRAIN, tmp_path / "a.png", (1,), size=(4, 5))
    found = image_tensor(sample)
    assert found.shape == (3, 4, 5)
    assert torch.equal(found, rgb_tensor(image))
    assert torch.equal(found, colours(image_bytes(sample)))
    assert np.allclose(found.permute(1, 2, 0).numpy() * 255, image, atol=1e-4)


def test_tags():
    sample = Sample("a", TRAIN, None, (1, 3))
    assert tags_of([sample, dataclasses.replace(sample, tags=())], 3).tolist() == [[1, 0, 1], [0, 0, 0]]


def test_normalisation_can_be_undone():
    normalisation = Normalisation((0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
    images = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(normalisation.undo(normalisation(images)), images, atol=1e-6)
    assert normalisation.undo(torch.full((3, 1, 1), 9.0)).max() == 1


def test_images_of_one_normalisation_become_those_of_another():
    ours, theirs = Normalisation((0.4, 0.5, 0.6), (0.2, 0.3, 0.4)), Normalisation((0.5,) * 3, (0.5, 0.25, 0.1))
    colours = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(ours.converted(ours(colours), theirs), theirs(colours), atol=1e-5)
    images = ours(colours)
    assert ours.converted(images, Normalisation(ours.mean, ours.std)) is images
