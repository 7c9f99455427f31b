import io

import numpy as np
import pytest
from PIL import Image

from data.files.png import png_bytes


@pytest.mark.parametrize(("shape", "kind"), [((3, 4), np.uint8), ((3, 4), np.uint16), ((3, 4, 3), np.uint8)])
def test_pixels_are_read_back(shape, kind):
    pixels = np.random.default_rng(0).integers(0, np.iinfo(kind).max + 1, shape).astype(kind)
    for content in (png_bytes(pixels), png_bytes(pixels, compress_level=1)):
        with Image.open(io.BytesIO(content)) as picture:
            assert picture.format == "PNG"
            assert np.array_equal(np.asarray(picture), pixels)
