import numpy as np
import pytest

from models.foreground import foreground_of


def photograph(size=(50, 60), colour=(40, 120, 40), margin=6):
    """A box before a table of wood under light that falls off, with noise, and the pixels of the box."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: size[0], : size[1]]
    light = 0.7 + 0.3 * columns[..., None] / size[1]
    image = np.array([220, 170, 140]) * light
    box = (np.minimum(rows, size[0] - 1 - rows) >= margin) & (np.minimum(columns, size[1] - 1 - columns) >= margin)
    image[box] = colour
    return np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8), box


@pytest.mark.parametrize("size", [(20, 17), (50, 60), (120, 200)])
def test_an_object_is_found_before_uneven_light(size):
    image, box = photograph(size, margin=4)
    found = foreground_of(image)
    assert (found & box).sum() / (found | box).sum() > 0.95


def test_an_object_that_touches_the_border_is_found():
    image, box = photograph()
    image[20:40, :30], box[20:40, :30] = (40, 120, 40), True
    found = foreground_of(image)
    assert (found & box).sum() / (found | box).sum() > 0.9


def test_a_stain_beside_the_object_is_left_out():
    image, box = photograph(margin=15)
    image[4:8, 4:8] = (20, 20, 20)
    assert not foreground_of(image)[:10, :10].any()
    assert foreground_of(image)[25, 30]


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (4, 2), (5, 40)])
def test_what_shows_no_object_gives_none(size):
    assert not foreground_of(np.full((*size, 3), 120, np.uint8)).any()
    assert not foreground_of(photograph((40, 40), margin=20)[0]).any()
