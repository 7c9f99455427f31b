import numpy as np
import pytest
from PIL import Image

from data.errors import ImageError
from data.files.labels import decode_labels, label_png, read_labels, read_layers, read_truth
from data.sample import TRAIN, UNLABELLED, LabelLayer, Sample

SIZE = (4, 6)


@pytest.fixture
def folder(tmp_path):
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(tmp_path / "a.png")
    return tmp_path


def sample(folder, **more):
    return Sample("a", TRAIN, folder / "a.png", (1,), **more)


def save(path, values):
    Image.fromarray(np.asarray(values, np.uint8)).save(path)
    return path


def test_without_ground_truth_there_is_no_label_map(folder):
    assert read_truth(sample(folder), 1) is None


def test_a_label_map_keeps_its_class_numbers(folder):
    labels = np.zeros(SIZE, np.uint8)
    labels[0], labels[-1] = 2, UNLABELLED
    truth = read_truth(sample(folder, truth=(LabelLayer(save(folder / "m.png", labels)),)), 2)
    assert truth.dtype == np.uint8
    assert np.array_equal(truth, labels)


def test_later_layers_cover_earlier_ones(folder):
    first, second = np.zeros((2, *SIZE), np.uint8)
    first[:2], second[1:3] = 255, 1  # a mask is whatever is not 0
    layers = [LabelLayer(save(folder / "1.png", first), 3), LabelLayer(save(folder / "2.png", second), 1)]
    assert read_layers(sample(folder), layers, 3)[:, 0].tolist() == [3, 1, 1, 0]
    assert read_layers(sample(folder), layers[::-1], 3)[:, 0].tolist() == [3, 3, 1, 0]


def test_a_mask_of_another_size_is_named(folder):
    layer = LabelLayer(save(folder / "m.png", np.zeros((5, 6))), 1)
    with pytest.raises(ImageError, match=r"m.png: mask has shape \(5, 6\), but image a has \(4, 6\)"):
        read_truth(sample(folder, truth=(layer,)), 1)


def test_an_unknown_class_is_named(folder):
    layer = LabelLayer(save(folder / "m.png", np.full(SIZE, 9)))
    with pytest.raises(ImageError, match="m.png: class number 9 is unknown; use 0..2 or 255"):
        read_truth(sample(folder, truth=(layer,)), 2)


def test_a_layer_is_decoded_by_its_encoding(folder):
    path = save(folder / "a_labelIds.png", np.full(SIZE, 33))
    assert (decode_labels(LabelLayer(path), SIZE) == 33).all()
    assert (decode_labels(LabelLayer(path, None, "cityscapes"), SIZE) == 18).all()


def test_a_label_map_survives_png(tmp_path):
    labels = np.random.default_rng(0).integers(0, 256, (9, 7), np.uint8)
    (tmp_path / "m.png").write_bytes(label_png(labels))
    assert np.array_equal(read_labels(tmp_path / "m.png"), labels)
    with pytest.raises(ImageError, match="gone.png: file is missing"):
        read_labels(tmp_path / "gone.png")
