import io
from types import SimpleNamespace

import numpy as np
import pytest
from bags import depth_header, depth_of, frame, packed
from PIL import ExifTags, Image

from data.errors import ImageError
from data.recordings.frames import COLOUR, DEPTH
from data.recordings.messages import COMPRESSED, RAW, jpeg_of, read_colour, read_depth, stream_of


def raw(pixels, encoding, gap=0, big=0):
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(len(pixels), -1)
    rows = np.pad(rows, ((0, 0), (0, gap)), constant_values=77)
    height, width = pixels.shape[:2]
    return SimpleNamespace(
        height=height, width=width, encoding=encoding, is_bigendian=big, step=rows.shape[1], data=rows.ravel()
    )


def compressed(content, form):
    return SimpleNamespace(format=form, data=np.frombuffer(content, np.uint8))


@pytest.mark.parametrize("gap", [0, 5])
def test_colours_in_every_order_and_with_gaps_between_rows(gap):
    rgb = frame(0)
    full = np.full((*rgb.shape[:2], 1), 9, np.uint8)
    for encoding, pixels in {
        "rgb8": rgb,
        "bgr8": rgb[..., ::-1],
        "rgba8": np.concatenate([rgb, full], 2),
        "bgra8": np.concatenate([rgb[..., ::-1], full], 2),
    }.items():
        assert np.array_equal(read_colour(RAW, raw(pixels, encoding, gap), ""), rgb)


@pytest.mark.parametrize("gap", [0, 3])
@pytest.mark.parametrize("big", [0, 1])
def test_depth_in_every_encoding(gap, big):
    depth, order = depth_of(0), ">" if big else "<"
    for encoding in ("16UC1", "mono16"):
        assert np.array_equal(read_depth(RAW, raw(depth.astype(f"{order}u2"), encoding, gap, big), ""), depth)
    metres = (depth / 1000).astype(f"{order}f4")
    metres[0, 0] = np.nan
    assert np.array_equal(read_depth(RAW, raw(metres, "32FC1", gap, big), ""), depth)
    counts = raw((depth * 4).astype(f"{order}u2"), "16UC1", gap, big)
    assert np.array_equal(read_depth(RAW, counts, "", counts_per_metre=4000), depth)


def test_a_jpeg_with_an_orientation_is_not_kept():
    """Whoever reads the file would turn it, and not the depth beside it."""
    file = io.BytesIO()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    Image.fromarray(frame(0)).save(file, "JPEG", exif=exif)
    assert jpeg_of(COMPRESSED, compressed(file.getvalue(), "jpeg")) is None


def test_compressed_images():
    jpeg = packed(frame(0), "JPEG")
    assert jpeg_of(COMPRESSED, compressed(jpeg, "jpeg")) == jpeg
    png = compressed(packed(frame(0), "PNG"), "png")
    assert jpeg_of(COMPRESSED, png) is None
    assert np.array_equal(read_colour(COMPRESSED, png, ""), frame(0))
    for form, header in (("16UC1; compressedDepth", depth_header()), ("16UC1; png compressed 16UC1", b"")):
        found = read_depth(COMPRESSED, compressed(header + packed(depth_of(0), "PNG"), form), "")
        assert np.array_equal(found, depth_of(0))


@pytest.mark.parametrize(
    ("kind", "encoding", "stream"),
    [
        (RAW, "rgb8", COLOUR),
        (RAW, "16UC1", DEPTH),
        (RAW, "mono8", None),
        (RAW, "bayer_rggb8", None),
        (COMPRESSED, "rgb8; jpeg compressed bgr8", COLOUR),
        (COMPRESSED, "png", COLOUR),
        (COMPRESSED, "16UC1; compressedDepth png", DEPTH),
        (COMPRESSED, "32FC1; compressedDepth", DEPTH),
        (COMPRESSED, "16UC1; png compressed 16UC1", DEPTH),
        (COMPRESSED, "h264", None),
    ],
)
def test_the_encoding_tells_the_stream(kind, encoding, stream):
    assert stream_of(kind, SimpleNamespace(encoding=encoding, format=encoding)) == stream


def without(message, **changed):
    return SimpleNamespace(**{**vars(message), **changed})


@pytest.mark.parametrize(
    ("read", "kind", "message", "line"),
    [
        (read_colour, RAW, raw(frame(0), "bayer_rggb8"), "a: has the encoding 'bayer_rggb8'; colour must be rgb8,"),
        (read_depth, RAW, raw(frame(0), "rgb8"), "depth must be 16UC1, mono16 or 32FC1"),
        (read_colour, RAW, without(raw(frame(0), "rgb8"), step=7), "do not fit"),
        (read_colour, RAW, without(raw(frame(0), "rgb8"), height=0, data=np.zeros(0, np.uint8)), "do not fit"),
        (read_depth, COMPRESSED, compressed(b"123", "16UC1; compressedDepth"), "holds no image, only 3 bytes"),
        (
            read_depth,
            COMPRESSED,
            compressed(depth_header() + b"cut", "16UC1; compressedDepth png"),
            "cannot be decoded",
        ),
        (read_depth, COMPRESSED, compressed(packed(frame(0), "PNG"), "16UC1; png"), "depth is PNG of mode RGB"),
        (read_depth, COMPRESSED, compressed(packed(depth_of(0), "PNG"), "32FC1; png"), "which cannot hold floats"),
        (read_depth, COMPRESSED, compressed(b"x" * 40, "16UC1; compressedDepth rvl"), "a: has .* RVL cannot be read"),
        (read_colour, COMPRESSED, compressed(packed(depth_of(0), "PNG"), "png"), "a: colour is grey of 16 bits"),
    ],
)
def test_damaged_and_unknown_messages_are_named(read, kind, message, line):
    with pytest.raises(ImageError, match=f"^a: .*{line}|^{line}"):
        read(kind, message, "a")
