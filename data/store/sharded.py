"""The artifact store: one folder per artifact, sharded Zarr v3 inside, complete only with its marker.

An artifact holds arrays whose first dimension is the image. One chunk of an array is one image. One shard is some
dozens of images in one file. Three things can go wrong with such files, and the API prevents each:

- Two writers in one shard lose data (zarr-python issue 3682). A shard is always written as a whole, by the process that
  holds the artifact's lock.
- A missing chunk reads as fill value. No stage reads an artifact without its marker, and a missing file is an error.
- A flipped bit may decode to wrong numbers. Every chunk has a checksum.

Layout::

    <identity>.zarr/zarr.json          group: attrs hold stage, parameters, parents; consolidated
    <identity>.zarr/<array>/c/<shard>/0/0...
    <identity>.zarr/COMPLETE.json      marker, written last: content hash of every file

The bytes depend only on inputs and parameters: an artifact holds no time, host name or version of a package.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

from data.errors import DamagedArtifactError, DamagedShardError
from data.store.artifact import Artifact, writing

IMAGE = "image_id"
"""Name of the first dimension, and of the coordinate with the ids of the images."""

STRIDE = "stride"
"""Attribute of an array whose cells are larger than a pixel: pixels per cell."""


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


@dataclass(frozen=True)
class StoredImage:
    """One image of a store.

    Attributes
    ----------
    store : ShardedStore
    index : int
        Position of the image along ``image_id``.
    size : (height, width) in pixels
    """

    store: ShardedStore
    index: int
    size: tuple[int, int]

    def read(self, name: str) -> np.ndarray:
        """The image's values of array `name`, without padding; raises as `ShardedStore.read_image`."""
        return self.store.read_image(name, self.index, self.size)


class ShardedStore(Artifact):
    """Arrays over images, written shard by shard and read image by image.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "labels.zarr"
    >>> spec = ArraySpec(("y", "x"), (2, 3), "uint8", 255, {"long_name": "label"})
    >>> store = ShardedStore(path).create(["a", "b", "c"], {"label": spec}, {}, shard_size=2)
    >>> for shard in store.missing_shards():
    ...     store.write_shard(shard, {"label": [np.full((2, 2), index) for index in store.images_of(shard)]})
    >>> store.finish(parents={})
    >>> ShardedStore(path).read_image("label", 2)
    array([[  2,   2, 255],
           [  2,   2, 255]], dtype=uint8)
    >>> ShardedStore(path).image(2, size=(2, 2)).read("label").tolist()
    [[2, 2], [2, 2]]
    """

    suffix = ".zarr"

    def create(
        self,
        image_ids: Sequence[str],
        arrays: Mapping[str, ArraySpec],
        attrs: Mapping[str, object],
        shard_size: int,
        coords: Mapping[str, tuple[tuple[str, ...], np.ndarray]] | None = None,
    ) -> ShardedStore:
        """Create the arrays, or continue with those that an interrupted run left. Returns the store itself.

        Parameters
        ----------
        image_ids : sequence of str
        arrays : dict of name -> ArraySpec
        attrs : dict
            Everything that explains the artifact: stage, parameters, parents.
        shard_size : int
            Images per shard.
        coords : dict of name -> (dims, values), optional
            Small coordinate arrays, e.g. ``class_name`` or the height of each image.

        Raises
        ------
        StoreError
            If the disk is full or the folder cannot be written.
        """
        if not (self.path / "zarr.json").exists():
            with writing(self.path):
                self._write_layout(image_ids, arrays, attrs, shard_size, coords or {})
        return self

    def _write_layout(self, image_ids, arrays, attrs, shard_size, coords):
        """Create the arrays in a folder beside the artifact, then move them in. If zarr.json exists, all others do."""
        aside = self.path.with_name(f"{self.path.name}.partial")
        shutil.rmtree(aside, ignore_errors=True)
        count = len(image_ids)
        coords = {IMAGE: ((IMAGE,), np.asarray(image_ids, dtype=str)), **coords}
        with warnings.catch_warnings():
            # zarr warns of text arrays and consolidated metadata, which are not in the v3 core. xarray reads both.
            warnings.simplefilter("ignore")
            group = zarr.open_group(str(aside), mode="w", zarr_format=3)
            group.attrs.update({**attrs, "shard_size": shard_size, "coordinates": " ".join(coords)})
            for name, (dims, values) in coords.items():
                values = np.asarray(values)
                target = group.create_array(
                    name,
                    shape=values.shape,
                    chunks=values.shape,
                    dtype=values.dtype,
                    dimension_names=dims,
                    compressors=_codecs(values.dtype),
                )
                target[...] = values
            for name, spec in arrays.items():
                group.create_array(
                    name,
                    shape=(count, *spec.shape),
                    chunks=(1, *spec.shape),
                    shards=(shard_size, *spec.shape),
                    dtype=spec.dtype,
                    fill_value=spec.fill,
                    dimension_names=(IMAGE, *spec.dims),
                    compressors=_codecs(spec.dtype),
                    attributes={**spec.attrs, **({STRIDE: spec.stride} if spec.stride > 1 else {})},
                )
            zarr.consolidate_metadata(str(aside))
        self.path.mkdir(parents=True, exist_ok=True)
        for child in sorted(aside.iterdir(), key=lambda path: path.name == "zarr.json"):
            place = self.path / child.name
            if place.is_dir():
                shutil.rmtree(place)
            child.replace(place)
        aside.rmdir()

    def __reduce__(self):  # only the path is sent to worker processes
        return type(self), (self.path,)

    @property
    def group(self) -> zarr.Group:
        """The open Zarr group, for reading. Write only with `write_shard`.

        Raises
        ------
        DamagedArtifactError
            If the metadata cannot be read.
        """
        if not hasattr(self, "_group"):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", category=UserWarning)
                try:
                    self._group = zarr.open_group(str(self.path), mode="r", use_consolidated=True)
                except Exception as error:  # a damaged zarr.json leads to JSON, key, value and other errors
                    raise DamagedArtifactError(self.path, "zarr.json", type(error).__name__) from error
        return self._group

    @property
    def image_ids(self) -> list[str]:
        """Ids of the images, in the order of the split."""
        return [str(name) for name in np.asarray(self.array(IMAGE)[:])]

    @property
    def attrs(self) -> dict:
        """What explains the artifact: stage, parameters, parents, shard size."""
        return dict(self.group.attrs)

    @property
    def shard_size(self) -> int:
        """Images per shard."""
        return int(cast(int, self.group.attrs["shard_size"]))

    def array_names(self) -> list[str]:
        """Names of the arrays over images, sorted; coordinates are left out."""
        return sorted(name for name, array in self.group.arrays() if array.shards is not None)

    def array(self, name: str) -> zarr.Array:
        """One array of the open group, for reading; the first dimension is the image."""
        arrays = self.__dict__.setdefault("_arrays", {})  # each lookup in the group reads the metadata again
        if name not in arrays:
            arrays[name] = cast(zarr.Array, self.group[name])
        return arrays[name]

    def num_images(self) -> int:
        """Number of images."""
        return int(self.array(IMAGE).shape[0])

    def num_shards(self) -> int:
        """Number of shards of each array; the last shard may have fewer images."""
        return -(-self.num_images() // self.shard_size)

    def images_of(self, shard: int) -> range:
        """Positions of the images of a shard."""
        start = shard * self.shard_size
        return range(start, min(start + self.shard_size, self.num_images()))

    def missing_shards(self) -> list[int]:
        """Shards of which the file of at least one array is missing."""
        names = self.array_names()
        return [
            shard
            for shard in range(self.num_shards())
            if not all(self._shard_file(name, shard).exists() for name in names)
        ]

    def write_shard(self, shard: int, arrays: Mapping[str, Sequence[np.ndarray]]) -> None:
        """Write one whole shard of every array. Each file appears as a whole, by rename.

        Parameters
        ----------
        shard : int
        arrays : dict of name -> one array per image of the shard (or an ndarray of them)
            All arrays of the artifact. Values smaller than the layout are padded with the fill value.

        Raises
        ------
        StoreError
            If the disk is full or the folder cannot be written.
        ValueError
            If an array is missing or unknown, or does not have one value per image of the shard.
        """
        if sorted(arrays) != self.array_names():
            raise ValueError(f"a shard has the arrays {self.array_names()}; got {sorted(arrays)}")
        images = self.images_of(shard)
        with writing(self.path):
            group = zarr.open_group(str(self.path), mode="r+", use_consolidated=False)
            for name, values in arrays.items():
                target = cast(zarr.Array, group[name]).with_config({"write_empty_chunks": True})
                if len(values) != len(images):
                    raise ValueError(f"shard {shard} has {len(images)} images; '{name}' got {len(values)}")
                whole = np.full((len(images), *target.shape[1:]), target.fill_value, target.dtype)
                for number, value in enumerate(values):
                    whole[number, ...][tuple(slice(size) for size in np.shape(value))] = value
                target[images.start : images.stop] = whole

    def read_image(self, name: str, index: int, size: tuple[int, int] | None = None) -> np.ndarray:
        """The values of one image in an array.

        Parameters
        ----------
        name : str
        index : int
            Position of the image along ``image_id``.
        size : (height, width), optional
            Size of the image in pixels. ``y`` and ``x`` are cropped to it, in cells of the array's stride. Without it,
            the values are returned as stored: padded to the largest image.

        Raises
        ------
        DamagedShardError
            If the shard is missing or fails its checksum; the message names artifact and shard.
        """
        values = self._read(name, index)
        if size is None:
            return values
        array = self.array(name)
        stride = int(cast(int, array.attrs.get(STRIDE, 1)))
        cells = {"y": -(-size[0] // stride), "x": -(-size[1] // stride)}
        metadata: Any = array.metadata
        dims = (metadata.dimension_names or ())[1:]
        return values[tuple(slice(cells.get(str(dim))) for dim in dims)]

    def image(self, index: int, size: tuple[int, int]) -> StoredImage:
        """One image of this store, which is read without padding."""
        return StoredImage(self, index, size)

    def _read(self, name: str, index: int) -> np.ndarray:
        shard = index // self.shard_size
        if not self._shard_file(name, shard).exists():
            raise DamagedShardError(self.path, shard, name, "its file does not exist")
        try:
            return np.asarray(self.array(name)[index])
        except Exception as error:  # each codec has its own error for wrong bytes
            raise DamagedShardError(
                self.path, shard, name, str(error).splitlines()[0] or type(error).__name__
            ) from error

    def _shard_file(self, name: str, shard: int) -> Path:
        return self.path / name / "c" / "/".join([str(shard), *["0"] * (self.array(name).ndim - 1)])

    def repair(self, error: DamagedArtifactError) -> None:
        """Remove the shard that the error found damaged, or the whole artifact if the error names no shard."""
        if isinstance(error, DamagedShardError):
            self.reopen_shard(error.shard)
        else:
            self.discard()

    def reopen_shard(self, shard: int) -> None:
        """Remove a damaged shard, so that the next run recomputes this shard and no other."""
        self.reopen()
        for name in self.array_names():
            self._shard_file(name, shard).unlink(missing_ok=True)


def _codecs(dtype: np.typing.DTypeLike):
    """Compression of one chunk, chosen by measurement: shuffling bytes helps for floats, not for label maps.

    CRC32C comes last, over the compressed bytes. Without it, a flipped bit decodes to wrong numbers in most trials. A
    flipped bit in the header of zstd can switch off its own checksum.
    """
    if np.dtype(dtype).kind == "f":
        return [BloscCodec(cname="zstd", clevel=5, shuffle="shuffle"), Crc32cCodec()]
    return [ZstdCodec(level=5), Crc32cCodec()]
