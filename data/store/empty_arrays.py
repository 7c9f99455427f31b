"""The arrays of a store before its first shard: metadata and coordinates, written beside the artifact and moved in."""

from __future__ import annotations

import filecmp
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr

from data.store.tiles import STRIDE, ArraySpec, codecs

IMAGE = "image_id"
"""Name of the first dimension, and of the coordinate with the ids of the images."""


def write_empty_arrays(
    path: Path,
    image_ids: Sequence[str],
    arrays: Mapping[str, ArraySpec],
    attrs: Mapping[str, object],
    shard_size: int,
    coords: Mapping[str, tuple[tuple[str, ...], np.ndarray]],
) -> None:
    """Write ``zarr.json`` of group and arrays, and all coordinates. Shards that are already there are kept.

    The files are made in a folder beside `path` and moved in one by one. A file with the right content is not written
    again. Folders of arrays that are not in `arrays` or `coords` are removed.

    Parameters
    ----------
    path : Path
        Folder of the artifact.
    image_ids : sequence of str
    arrays : dict of name -> ArraySpec
        Arrays over images; ``image_id`` is added as their first dimension.
    attrs : dict
        Attributes of the group.
    shard_size : int
        Images per shard.
    coords : dict of name -> (dims, values)

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written.
    """
    aside = path.with_name(f"{path.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    coords = {IMAGE: ((IMAGE,), np.asarray(image_ids, dtype=str)), **coords}
    with warnings.catch_warnings():
        # zarr warns of text arrays and consolidated metadata, which are not in the v3 core. xarray reads both.
        warnings.simplefilter("ignore")
        group = zarr.open_group(str(aside), mode="w", zarr_format=3)
        group.attrs.update(cast(Any, {**attrs, "shard_size": shard_size, "coordinates": " ".join(coords)}))
        for name, (dims, values) in coords.items():
            values = np.asarray(values)
            target = group.create_array(
                name,
                shape=values.shape,
                chunks=tuple(max(1, length) for length in values.shape),
                dtype=values.dtype,
                dimension_names=dims,
                compressors=codecs(values.dtype),
            )
            target[...] = values
        for name, spec in arrays.items():
            group.create_array(
                name,
                shape=(len(image_ids), *spec.shape),
                chunks=(1, *spec.tile(shard_size)),
                shards=(shard_size, *spec.tile(shard_size)),
                dtype=spec.dtype,
                fill_value=spec.fill,
                dimension_names=(IMAGE, *spec.dims),
                compressors=codecs(spec.dtype),
                attributes=cast(Any, {**spec.attrs, **({STRIDE: spec.stride} if spec.stride > 1 else {})}),
            )
        zarr.consolidate_metadata(str(aside))
    path.mkdir(parents=True, exist_ok=True)
    for stranger in {child.name for child in path.iterdir() if child.is_dir()} - {*coords, *arrays}:
        shutil.rmtree(path / stranger)
    for made in sorted(made for made in aside.rglob("*") if made.is_file()):
        place = path / made.relative_to(aside)
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_file() or not filecmp.cmp(made, place, shallow=False):
            made.replace(place)
    shutil.rmtree(aside)
