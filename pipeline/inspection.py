"""What ``python -m pipeline`` prints and draws about artifacts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from data.errors import DamagedArtifactError, StoreError
from data.store.artifact import MARKER, Artifact
from data.store.sharded import ShardedStore
from data.store.tiles import ALONG_IMAGE
from pipeline.removal import artifact_at
from pipeline.report.colours import colour_heat, colour_instances, colour_labels, colour_superpixels, sheet
from tasks.discover_superpixels import NO_SUPERPIXEL
from tasks.runtime.dag import stages, state
from tasks.runtime.instance_arrays import NOTHING
from tasks.runtime.lock import artifact_lock, is_locked, lock_name
from tasks.runtime.stage import STAGE_FILE, StageTask
from tasks.runtime.trained_model import HISTORY

SHEET_IMAGES = 12
"""Number of images in a picture and in the statistics of an artifact."""


def status_table(task: StageTask) -> str:
    """A table with one line per stage: state, identity, files, MB on disk, seconds, images per second.

    For a network, it also has the share of time in which its device waited for data, and the peak of its memory.
    """
    lines = [
        f"{'stage':26}{'state':16}{'identity':16}{'files':>6}{'MB':>10}{'seconds':>10}{'images/s':>10}{'waited':>8}"
        f"{'GPU MB':>8}"
    ]
    for stage in stages(task):
        files, size = stage.artifact.size() if stage.artifact.path.exists() else (0, 0)
        record = stage.record()
        seconds = f"{record['seconds']:.1f}" if record else "–"
        rate = f"{record['images_per_second']:.1f}" if record.get("images_per_second") else "–"
        waited = f"{record['device_wait_share']:.0%}" if record.get("device_wait_share") is not None else "–"
        memory = record.get("peak_device_memory_mb") or "–"
        lines.append(
            f"{stage.label:26}{state(stage):16}{stage.identity:16}{files:>6}{size / 1e6:>10.1f}{seconds:>10}{rate:>10}"
            f"{waited:>8}{memory:>8}"
        )
    return "\n".join(lines)


def verify_artifacts(folder: Path) -> tuple[int, list[str]]:
    """Read every byte of every complete artifact of a data set.

    A damaged shard or file of metadata is removed. If another file is damaged, the whole artifact is removed. What a
    running command writes may look damaged, so it is left as it is.

    Parameters
    ----------
    folder : Path
        The artifacts of the data set, of all stages and with any parameters: ``<folder>/<stage>/<identity>``.

    Returns
    -------
    count : int
        Artifacts that were read.
    found : list of str
        One line per damaged file.
    """
    found: list[str] = []
    places = sorted(marker.parent for marker in folder.glob(f"*/*/{MARKER}"))
    for place in places:
        artifact = artifact_at(place)
        if artifact.damaged_files():
            lock = lock_name(place)
            if is_locked(folder, lock):
                found.append(f"{place}: a running command writes it; verify again when that has ended")
                continue
            with artifact_lock(folder, place.parent.name, lock, wait=False):
                found += _repaired(artifact)  # it looks again: a run may have ended since
    return len(places), found


def _repaired(artifact: Artifact) -> list[str]:
    found, damaged = [], artifact.damaged_files()
    for path in damaged:
        name = path.relative_to(artifact.path).as_posix()
        if not isinstance(artifact, ShardedStore):
            found.append(f"{artifact.path}: {name} is damaged; the next run recomputes the artifact")
        elif (shard := artifact.shard_of(path)) is None:
            found.append(f"{artifact.path}: {name} is damaged; the next run writes it again")
        else:
            found.append(f"{artifact.path}: {name} (shard {shard}) is damaged; the next run recomputes this shard")
    if damaged:
        artifact.reopen() if isinstance(artifact, ShardedStore) else artifact.discard()
    return found


def artifact_report(path: Path, image: str | None = None) -> str:
    """Parameters, shapes and statistics of an artifact as text.

    Parameters
    ----------
    path : Path
        Folder of the artifact.
    image : str, optional
        Image id, for statistics of this image alone.

    Raises
    ------
    StoreError
        If the folder is not an artifact or has no such image.
    DamagedArtifactError
        If a file is not what was written.
    """
    if not (path / STAGE_FILE).exists():
        raise StoreError(
            f"{path}: is not an artifact (it has no {STAGE_FILE}); python -m pipeline status lists the artifacts"
        )
    described = _sound_json(path, STAGE_FILE)
    complete = "complete" if (path / MARKER).exists() else "not complete"
    try:
        lines = [f"{described['stage']} version {described['version']}, {complete}: {path}", "parameters:"]
        lines += [f"  {name} = {value}" for name, value in sorted(described["parameters"].items())]
    except (TypeError, KeyError, AttributeError) as error:
        raise DamagedArtifactError(path, STAGE_FILE, "it lacks what every stage writes") from error
    if (path / "zarr.json").exists():
        lines += _array_lines(ShardedStore(path), image)
    for file in sorted(path.glob("*.safetensors")):
        lines += _tensor_lines(file)
    if (path / HISTORY).exists():
        lines.append("last epoch: " + ", ".join(f"{k} {v:.4f}" for k, v in _history(path)[-1].items()))
    return "\n".join(lines)


def _sound_json(path: Path, name: str) -> Any:
    """Content of a JSON file of an artifact, compared with the marker if there is one."""
    Artifact(path).require_sound(name)
    try:
        return json.loads((path / name).read_bytes())
    except ValueError as error:
        raise DamagedArtifactError(path, name, "it is not valid JSON") from error


def _history(path: Path) -> list[dict]:
    return _sound_json(path, HISTORY)


def _indices(store: ShardedStore, image: str | None) -> list[int]:
    """Positions of the images to show; those in missing shards are left out."""
    ids = store.image_ids
    if image is not None:
        if image not in ids:
            raise StoreError(f"{store.path}: no image '{image}'; the first ids are {', '.join(ids[:3])}")
        return [ids.index(image)]
    missing = set(store.missing_shards())
    there = [index for index in range(len(ids)) if index // store.shard_size not in missing]
    picks = np.linspace(0, len(there) - 1, min(SHEET_IMAGES, len(there))).round().astype(int)
    return [there[pick] for pick in picks]


def _array_lines(store: ShardedStore, image: str | None) -> list[str]:
    indices = _indices(store, image)
    shards = f"{store.num_shards() - len(store.missing_shards())} of {store.num_shards()} shards of {store.shard_size}"
    lines = [f"images: {store.num_images()} in {shards}", f"arrays (statistics over {len(indices)} of the images):"]
    for name in store.array_names():
        array = store.array(name)
        metadata: Any = array.metadata
        dims = ", ".join(f"{dim} {size}" for dim, size in zip(metadata.dimension_names, array.shape))
        lines.append(f"  {name} ({dims}) {array.dtype}{_statistics(store, name, indices)}")
    return lines


def _statistics(store: ShardedStore, name: str, indices: list[int]) -> str:
    fill = float(store.array(name).fill_value)
    count, total, low, high = 0, 0.0, np.inf, -np.inf
    for index in indices:  # one at a time: an image may be large
        values = store.read_image(name, index, _size(store, index)).astype(np.float64)
        values = values[~np.isnan(values)] if np.isnan(fill) else values[values != fill] if fill else values
        if values.size:
            count, total = count + values.size, total + values.sum()
            low, high = min(low, values.min()), max(high, values.max())
    if not indices:
        return ""
    return f": min {low:.4g}, mean {total / count:.4g}, max {high:.4g}" if count else ": only the fill value"


def _size(store: ShardedStore, index: int) -> tuple[int, int] | None:
    """Height and width of an image, as its store says; None if it does not."""
    try:
        return int(cast(int, store.array("height")[index])), int(cast(int, store.array("width")[index]))
    except KeyError:
        return None


def _tensor_lines(file: Path) -> list[str]:
    from safetensors import safe_open

    Artifact(file.parent).require_sound(file.name)
    with safe_open(file, "numpy") as tensors:
        shapes = {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118
    total = sum(int(np.prod(shape)) for shape in shapes.values())
    lines = [f"{file.name}: {len(shapes)} tensors, {total} values"]
    return lines + [
        f"  {name} {tuple(shape)}" for name, shape in shapes.items() if name.startswith(("head", "branches"))
    ]


def contact_sheet(path: Path, image: str | None, output: Path) -> bool:
    """Draw an artifact into a PNG file. Returns False if there is nothing to draw."""
    if (path / "zarr.json").exists():
        pictures = _pictures(ShardedStore(path), image)
    elif (path / HISTORY).exists():
        pictures = [_curves(_history(path))]
    else:
        pictures = []
    if pictures:
        try:
            Image.fromarray(sheet(pictures)).save(output, "PNG")
        except OSError as error:
            raise StoreError(
                f"{output}: cannot be written ({error.strerror or error}); name another --output"
            ) from error
    return bool(pictures)


def _pictures(store: ShardedStore, image: str | None) -> list[np.ndarray]:
    """One picture per image, or pictures of all maps if a single image is asked for."""
    names = [name for name in store.array_names() if _is_map(store, name)]
    indices = _indices(store, image)
    if image is None:
        names = names[:1] if "depth" not in names else ["depth"]
    return [_picture(name, store, index) for index in indices for name in names]


def _is_map(store: ShardedStore, name: str) -> bool:
    metadata: Any = store.array(name).metadata
    return bool(ALONG_IMAGE.keys() & set(metadata.dimension_names or ()))


def _picture(name: str, store: ShardedStore, index: int) -> np.ndarray:
    values = store.read_image(name, index, _size(store, index))
    if name in ("superpixel", "cluster"):
        return np.where((values == NO_SUPERPIXEL)[..., None], 255, colour_superpixels(values)).astype(np.uint8)
    if name == "instance":
        return np.where((values == NOTHING)[..., None], 255, colour_instances(values)).astype(np.uint8)
    if values.dtype == np.uint16:
        classes = store.array("class_name").shape[0]
        return colour_labels(values, classes)
    if name == "cam":
        slots = [slot for slot in values.astype(np.float32) if np.isfinite(slot).any()]
        return colour_heat(np.concatenate(slots, 1) if slots else np.zeros(values.shape[1:]))
    if name == "key":
        return _principal_colours(values.astype(np.float32))
    values = values.astype(np.float32)
    seen = np.isfinite(values)
    low, high = (values[seen].min(), values[seen].max()) if seen.any() else (0.0, 1.0)
    return colour_heat((values - low) / max(high - low, 1e-6))


def _principal_colours(keys: np.ndarray) -> np.ndarray:
    """The first three principal components of the keys as red, green and blue; a patch has 8 x 8 pixels."""
    flat = np.nan_to_num(keys.reshape(-1, keys.shape[-1]))
    flat = flat - flat.mean(0)
    main = flat @ np.linalg.svd(flat, full_matrices=False)[2][:3].T
    low, high = np.percentile(main, (2, 98), axis=0)
    colours = (np.clip((main - low) / np.maximum(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)
    return colours.reshape(*keys.shape[:2], 3).repeat(8, 0).repeat(8, 1)


def _curves(history: list[dict]) -> np.ndarray:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3 * len(history[0]), 2.6), layout="constrained")
    for number, name in enumerate(sorted(history[0]), start=1):
        axes = figure.add_subplot(1, len(history[0]), number)
        axes.plot(range(1, len(history) + 1), [epoch[name] for epoch in history], marker=".")
        axes.set(title=name, xlabel="epoch")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
