"""Layout of the arrays of a store: chunks, tiles and shards.

One chunk of an array is one image. Arrays are padded to the largest image. If the images of a shard would then take
more than `SHARD_BYTES`, each image is cut into tiles: a tile is a chunk, and the tiles at one place are one file of the
shard. Tiles that no image reaches are not written. So one odd image costs nothing in the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

STRIDE = "stride"
"""Attribute of an array whose cells are larger than a pixel: pixels per cell."""

SHARD_BYTES = 64_000_000
"""What the images of a shard may take in memory before compression."""

ALONG_IMAGE = {"y": 0, "x": 1, "patch_y": 0, "patch_x": 1}
"""Dimensions that grow with the image -> the side of (height, width) with which they grow."""

TILE_SIDES = (2048, 1024, 512, 256, 128, 64)
"""Sides of tiles in cells, the largest first."""


@dataclass(frozen=True)
class ArraySpec:
    """One array of an artifact.

    Attributes
    ----------
    dims : tuple of str
        Names of the dimensions after ``image_id``; ``y`` and ``x`` run along the image.
    shape : tuple of int
        Their sizes; smaller images are padded with `fill`.
    dtype : str
    fill : int or float
        A value that no pixel can have (255, NaN, ...), or one that means "nothing".
    attrs : dict
        units, long_name, ...; xarray shows them.
    stride : int
        Pixels per cell along ``y`` and ``x``.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    fill: int | float
    attrs: Mapping[str, object]
    stride: int = 1

    def image_bytes(self, sizes: np.ndarray) -> np.ndarray:
        """Bytes of each image without padding, before compression.

        Parameters
        ----------
        sizes : ndarray, (N, 2), integer
            Height and width of all images in pixels; the array is padded to the largest of them.

        Returns
        -------
        ndarray, (N,), float64
        """
        total = np.full(len(sizes), float(np.dtype(self.dtype).itemsize))
        for dim, length in zip(self.dims, self.shape, strict=True):
            side = ALONG_IMAGE.get(dim)
            total *= length if side is None else length * sizes[:, side] / sizes[:, side].max()
        return total

    def tile(self, images: int) -> tuple[int, ...]:
        """Shape of the tiles: the whole shape if `images` of it take at most `SHARD_BYTES`, else the largest that do.

        Examples
        --------
        >>> depth = ArraySpec(("y", "x"), (4000, 3000), "float32", 0, {})
        >>> depth.tile(1), depth.tile(32)
        ((4000, 3000), (512, 512))
        """
        shapes = [
            self.shape,
            *(
                tuple(min(side, length) if dim in ALONG_IMAGE else length for dim, length in zip(self.dims, self.shape))
                for side in TILE_SIDES
            ),
        ]
        pixel = images * np.dtype(self.dtype).itemsize
        return next((shape for shape in shapes if pixel * np.prod(shape) <= SHARD_BYTES), shapes[-1])


def tile_places(array: zarr.Array, reach: Sequence[int] | np.ndarray) -> Iterator[tuple[int, ...]]:
    """Places (row, column, ...) of the tiles that values of the shape `reach` need, the first one first."""
    counts = [-(-int(length) // tile) for length, tile in zip(reach, array.chunks[1:], strict=True)]
    return itertools.product(*map(range, counts))


def tile_region(array: zarr.Array, place: Sequence[int]) -> tuple[slice, ...]:
    """The part of an image that a tile holds."""
    return tuple(
        slice(number * tile, min((number + 1) * tile, length))
        for number, tile, length in zip(place, array.chunks[1:], array.shape[1:], strict=True)
    )


def tile_file(shard: int, place: Sequence[int]) -> str:
    """File of the tiles of a shard at one place, below the folder of the array."""
    return "/".join(["c", str(shard), *map(str, place)])


def write_tile(target: zarr.Array, images: range, place: Sequence[int], values: Sequence[np.ndarray]) -> None:
    """Write the tiles at one place of the images of a shard. Images that do not reach this place have no tile there."""
    region = tile_region(target, place)
    parts = [np.asarray(value)[region] for value in values]
    reaching = [number for number, part in enumerate(parts) if part.size] if any(place) else [0, len(parts) - 1]
    if not reaching:  # a tall and a wide image reach no tile that is low and right
        return
    first, last = reaching[0], reaching[-1] + 1
    shape = tuple(part.stop - part.start for part in region)
    block = np.full((last - first, *shape), target.fill_value, target.dtype)
    for number, part in enumerate(parts[first:last]):
        block[number, ...][tuple(map(slice, part.shape))] = part
    # Without it, zarr would write no chunk, and at last no file, for values that equal the fill value.
    written = target.with_config({"write_empty_chunks": True})
    written[(slice(images.start + first, images.start + last), *region)] = block


def codecs(dtype: np.typing.DTypeLike):
    """Compression of one chunk, chosen by measurement: shuffling bytes helps for floats, not for label maps.

    CRC32C comes last, over the compressed bytes. Without it, a flipped bit decodes to wrong numbers in most trials. A
    flipped bit in the header of zstd can switch off its own checksum.
    """
    if np.dtype(dtype).kind == "f":
        return [BloscCodec(cname="zstd", clevel=5, shuffle="shuffle"), Crc32cCodec()]
    return [ZstdCodec(level=5), Crc32cCodec()]
