"""Decoding of every kind of file that Pillow opens, and of arrays; damaged files give one line and nothing else."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from faults.mutations import mutated_bytes
from faults.outcomes import refusal
from PIL import Image

from data.errors import ImageError
from data.files.images import read_depth_image, read_image
from data.files.labels import read_labels
from data.files.pixels import GREY_16, image_size, open_array, read_colours, read_member, read_values, stored_size

GREYS = np.array([[0, 128, 257, 40_000, 65_535, 300]], np.uint16)
ORIENTATION = 0x0112


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.png"


def turned_by(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def indexed(values):
    image = Image.fromarray(values).convert("P")
    image.putpalette([level for level in range(256) for _ in range(3)])
    return image


def test_16_bit_grey_values_are_scaled_and_not_cut(path):
    expected = np.round(GREYS / 257).astype(np.uint8)
    for name in ("PNG", "TIFF"):
        Image.fromarray(GREYS).save(path, name)
        assert np.array_equal(read_colours(path), np.stack([expected] * 3, -1)), name
        assert np.array_equal(read_colours(path, "L"), expected)


def test_a_16_bit_pgm_is_scaled_from_its_own_maximum(path):
    path.write_bytes(b"P5 3 1 1000\n" + np.array([0, 500, 1000], ">u2").tobytes())
    assert read_colours(path)[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("values", "mode", "word"),
    [(np.float32, "F", "32-bit float values of unknown range"), (np.int32, "I", "32-bit grey values of unknown range")],
)
def test_images_of_unknown_range_are_refused(path, values, mode, word):
    Image.fromarray(np.ones((4, 6), values)).save(path, "TIFF")
    with Image.open(path) as image:
        assert image.mode == mode
    with pytest.raises(ImageError, match=f"a.png: has {word}; save it with 8 bits"):
        read_colours(path)


def test_inverted_16_bit_tiff_is_refused(path):
    white_is_zero = {262: 0}
    Image.fromarray(GREYS).save(path, "TIFF", tiffinfo=white_is_zero)
    with pytest.raises(ImageError, match="16-bit grey values of unknown range"):
        read_colours(path)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "CMYK", "YCbCr", "1", "L", "P"])
def test_every_usual_mode_becomes_rgb(tmp_path, mode):
    picture = Image.fromarray(np.full((4, 6, 3), 255, np.uint8)).convert(mode)
    if mode in ("RGBA", "LA"):
        picture.putalpha(0)  # transparency is left out
    picture.save(tmp_path / "a.tif")
    found = read_colours(tmp_path / "a.tif")
    assert found.shape == (4, 6, 3)
    assert (found > 250).all()


def test_transparency_of_a_palette_is_left_out(path):
    picture = indexed(np.array([[0, 1]], np.uint8))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.save(path, transparency=bytes([0, 128]))
    assert read_colours(path).tolist() == [[[10, 20, 30], [40, 50, 60]]]


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_a_viewer_shows_it(tmp_path, ending, orientation):
    upright = np.zeros((20, 40, 3), np.uint8)
    upright[:10, :20] = 255  # white in the upper left corner
    back = {6: 8, 8: 6}.get(orientation, orientation)
    method = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}.get(back)  # Image.Transpose
    stored = Image.fromarray(upright) if method is None else Image.fromarray(upright).transpose(method)
    path = tmp_path / f"a.{ending}"
    stored.save(path, exif=turned_by(orientation))
    found = read_image(path)
    assert image_size(path) == found.shape[:2] == (20, 40)
    assert np.array_equal(found > 127, upright > 127)


def test_a_jpeg_of_20_by_40_with_orientation_6_is_40_by_20(tmp_path):
    Image.new("RGB", (40, 20)).save(tmp_path / "a.jpg", exif=turned_by(6))
    assert read_image(tmp_path / "a.jpg").shape == (40, 20, 3)
    assert image_size(tmp_path / "a.jpg") == (40, 20)


def test_stored_values_keep_palette_indices_and_refuse_what_is_no_number_of_its_own(path):
    indices = np.array([[0, 3, 2]], np.uint8)
    indexed(indices).save(path)
    assert np.array_equal(read_values(path, "P", ""), indices)
    with pytest.raises(ImageError, match="a.png: has palette colours; save it as grey"):
        read_values(path, ("L", *GREY_16), "save it as grey")
    Image.fromarray(indices).save(path, "JPEG")
    with pytest.raises(ImageError, match="a.png: is a JPEG file, whose values may be others; save it as grey"):
        read_values(path, "L", "save it as grey")
    path.write_bytes(b"P5 3 1 15 " + indices.tobytes())  # Pillow makes 255 of 15
    with pytest.raises(ImageError, match="a.png: is a PPM file"):
        read_values(path, "L", "save it as grey")
    Image.fromarray(indices).save(path, exif=turned_by(3))
    with pytest.raises(ImageError, match="a.png: has an EXIF orientation"):
        read_values(path, "L", "")


def test_stored_size_is_that_of_the_header(path):
    Image.new("I;16", (6, 4)).save(path)
    assert stored_size(path) == (4, 6)


def test_an_image_beyond_the_limit_is_refused_before_it_is_decoded(path):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">II5B", 20_000, 20_000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b""))
    for read in (read_image, image_size, read_labels):
        with pytest.raises(ImageError, match="a.png: has more than 179 megapixels; make it smaller"):
            read(path)


def test_a_file_of_several_images_is_refused(tmp_path):
    pages = [Image.new("RGB", (6, 4)) for _ in range(2)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(ImageError, match="a.tif: holds several images"):
        read_image(tmp_path / "a.tif")


def test_formats_that_start_other_programs_are_not_opened(path):
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 4\n%%EndComments\nshowpage\n")
    with pytest.raises(ImageError, match="a.png: is not an image"):
        read_image(path)


@pytest.mark.parametrize("read", [read_image, image_size, read_labels, stored_size])
def test_pipes_and_folders_are_refused_at_once(tmp_path, read):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ImageError, match="a.png: cannot be decoded .it is a named pipe, not a regular file"):
        read(tmp_path / "a.png")
    with pytest.raises(ImageError, match="it is a folder, not a regular file"):
        read(tmp_path)


def test_a_link_to_a_file_is_read(tmp_path, path):
    Image.new("RGB", (6, 4)).save(tmp_path / "b.png")
    path.symlink_to(tmp_path / "b.png")
    assert read_image(path).shape == (4, 6, 3)


def test_an_item_of_an_array_is_read_like_a_file(tmp_path):
    images = np.arange(2 * 4 * 6 * 3, dtype=np.float64).reshape(2, 4, 6, 3)
    np.save(tmp_path / "images.npy", images)
    path = tmp_path / "images.npy" / "1"
    assert image_size(path) == (4, 6)
    assert np.array_equal(read_colours(path), images[1].astype(np.uint8))
    assert np.array_equal(read_member(path), images[1])
    assert np.array_equal(read_values(path, (), ""), images[1])


def test_an_item_after_the_end_and_a_missing_array_are_named(tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((2, 4, 6, 3)))
    with pytest.raises(ImageError, match="images.npy: has 2 items, but no item 7"):
        read_member(tmp_path / "images.npy" / "7")
    with pytest.raises(ImageError, match="masks.npy: file is missing"):
        image_size(tmp_path / "masks.npy" / "0")


@pytest.mark.parametrize(
    "values",
    [
        np.full((1, 4, 6, 3), 300),
        np.full((1, 4, 6, 3), -1),
        np.full((1, 4, 6, 3), 0.5),
        np.full((1, 4, 6, 3), np.nan),
        np.zeros((1, 4, 6)),
        np.zeros((1, 4, 6, 4)),
        np.zeros(3),
        np.array(3),
        np.array(["text"]),
        np.zeros((0, 4, 6, 3)),
    ],
)
def test_an_array_that_holds_no_8_bit_images_is_refused(tmp_path, values):
    np.save(tmp_path / "images.npy", values)
    with pytest.raises(ImageError, match="images.npy"):
        read_colours(tmp_path / "images.npy" / "0")


def test_damaged_arrays_give_one_line(tmp_path):
    rng = np.random.default_rng(0)
    file = io.BytesIO()
    np.save(file, rng.integers(0, 255, (3, 4, 6, 3), np.uint8))
    path, lines = tmp_path / "images.npy", []
    for _ in range(200):
        path.write_bytes(mutated_bytes(file.getvalue(), rng))
        lines += filter(None, (refusal(open_array, path), refusal(read_colours, path / "2")))
    assert 50 < len(lines) < 350
    assert all(line.startswith(str(path)) for line in lines)


def kinds_of_files() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    colours, depth = rng.integers(0, 255, (40, 60, 3), np.uint8), rng.integers(300, 4000, (40, 60)).astype(np.uint16)
    indices = indexed(colours[..., 0] % 20)

    def encoded(image, name, **options):
        file = io.BytesIO()
        image.save(file, name, **options)
        return file.getvalue()

    image, exif = Image.fromarray(colours), turned_by(6)
    return {
        "png": encoded(image, "PNG", exif=exif),
        "jpeg": encoded(image, "JPEG", exif=exif),
        "tiff": encoded(image, "TIFF"),
        "packed tiff": encoded(image, "TIFF", compression="tiff_lzw"),
        "bmp": encoded(image, "BMP"),
        "webp": encoded(image, "WEBP", exif=exif),
        "depth png": encoded(Image.fromarray(depth), "PNG"),
        "depth tiff": encoded(Image.fromarray(depth), "TIFF"),
        "labels": encoded(indices, "PNG"),
        "gif": encoded(indices, "GIF"),
    }


def test_damaged_images_give_pixels_or_one_line(path):
    """20 of each kind; `tests/faults` repeats this with thousands."""
    rng = np.random.default_rng(1)
    lines = []
    readers = (read_image, image_size, read_labels, lambda file: read_depth_image(file, "a", 0.001))
    for content in kinds_of_files().values():
        for _ in range(20):
            path.write_bytes(mutated_bytes(content, rng))
            lines += [refusal(read, path) for read in readers]
    refused = list(filter(None, lines))
    assert all(line.startswith(f"{path}: ") for line in refused)
    assert 100 < len(refused) < len(lines) - 100


def test_the_kinds_of_files_are_readable_without_damage(path):
    for name, content in kinds_of_files().items():
        path.write_bytes(content)
        shape = (60, 40, 3) if name in ("png", "jpeg", "webp") else (40, 60, 3)
        assert read_image(path).shape == shape, name


def test_a_flipped_bit_in_the_pixels_of_a_png_is_noticed(path):
    """Pillow alone decodes most of them to other values: it does not compare the checksum of the pixels."""
    Image.fromarray(np.arange(6000, dtype=np.uint16).reshape(60, 100)).save(path)
    content = path.read_bytes()
    start = content.index(b"IDAT") + 4
    for place in range(start, len(content) - 16, 97):
        path.write_bytes(content[:place] + bytes([content[place] ^ 8]) + content[place + 1 :])
        for read in (read_colours, lambda file: read_values(file, GREY_16, "")):
            with pytest.raises(ImageError, match="cannot be decoded .*replace the file"):
                read(path)


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_an_oriented_tiff_is_read_as_it_is_shown(tmp_path, mode, orientation, compression):
    values = np.random.default_rng(0).integers(0, 256, (6, 8, len(Image.new(mode, (1, 1)).getbands())), dtype=np.uint8)
    picture = Image.fromarray(values[..., 0] if values.shape[2] == 1 else values, mode if mode != "P" else "L")
    if mode == "P":
        picture = picture.convert("P")
    path = tmp_path / "a.tif"
    picture.save(path, compression=compression, tiffinfo={274: orientation})
    turned = picture.convert("RGB")
    turns = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_270, 8: Image.Transpose.ROTATE_90}
    expected = np.asarray(turned.transpose(turns[orientation]) if orientation in turns else turned)
    found = read_colours(path)
    assert found.shape == (*image_size(path), 3)
    assert np.array_equal(found, expected)


def test_values_of_an_oriented_tiff_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(np.arange(48, dtype=np.uint16).reshape(6, 8)).save(path, tiffinfo={274: 3})
    with pytest.raises(ImageError, match="a.tif: has an EXIF orientation"):
        read_values(path, ("I;16",), "save it as PNG")
