import numpy as np
import pytest
from PIL import Image

from data.errors import ImageError
from data.files.images import read_depth, read_image, read_saliency
from data.files.pixels import image_size
from data.sample import TRAIN, Sample


def sample(path, **more):
    return Sample("a", TRAIN, path / "a.png", (1,), **more)


def test_rgb_comes_in_its_own_order_and_orientation(tmp_path):
    picture = np.zeros((4, 6, 3), np.uint8)
    picture[0, :, 0] = 200  # the top row is red
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), picture)
    assert image_size(tmp_path / "a.png") == (4, 6)


def test_a_grey_image_becomes_rgb(tmp_path):
    Image.fromarray(np.full((4, 6), 9, np.uint8)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").shape == (4, 6, 3)


def test_truncated_image_is_named(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:800])
    with pytest.raises(ImageError, match="a.jpg: cannot be decoded"):
        read_image(path)


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(ImageError, match="b.png: file is missing"):
        read_image(tmp_path / "b.png")
    (tmp_path / "c.png").write_text("no picture")
    with pytest.raises(ImageError, match="c.png: is not an image"):
        image_size(tmp_path / "c.png")


def test_all_zero_depth_is_named(tmp_path):
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(tmp_path / "d.png")
    with pytest.raises(ImageError, match="d.png: depth of a is zero everywhere"):
        read_depth(sample(tmp_path, depth=tmp_path / "d.png"))


def test_a_saliency_map_is_scaled_to_one_and_has_the_size_of_its_image(tmp_path):
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.full((4, 6), 51, np.uint8)).save(tmp_path / "s.png")
    assert read_saliency(tmp_path / "s.png", sample(tmp_path)) == pytest.approx(np.full((4, 6), 0.2))
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(tmp_path / "s.png")
    with pytest.raises(ImageError, match=r"s.png: saliency has shape \(5, 6\), but image a has \(4, 6\)"):
        read_saliency(tmp_path / "s.png", sample(tmp_path))


@pytest.mark.parametrize("kind", [np.uint16, np.int32])
def test_depth_has_16_or_32_bits_in_png_or_tiff(tmp_path, kind):
    path = tmp_path / "d.tif"
    Image.fromarray(np.full((4, 6), 1500, kind)).save(path)
    assert read_depth(sample(tmp_path, depth=path)) == pytest.approx(np.full((4, 6), 1.5))


@pytest.mark.parametrize(
    ("picture", "word"),
    [
        (Image.new("L", (6, 4), 9), "8-bit grey values"),
        (Image.new("P", (6, 4), 9), "palette colours"),
        (Image.new("1", (6, 4), 1), "1-bit pixels"),
        (Image.new("RGB", (6, 4)), "RGB colours"),
        (Image.new("F", (6, 4), 1.5), "32-bit float values"),
    ],
)
def test_what_is_no_depth_is_refused_with_the_remedy(tmp_path, picture, word):
    path = tmp_path / "d.tif"
    picture.save(path)
    with pytest.raises(ImageError, match=f"d.tif: has {word}; depth needs .* 16-bit PNG in millimetres, or use .npy"):
        read_depth(sample(tmp_path, depth=path))


def test_negative_depth_is_named(tmp_path):
    path = tmp_path / "d.tif"
    Image.fromarray(np.full((4, 6), -1, np.int32)).save(path)
    with pytest.raises(ImageError, match="d.tif: depth of a has the negative value -1"):
        read_depth(sample(tmp_path, depth=path))
