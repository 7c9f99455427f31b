"""The size at which a run works (`--IndexDataset-size`): large images are seen smaller, their files stay as they are.

`Sample.size` is the working size. What is read from a file of the full size is brought to it here.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image

from data.errors import ImageError
from data.files.pixels import image_size, read_colours
from data.sample import Sample

UNKNOWN = (0, 0)
"""Size of a sample whose image was not opened yet; it is read at its full size."""


def working_size(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Height and width of an image whose longer side is at most `longest` pixels; 0 = any. No image is made larger.

    Examples
    --------
    >>> working_size((1080, 1920), 640), working_size((480, 640), 640), working_size((1080, 1920), 0)
    ((360, 640), (480, 640), (1080, 1920))
    """
    if not longest or max(size) <= longest:
        return size
    height, width = (max(1, round(side * longest / max(size))) for side in size)
    return height, width


def full_size(sample: Sample) -> tuple[int, int]:
    """Height and width of the image of a sample as it is stored; raises as `image_size`."""
    return image_size(sample.image)


def size_in_files(sample: Sample) -> tuple[int, int]:
    """Height and width that the files of a sample have: those of its image.

    Where the image cannot be opened, it is the size of the sample: who reads the image tells what is wrong.
    """
    try:
        return full_size(sample)
    except ImageError:
        return sample.size


def at_full_size(sample: Sample) -> Sample:
    """The same sample; what is read for it has the full size."""
    return dataclasses.replace(sample, size=UNKNOWN)


def sample_image(sample: Sample) -> np.ndarray:
    """RGB image of a sample at its working size, (H, W, 3) uint8 (bilinear, with antialiasing).

    Raises
    ------
    ImageError
        As `data.files.images.read_image`, and if the image has changed its size since it was indexed.
    """
    image = read_colours(sample.image)
    full = (image.shape[0], image.shape[1])
    if sample.size in (UNKNOWN, full):
        return image
    if working_size(full, max(sample.size)) != tuple(sample.size):
        raise ImageError(
            f"{sample.image}: has {full[1]}x{full[0]} pixels, but {sample.size[1]}x{sample.size[0]} were indexed; it "
            "was changed: run the same command again"
        )
    height, width = sample.size
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def fitted(values: np.ndarray, sample: Sample) -> np.ndarray:
    """Values of pixels (H, W) from a file: at the working size of the sample, if they have the size of its image.

    Each pixel gets the value of the nearest pixel, so that no depth and no class number is mixed. Values of any other
    size are returned as they are: the reader of the file refuses them.
    """
    if sample.size in (UNKNOWN, values.shape) or values.shape != size_in_files(sample):
        return values
    return nearest(values, sample.size)


def nearest(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Values (H, W) at another size (height, width), of the nearest pixels.

    Examples
    --------
    >>> nearest(np.array([[1, 7]]), (2, 4)).tolist(), nearest(np.arange(6)[None], (1, 2)).tolist()
    ([[1, 1, 7, 7], [1, 1, 7, 7]], [[1, 4]])
    """
    rows, columns = (((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(size, values.shape))
    return values[rows][:, columns]
