import numpy as np
import pytest

from data.errors import ImageError
from data.files.pixels import image_size, read_file


def test_an_item_of_an_array_is_read_like_a_file(tmp_path):
    images = np.arange(2 * 4 * 6 * 3, dtype=np.float64).reshape(2, 4, 6, 3)
    np.save(tmp_path / "images.npy", images)
    path = tmp_path / "images.npy" / "1"
    assert image_size(path) == (4, 6)
    assert np.array_equal(read_file(path, "RGB"), images[1].astype(np.uint8))
    assert np.array_equal(read_file(path), images[1])


def test_an_item_after_the_end_and_a_missing_array_are_named(tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((2, 4, 6, 3)))
    with pytest.raises(ImageError, match="images.npy: has no readable item 7"):
        read_file(tmp_path / "images.npy" / "7")
    with pytest.raises(ImageError, match="masks.npy: file is missing"):
        image_size(tmp_path / "masks.npy" / "0")
