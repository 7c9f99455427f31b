"""Reading ahead: the rest of a shard is decoded in one call where its images are read one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import zarr

from data.store.tiles import SHARD_BYTES


class ReadAhead:
    """Reads images of an array.

    A call of zarr takes about 2 ms, whatever it reads. So the second image in a row brings the rest of its shard along,
    if that takes at most `SHARD_BYTES`. Images in random order are read one by one. Threads may share a reader.

    Parameters
    ----------
    array : zarr.Array
        Its first dimension is the image.

    Examples
    --------
    >>> import zarr
    >>> array = zarr.create_array({}, shape=(6, 2), chunks=(1, 2), shards=(3, 2), dtype="int16")
    >>> array[...] = [[index, -index] for index in range(6)]
    >>> reader = ReadAhead(array)
    >>> [reader.read(index, (1,), range(0, 3)).tolist() for index in range(3)]
    [[0], [1], [2]]
    """

    def __init__(self, array: zarr.Array):
        self.array = array
        self._last = -2
        self._held: tuple[range, np.ndarray] = (range(0), np.empty(0))

    def read(self, index: int, shape: Sequence[int], shard: range) -> np.ndarray:
        """The part of one image that begins at its first value and has a `shape`.

        Parameters
        ----------
        index : int
        shape : sequence of int
            Values along each dimension after the image.
        shard : range
            Images of the shard of this image.
        """
        region = tuple(slice(length) for length in shape)
        images, values = self._held
        rest = range(index, shard.stop)
        is_next = index == self._last + 1
        self._last = index
        if index not in images:
            if not is_next or len(rest) < 2 or len(rest) * self._image_bytes() > SHARD_BYTES:
                return np.asarray(self.array[cast(Any, (index, *region))])
            images, values = rest, np.asarray(self.array[index : shard.stop])
        found = np.array(values[index - images.start][region])  # a copy: a view would keep all in memory
        self._held = (images, values) if index + 1 in images else (range(0), np.empty(0))
        return found

    def _image_bytes(self) -> int:
        return int(np.prod(self.array.shape[1:], dtype=np.int64)) * self.array.dtype.itemsize
