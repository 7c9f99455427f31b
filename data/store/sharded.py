"""The artifact store: one folder an artifact, sharded Zarr v3 inside, complete only with its marker.

An artifact holds arrays whose first dimension is the image. One chunk is one image, one shard is some
dozens of images and one file. Three things can go wrong with such files, and the API leaves no way
to meet them: two writers in one shard lose data (zarr-python issue 3682), so a shard is only ever
written whole, in one piece, by the holder of the artifact's lock; a missing chunk reads as fill value,
so nothing is read without the marker, and missing files are errors; a flipped bit may decode to wrong
numbers, so every chunk carries a checksum.

Layout::

    <identity>.zarr/zarr.json          group: attrs hold stage, parameters, parents; consolidated
    <identity>.zarr/<array>/c/<shard>/0/0...
    <identity>.zarr/COMPLETE.json      marker, written last: content hash of every file

The bytes are a function of inputs and parameters alone: no time, host or version is inside.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

from data.errors import DamagedArtifactError, DamagedShardError
from data.store.artifact import Artifact, writing

IMAGE = "image_id"


@dataclass(frozen=True)
class ArraySpec:
    """One array of an artifact.

    Attributes
    ----------
    dims : tuple of str
        Names of the dimensions after ``image_id``.
    shape : tuple of int
        Their sizes; images that are smaller are padded with `fill`.
    dtype : str
    fill : int or float
        A value that no pixel can have (255, NaN, ...), or one that means "nothing".
    attrs : dict
        units, long_name, ... shown by xarray.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    fill: int | float
    attrs: Mapping[str, object]


class ShardedStore(Artifact):
    """Arrays over images, written shard by shard and read image by image.

    Examples
    --------
    >>> store = ShardedStore(path).create(ids, {"label": spec}, attrs, shard_size=32)
    >>> for shard in store.missing_shards():
    ...     store.write_shard(shard, {"label": labels[store.images_of(shard)]})
    >>> store.finish(parents={})
    >>> ShardedStore(path).read_image("label", 7)
    """

    def create(
        self,
        image_ids: Sequence[str],
        arrays: Mapping[str, ArraySpec],
        attrs: Mapping[str, object],
        shard_size: int,
        coords: Mapping[str, tuple[tuple[str, ...], np.ndarray]] | None = None,
    ) -> ShardedStore:
        """Lay the arrays out, or go on with the ones that an interrupted run left.

        Parameters
        ----------
        image_ids : sequence of str
        arrays : dict of name -> ArraySpec
        attrs : dict
            Everything that explains the artifact: stage, parameters, parents.
        shard_size : int
            Images a shard.
        coords : dict of name -> (dims, values), optional
            Small coordinate arrays, e.g. ``class_name`` or the height of each image.
        """
        if not (self.path / "zarr.json").exists():
            with writing(self.path):
                self._write_layout(image_ids, arrays, attrs, shard_size, coords or {})
        return self

    def _write_layout(self, image_ids, arrays, attrs, shard_size, coords):
        """Lay out beside, then move in; zarr.json comes last, so that where it is all the rest is."""
        aside = self.path.with_name(f"{self.path.name}.partial")
        shutil.rmtree(aside, ignore_errors=True)
        count = len(image_ids)
        coords = {IMAGE: ((IMAGE,), np.asarray(image_ids, dtype=str)), **coords}
        with warnings.catch_warnings():
            # Two zarr features outside the v3 core are meant here and read by xarray: text and consolidation.
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
                    attributes=dict(spec.attrs),
                )
            zarr.consolidate_metadata(str(aside))
        self.path.mkdir(parents=True, exist_ok=True)
        for child in sorted(aside.iterdir(), key=lambda path: path.name == "zarr.json"):
            place = self.path / child.name
            if place.is_dir():
                shutil.rmtree(place)
            child.replace(place)
        aside.rmdir()

    @property
    def group(self) -> zarr.Group:
        """The open Zarr group (read it as you like; write only through `write_shard`)."""
        if not hasattr(self, "_group"):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", category=UserWarning)
                try:
                    self._group = zarr.open_group(str(self.path), mode="r", use_consolidated=True)
                except Exception as error:  # JSON, key, value errors: whatever a spoilt zarr.json leads to
                    raise DamagedArtifactError(self.path, "zarr.json", type(error).__name__) from error
        return self._group

    @property
    def image_ids(self) -> list[str]:
        return [str(name) for name in np.asarray(self._array(IMAGE)[:])]

    @property
    def attrs(self) -> dict:
        return dict(self.group.attrs)

    @property
    def shard_size(self) -> int:
        return int(cast(int, self.group.attrs["shard_size"]))

    def array_names(self) -> list[str]:
        """The arrays over images (coordinates left out)."""
        return sorted(name for name, array in self.group.arrays() if array.shards is not None)

    def _array(self, name: str) -> zarr.Array:
        return cast(zarr.Array, self.group[name])

    def num_images(self) -> int:
        return int(self._array(IMAGE).shape[0])

    def num_shards(self) -> int:
        return -(-self.num_images() // self.shard_size)

    def images_of(self, shard: int) -> range:
        """Numbers of the images of a shard."""
        start = shard * self.shard_size
        return range(start, min(start + self.shard_size, self.num_images()))

    def missing_shards(self) -> list[int]:
        """Shards that are not yet, or no longer, on disk in all arrays."""
        names = self.array_names()
        return [
            shard
            for shard in range(self.num_shards())
            if not all(self._shard_file(name, shard).exists() for name in names)
        ]

    def write_shard(self, shard: int, arrays: Mapping[str, Sequence[np.ndarray]]) -> None:
        """Write one whole shard of every array; each file appears at once, by rename.

        Parameters
        ----------
        shard : int
        arrays : dict of name -> one array an image of the shard (or an ndarray of them)
            All arrays of the artifact. Values smaller than the layout are padded with the fill value.

        Raises
        ------
        StoreError
            If the disk is full or the folder cannot be written.
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

    def read_image(self, name: str, image: int) -> np.ndarray:
        """One image's values of an array (padded as in the layout).

        Raises
        ------
        DamagedShardError
            If the shard is missing or fails its checksum; the message names artifact and shard.
        """
        return self._checked(name, image // self.shard_size, slice(image, image + 1))[0]

    def read_shard(self, name: str, shard: int) -> np.ndarray:
        """All images of one shard, (images, ...); raises as `read_image`."""
        images = self.images_of(shard)
        return self._checked(name, shard, slice(images.start, images.stop))

    def _checked(self, name: str, shard: int, where: slice) -> np.ndarray:
        if not self._shard_file(name, shard).exists():
            raise DamagedShardError(self.path, shard, name, "its file is not there")
        try:
            return np.asarray(self._array(name)[where])
        except Exception as error:  # each codec has its own way to say that bytes are wrong
            raise DamagedShardError(
                self.path, shard, name, str(error).splitlines()[0] or type(error).__name__
            ) from error

    def _shard_file(self, name: str, shard: int) -> Path:
        return self.path / name / "c" / "/".join([str(shard), *["0"] * (self._array(name).ndim - 1)])

    def repair(self, error: DamagedArtifactError) -> None:
        """Take out the shard that an error found damaged, or the whole where it is not about a shard."""
        if isinstance(error, DamagedShardError):
            self.reopen_shard(error.shard)
        else:
            self.discard()

    def reopen_shard(self, shard: int) -> None:
        """Take a damaged shard out, so that the next run computes this shard and only this."""
        self.reopen()
        for name in self.array_names():
            self._shard_file(name, shard).unlink(missing_ok=True)


def _codecs(dtype: np.typing.DTypeLike):
    """Compression of one chunk as measured (DESIGN): floats shuffle well, label maps do not need it.

    CRC32C comes last, over the compressed bytes: without it a flipped bit decodes to wrong numbers in
    most trials, and zstd's own checksum can be switched off by a flip in its header.
    """
    if np.dtype(dtype).kind == "f":
        return [BloscCodec(cname="zstd", clevel=5, shuffle="shuffle"), Crc32cCodec()]
    return [ZstdCodec(level=5), Crc32cCodec()]
