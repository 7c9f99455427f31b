"""The artifact store: one folder per artifact, sharded Zarr v3 inside, complete only with its marker.

An artifact holds arrays whose first dimension is the image. One shard is up to some dozens of images
(`data.store.tiles` and `data.store.empty_arrays` have the layout).

Four things can go wrong with such files, and the API prevents each:

- Two writers in one shard lose data (zarr-python issue 3682). A shard is always written as a whole, by the process that
  holds the artifact's lock.
- A missing chunk reads as fill value. No stage reads an artifact without its marker, and a missing file is an error.
- A flipped bit may decode to wrong numbers. Every chunk has a checksum.
- A file may be changed, exchanged or cut. Each file is compared with its hash in the marker when a process first reads
  it. What an interrupted run has left is decoded before it is kept.

Layout::

    <identity>.zarr/zarr.json          group: attrs hold stage, parameters, parents; consolidated
    <identity>.zarr/<array>/c/<shard>/<tile row>/<tile column>...
    <identity>.zarr/COMPLETE.json      marker, written last: content hash of every file

The bytes depend only on inputs and parameters: an artifact holds no time, host name or version of a package.
"""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr

from data.errors import DamagedArtifactError, DamagedShardError
from data.store.ahead import ReadAhead
from data.store.artifact import MARKER, Artifact, writing
from data.store.empty_arrays import IMAGE, write_empty_arrays
from data.store.tiles import STRIDE, ArraySpec, tile_file, tile_places, tile_region, write_tile

log = logging.getLogger("depthseed")

_METADATA: dict[Path, tuple[dict, list[str]]] = {}
"""What a marker records (`Artifact._recorded`), and the names of the files in it that are no shards."""


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

    def read(self, name: str, **cells: int) -> np.ndarray:
        """The image's values of array `name`, without padding; `cells` and errors as of `ShardedStore.read_image`."""
        return self.store.read_image(name, self.index, self.size, **cells)


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

        All metadata is written again. Shards that an interrupted run left are kept only if all of them can be decoded.

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
        with writing(self.path):
            write_empty_arrays(self.path, image_ids, arrays, attrs, shard_size, coords or {})
        self.__dict__.pop("_group", None)
        self.__dict__.pop("_arrays", None)
        self.__dict__.pop("_readers", None)
        left = set(range(self.num_shards())) - set(self.missing_shards())
        for shard in sorted(left):
            if not self._can_be_decoded(shard):
                log.warning("%s: shard %d is damaged and will be computed again", self.path, shard)
                self.reopen_shard(shard)
        return self

    def _can_be_decoded(self, shard: int) -> bool:
        images = self.images_of(shard)
        for name in self.array_names():
            array = self.array(name)
            for place in tile_places(array, array.shape[1:]):
                if (self.path / name / tile_file(shard, place)).exists():
                    try:
                        array[(slice(images.start, images.stop), *tile_region(array, place))]
                    except Exception:  # each codec has its own error for wrong bytes
                        return False
        return True

    def __reduce__(self):  # only the path is sent to worker processes
        return type(self), (self.path,)

    @property
    def group(self) -> zarr.Group:
        """The open Zarr group, for reading. Write only with `write_shard`.

        Raises
        ------
        DamagedArtifactError
            If the metadata or a coordinate is not what was written.
        """
        if not hasattr(self, "_group"):
            self._require_sound_metadata()
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", category=UserWarning)
                try:
                    self._group = zarr.open_group(str(self.path), mode="r", use_consolidated=True)
                except Exception as error:  # a damaged zarr.json leads to JSON, key, value and other errors
                    raise DamagedArtifactError(self.path, "zarr.json", type(error).__name__) from error
        return self._group

    def _require_sound_metadata(self) -> None:
        """Compare all files except the shards with the marker, once per process."""
        self.require_sound("zarr.json")
        if not (self.path / MARKER).exists():
            return  # an artifact that is being written
        for name in self._recorded_metadata():
            self.require_sound(name)

    def _recorded_metadata(self) -> list[str]:
        """Names of the files in the marker that are no shards. They are kept: each job opens its stores again."""
        recorded, known = self._recorded(), _METADATA.get(self.path)
        if known is None or known[0] is not recorded:
            coordinates = tuple(f"{name}/" for name in self._coordinates())
            names = [name for name in recorded if "/c/" not in name or name.startswith(coordinates)]
            known = _METADATA[self.path] = recorded, names
        return known[1]

    def _coordinates(self) -> list[str]:
        """Names of the coordinates, as zarr.json lists them; empty if it cannot be read."""
        try:
            return json.loads((self.path / "zarr.json").read_bytes())["attributes"]["coordinates"].split()
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return []

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
        arrays = {name: self.array(name) for name in self.array_names()}
        return [
            shard
            for shard in range(self.num_shards())
            if not all(
                (self.path / name / tile_file(shard, [0] * (array.ndim - 1))).exists()  # the one that is written last
                for name, array in arrays.items()
            )
        ]

    def finish(self, parents: Mapping[str, str], identity: str = "") -> None:
        """Same as `Artifact.finish`; raises DamagedShardError if a shard is missing."""
        for shard in self.missing_shards():
            raise DamagedShardError(self.path, shard, "any", "its file does not exist")
        super().finish(parents, identity)

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
            If an array is missing or unknown, does not have one value per image of the shard, or has a larger value
            than the layout.
        """
        if sorted(arrays) != self.array_names():
            raise ValueError(f"a shard has the arrays {self.array_names()}; got {sorted(arrays)}")
        images = self.images_of(shard)
        self.__dict__.pop("_readers", None)
        with writing(self.path):
            group = zarr.open_group(str(self.path), mode="r+", use_consolidated=False)
            for name, values in arrays.items():
                target = cast(zarr.Array, group[name])
                if len(values) != len(images):
                    raise ValueError(f"shard {shard} has {len(images)} images; '{name}' got {len(values)}")
                reach = np.max([np.shape(value) for value in values], axis=0).astype(int)
                if (reach > target.shape[1:]).any():
                    raise ValueError(f"'{name}' has the shape {target.shape[1:]}; got a value of {tuple(reach)}")
                for place in reversed(list(tile_places(target, np.maximum(reach, 1)))):  # the first one is the last
                    (self.path / name / tile_file(shard, place)).unlink(missing_ok=True)
                    write_tile(target, images, place, values)

    def read_image(self, name: str, index: int, size: tuple[int, int] | None = None, **cells: int) -> np.ndarray:
        """The values of one image in an array.

        Parameters
        ----------
        name : str
        index : int
            Position of the image along ``image_id``.
        size : (height, width), optional
            Size of the image in pixels. ``y`` and ``x`` are cropped to it, in cells of the array's stride. Without it,
            the values are returned as stored: padded to the largest image.
        **cells : int
            Name of another dimension -> number of values along it, for example ``patch_y=30, patch_x=40``.

        Raises
        ------
        DamagedShardError
            If the shard is missing, fails its checksum or is not what was written; the message names artifact and
            shard.
        """
        array = self.array(name)
        if size is not None:
            stride = int(cast(int, array.attrs.get(STRIDE, 1)))
            cells = {"y": -(-size[0] // stride), "x": -(-size[1] // stride), **cells}
        metadata: Any = array.metadata
        dims = (metadata.dimension_names or ())[1:]
        shape = [min(cells.get(str(dim), length), length) for dim, length in zip(dims, array.shape[1:], strict=True)]
        shard = index // self.shard_size
        try:
            for place in tile_places(array, shape if cells else [1] * len(shape)):
                file = tile_file(shard, place)
                if not (self.path / name / file).exists():
                    raise DamagedShardError(self.path, shard, name, "its file does not exist")
                self.require_sound(f"{name}/{file}")
            readers = self.__dict__.setdefault("_readers", {})
            if name not in readers:
                readers[name] = ReadAhead(array)
            return readers[name].read(index, shape, self.images_of(shard))
        except DamagedShardError:
            raise
        except DamagedArtifactError as error:
            raise DamagedShardError(self.path, shard, name, error.reason) from error
        except Exception as error:  # each codec has its own error for wrong bytes
            raise DamagedShardError(
                self.path, shard, name, str(error).splitlines()[0] or type(error).__name__
            ) from error

    def image(self, index: int, size: tuple[int, int]) -> StoredImage:
        """One image of this store, which is read without padding."""
        return StoredImage(self, index, size)

    def repair(self, error: DamagedArtifactError) -> None:
        """Remove the shard that the error found damaged. Without a shard: all that differs from the marker."""
        if isinstance(error, DamagedShardError):
            self.reopen_shard(error.shard)
        else:
            self.reopen()

    def reopen_shard(self, shard: int) -> None:
        """Remove a damaged shard, so that the next run recomputes this shard and no other.

        Raises
        ------
        StoreError
            If a file cannot be removed.
        """
        if (self.path / MARKER).exists():
            self.reopen()
        with writing(self.path):
            self._remove_shard(shard)

    def _remove_shard(self, shard: int) -> None:
        for path in self.path.glob(f"*/c/{shard}"):
            if path.parent.parent.name not in self._coordinates():
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _remove_damaged(self, path: Path) -> None:
        """Remove a damaged file. A part of a shard is useless without the rest: its shard goes from all arrays."""
        shard = self.shard_of(path)
        if shard is None:
            path.unlink(missing_ok=True)
        else:
            self._remove_shard(shard)

    def shard_of(self, path: Path) -> int | None:
        """Index of the shard to which a file belongs; None for metadata and coordinates."""
        array, *rest = path.relative_to(self.path).parts
        return int(rest[1]) if len(rest) > 1 and rest[0] == "c" and array not in self._coordinates() else None
