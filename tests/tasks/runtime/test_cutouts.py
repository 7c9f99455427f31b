import numpy as np
import pytest
import torch
from PIL import Image

from data.readers.cutouts import Cutout
from tasks.runtime.cutouts import FEATHER, Cutouts
from tasks.runtime.training_images import MapSource

SOURCES = {
    "depth": MapSource(None, "depth", 0.0),
    "valid": MapSource(None, "valid", False),
    "seed": MapSource(None, "seed", 65535, holds_classes=True),
}


@pytest.fixture
def opaque(tmp_path):
    """A green disk on transparent ground, 20 x 10 pixels, of class 2."""
    rows, columns = np.mgrid[:20, :10]
    disk = (rows - 9.5) ** 2 / 100 + (columns - 4.5) ** 2 / 25 < 1
    image = np.zeros((20, 10, 4), np.uint8)
    image[disk] = (0, 255, 0, 255)
    Image.fromarray(image).save(tmp_path / "a.png")
    return Cutout(tmp_path / "a.png", 2)


@pytest.fixture
def on_a_table(tmp_path):
    """A dark box on a grey table, 30 x 40 pixels, of class 1."""
    image = np.full((30, 40, 3), 180, np.uint8)
    image[8:24, 10:30] = (40, 20, 20)
    Image.fromarray(image).save(tmp_path / "b.png")
    return Cutout(tmp_path / "b.png", 1)


def frame(depth=1.0, where=(slice(None), slice(None)), size=(120, 160)):
    valid = torch.zeros(size, dtype=torch.bool)
    valid[where] = True
    layers = {"depth": torch.full(size, depth), "valid": valid, "seed": torch.zeros(size, dtype=torch.int32)}
    return torch.zeros(3, *size), layers, torch.zeros(3)


def pasted(photographs, image, layers, tags, seed=0, distance=1.0, most=1):
    """Paste until something was pasted."""
    rng = np.random.default_rng(seed)
    while not tags.any():
        Cutouts(photographs, most, distance).paste(image, layers, {n: SOURCES[n] for n in layers}, tags, rng)


@pytest.mark.parametrize(("depth", "height"), [(1.0, 20), (2.0, 10), (0.5, 40)])
def test_an_object_has_its_true_size_and_stands_where_depth_was_measured(opaque, depth, height):
    image, layers, tags = frame(depth, where=(slice(80, 81), slice(60, 61)))
    pasted([opaque], image, layers, tags)
    rows = (image[1] > 0.5).any(1).nonzero()
    assert int(rows[-1]) in (79, 80)
    assert int(rows[-1] - rows[0]) + 1 == pytest.approx(height, abs=1)
    assert tags.tolist() == [0, 1, 0]


def test_maps_know_the_class_of_the_object_and_that_depth_is_not_of_it(opaque):
    """A step from depth to zeros would be a ring of false depth around the object, once the map is enlarged."""
    image, layers, tags = frame(where=(slice(80, 81), slice(60, 61)))
    pasted([opaque], image, layers, tags)
    shown = image[1] > 0.6
    assert shown.sum() > 100
    assert (layers["seed"][shown] == 2).all()
    assert not layers["valid"][shown].any()
    assert (layers["depth"] == 1).all()
    untouched = image[1] == 0
    assert (layers["seed"][untouched] == 0).all()


def test_a_photograph_without_transparency_fades_and_only_its_object_has_a_class(on_a_table):
    image, layers, tags = frame(where=(slice(80, 81), slice(60, 61)))
    pasted([on_a_table], image, layers, tags)
    box = image[:, 51:81, 40:80]
    assert box[1, 0, 20] == pytest.approx(180 / 255 * 0.5 / FEATHER, abs=0.01)
    assert box[1, 4, 20] == pytest.approx(180 / 255, abs=0.01)
    seed = layers["seed"][51:81, 40:80]
    assert (seed[10:22, 12:28] == 1).all()
    assert (seed[:6] == 65535).all()
    assert (image[:, :51] == 0).all()


def test_without_depth_the_scale_is_that_of_the_photograph(opaque):
    image, _, tags = frame()
    pasted([opaque], image, {}, tags, seed=3)
    rows = (image[1] > 0.5).any(1).nonzero()
    assert int(rows[-1] - rows[0]) + 1 <= 20


def test_objects_at_the_border_are_cut_off_wherever_they_stand(opaque, on_a_table):
    for seed in range(200):
        image, layers, tags = frame(0.3, size=(24, 32))
        pasted([opaque, on_a_table], image, layers, tags, seed, most=4)
        assert image.min() >= 0
        assert image.max() <= 1


def test_classes_are_as_likely_whatever_the_number_of_their_photographs(opaque, on_a_table):
    counts, rng = torch.zeros(3), np.random.default_rng(0)
    cutouts = Cutouts([opaque] + [on_a_table] * 9, 1, 1.0)
    for _ in range(400):
        image, _, tags = frame(size=(24, 32))
        cutouts.paste(image, {}, {}, tags, rng)
        counts += tags
    assert counts[2] == 0
    assert counts[:2].tolist() == pytest.approx([100, 100], abs=30)
