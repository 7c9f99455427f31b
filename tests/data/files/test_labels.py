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


def save(path, values, dtype=np.uint8):
    Image.fromarray(np.asarray(values, dtype)).save(path)
    return path


def test_without_ground_truth_there_is_no_label_map(folder):
    assert read_truth(sample(folder), 1) is None


def test_a_label_map_keeps_its_class_numbers(folder):
    labels = np.zeros(SIZE, np.uint8)
    labels[0], labels[-1] = 2, 255
    truth = read_truth(sample(folder, truth=(LabelLayer(save(folder / "m.png", labels)),)), 2)
    assert truth.dtype == np.uint16
    assert np.array_equal(truth, np.where(labels == 255, np.uint16(UNLABELLED), labels))


@pytest.mark.parametrize("values", [[0, 44, 255, 256, 300, 1203, UNLABELLED], [1203, 0, 0, 0, 0, 0, 0]])
def test_a_label_map_of_16_bits_keeps_more_classes_than_a_byte_holds(folder, values):
    labels = np.resize(np.array(values, np.uint16), SIZE)
    layer = LabelLayer(save(folder / "m.png", labels, np.uint16))
    truth = read_truth(sample(folder, truth=(layer,)), 1203)
    assert truth.dtype == np.uint16
    assert np.array_equal(truth, labels)


@pytest.mark.parametrize(("num_classes", "meaning"), [(2, UNLABELLED), (254, UNLABELLED), (255, 255), (1203, 255)])
def test_255_in_16_bits_is_a_class_if_the_set_has_as_many(folder, num_classes, meaning):
    values = np.resize(np.array([0, 2, 255, UNLABELLED], np.uint16), SIZE)
    wide = sample(folder, truth=(LabelLayer(save(folder / "16.png", values, np.uint16)),))
    assert read_truth(wide, num_classes)[0, :4].tolist() == [0, 2, meaning, UNLABELLED]
    narrow = sample(folder, truth=(LabelLayer(save(folder / "8.png", np.resize([0, 2, 255], SIZE))),))
    assert read_truth(narrow, num_classes)[0, :3].tolist() == [0, 2, UNLABELLED]


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
    layer = LabelLayer(save(folder / "w.png", np.full(SIZE, 300), np.uint16))
    with pytest.raises(ImageError, match="w.png: class number 300 is unknown; use 0..299 or 65535"):
        read_truth(sample(folder, truth=(layer,)), 299)
    with pytest.raises(ImageError, match="w.png: class number 300 is unknown; use 0..80 or 255"):
        read_truth(sample(folder, truth=(layer,)), 80)


def test_values_beyond_16_bits_are_refused_before_they_wrap(folder):
    layer = LabelLayer(save(folder / "m.tif", np.full(SIZE, 65536 + 7), np.int32))
    with pytest.raises(ImageError, match="m.tif: is not a label map"):
        read_truth(sample(folder, truth=(layer,)), 9)


def test_a_layer_is_decoded_by_its_encoding(folder):
    path = save(folder / "a_labelIds.png", np.full(SIZE, 33))
    assert (decode_labels(LabelLayer(path), SIZE) == 33).all()
    assert (decode_labels(LabelLayer(path, None, "cityscapes"), SIZE) == 18).all()


def test_a_label_map_survives_png(tmp_path):
    labels = np.random.default_rng(0).integers(0, 65536, (9, 7), np.uint16)
    (tmp_path / "m.png").write_bytes(label_png(labels))
    found = read_labels(tmp_path / "m.png")
    assert found.dtype == np.uint16
    assert np.array_equal(found, labels)
    with pytest.raises(ImageError, match="gone.png: file is missing"):
        read_labels(tmp_path / "gone.png")


@pytest.mark.parametrize(
    ("picture", "word"),
    [
        (Image.new("RGB", (6, 4)), "RGB colours"),
        (Image.new("RGBA", (6, 4)), "RGB colours with transparency"),
        (Image.new("LA", (6, 4)), "grey values with transparency"),
        (Image.new("F", (6, 4)), "32-bit float values"),
    ],
)
@pytest.mark.parametrize("class_index", [None, 1])
def test_what_is_no_map_of_numbers_is_refused_with_the_remedy(folder, picture, word, class_index):
    picture.save(folder / "m.tif")
    with pytest.raises(ImageError, match=f"m.tif: has {word}; a label map holds class numbers: save it as PNG"):
        decode_labels(LabelLayer(folder / "m.tif", class_index), SIZE)


def test_a_jpeg_file_is_no_label_map(folder):
    Image.new("L", (6, 4)).save(folder / "m.png", "JPEG")
    with pytest.raises(ImageError, match="m.png: is a JPEG file, whose values may be others"):
        decode_labels(LabelLayer(folder / "m.png"), SIZE)


def test_a_mask_of_1_bit_and_an_indexed_label_map_are_read(folder):
    Image.fromarray(np.eye(4, 6).astype(bool)).save(folder / "1.png")
    layer = LabelLayer(folder / "1.png", 2)
    assert np.array_equal(read_layers(sample(folder), [layer], 2), 2 * np.eye(4, 6))
    indexed = Image.fromarray(np.full(SIZE, 2, np.uint8)).convert("P")
    indexed.putpalette([0, 0, 0, 9, 9, 9, 200, 0, 0] + [1] * 759)
    indexed.save(folder / "p.png")
    assert (decode_labels(LabelLayer(folder / "p.png"), SIZE) == 2).all()


def test_a_mask_has_the_size_of_the_image_as_it_is_shown(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored 40 wide and 20 high, shown 20 wide and 40 high
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png", exif=exif)
    shown = LabelLayer(save(tmp_path / "shown.png", np.ones((40, 20))))
    stored = LabelLayer(save(tmp_path / "stored.png", np.ones((20, 40))))
    assert read_truth(sample(tmp_path, truth=(shown,)), 1).shape == (40, 20)
    with pytest.raises(ImageError, match=r"stored.png: mask has shape \(20, 40\), but image a has \(40, 20\)"):
        read_truth(sample(tmp_path, truth=(stored,)), 1)


def test_the_known_size_of_an_image_is_used(folder):
    known = sample(folder, size=(3, 3), truth=(LabelLayer(save(folder / "m.png", np.ones((3, 3)))),))
    assert read_truth(known, 1).shape == (3, 3)
