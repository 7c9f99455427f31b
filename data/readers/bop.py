"""Reader of the BOP layout (https://bop.felk.cvut.cz; bop_toolkit describes the format).

::

    root/models_info.json                    (optional: class names)
    root/onboarding_static/obj_000001_up/    one folder per scene, any nesting depth; or a link to it
    root/val/000001/
        rgb/000000.jpg | .png    depth/000000.png    mask_visib/000000_000000.png
        scene_gt.json  scene_camera.json (where there is depth)  scene_gt_info.json (optional)

The class of an object is its ``obj_id``. The image-level tags come from ``scene_gt.json``: an object is a tag
if at least `MIN_VISIBLE` of its silhouette is visible, as BOP itself counts targets. The masks are ground
truth, for scoring only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import DatasetError
from data.files.json_file import is_number, is_whole, read_json
from data.files.pixels import IMAGE_SUFFIXES
from data.readers.common import root_hint, sorted_index
from data.sample import DatasetIndex, LabelLayer, Sample

MIN_VISIBLE = 0.1
"""Minimum visible fraction of an object that is an image-level tag (BOP's own limit for targets)."""

DEPTH_SCALES = (1e-4, 1e3)
"""Legal range of ``depth_scale`` in millimetres per count: no sensor has finer counts, nor counts of over a metre."""

IMAGE_FOLDERS = ("rgb", "gray")
"""Folders of images; the first that exists is read."""

UNNAMED = re.compile(r"obj_(\d{6,})")
"""Name of a class that ``models_info.json`` does not name; its group is the ``obj_id``."""

MODEL_FILES = ("models_info.json", "models/models_info.json", "models_eval/models_info.json")


def read_bop(root: Path, splits: dict[str, str]) -> DatasetIndex:
    """Index a BOP data set.

    Parameters
    ----------
    root : Path
        Folder that holds the split folders.
    splits : dict
        Our split name ("train", "evaluation") -> its folder under `root`.

    Raises
    ------
    DatasetError
        If a folder or JSON file is missing, unreadable or not as the format says, a listed frame has no image, or no
        depth file or ``depth_scale`` (in a scene that has a depth folder), a frame has the masks of some of its visible
        objects alone, or an object id is not in ``models_info.json``.
    """
    names = _object_names(root)
    frames: list[tuple[str, Path, _Frame]] = []
    for split, folder in splits.items():
        scenes = sorted(_scenes(root / folder))
        if not scenes:
            raise DatasetError(f"{root / folder}: no scene with a scene_gt.json here; {root_hint(root)}")
        for scene in scenes:
            frames.extend((split, scene, frame) for frame in _read_scene(scene))
    ids = sorted(names) if names else sorted({item.obj_id for _, _, frame in frames for item in frame.objects})
    class_of = {obj_id: class_number for class_number, obj_id in enumerate(ids, start=1)}
    samples = []
    for split, scene, frame in frames:
        for item in frame.objects:
            if item.obj_id not in class_of:
                raise DatasetError(
                    f"{scene / 'scene_gt.json'}: frame {frame.frame_id} has the unknown class id {item.obj_id}; "
                    f"use an id of models_info.json: {ids}"
                )
        tags = {class_of[item.obj_id] for item in frame.objects if item.visible >= MIN_VISIBLE}
        masks = ((item.mask, class_of[item.obj_id]) for item in frame.objects)
        samples.append(
            Sample(
                image_id=f"{scene.relative_to(root).as_posix()}/{frame.frame_id:06d}",
                split=split,
                image=frame.image,
                tags=tuple(sorted(tags)),
                depth=frame.depth,
                depth_unit=frame.depth_scale / 1000.0,  # BOP: depth * depth_scale is in [mm]
                truth=tuple(LabelLayer(mask, class_number) for mask, class_number in masks if mask is not None),
            )
        )
    return sorted_index(root, _class_names(ids, names), samples, splits)


def _scenes(folder: Path) -> Iterator[Path]:
    """The folders with a ``scene_gt.json``, also behind symbolic links. A link may lead back, so each is read once."""
    seen: set[str] = set()
    for place, below, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        below.sort(key=lambda name: (os.path.islink(os.path.join(place, name)), name))  # its own name before a link
        if "scene_gt.json" in files:
            yield Path(place)


def object_ids(root: Path, class_names: Sequence[str]) -> list[int]:
    """BOP's ``obj_id`` of each class, in the order of the class numbers; 0 for class 0.

    The ids of a set may have gaps (LM-O has 1, 5, 6, 8, ...); class numbers have none. Of a set in another layout, the
    class numbers are returned.

    Parameters
    ----------
    root : Path
        Folder of the data set.
    class_names : sequence of str
        As `read_bop` gave them.

    Raises
    ------
    DatasetError
        If ``models_info.json`` has other classes now, or as `read_bop`.

    Examples
    --------
    >>> object_ids(Path("no/models"), ["background", "obj_000001", "obj_000005"])
    [0, 1, 5]
    """
    names = _object_names(root)
    if names:
        ids = sorted(names)
        if _class_names(ids, names) != tuple(class_names):
            raise DatasetError(
                f"{root}: models_info.json has other classes than were indexed; run the same command again"
            )
        return [0, *ids]
    found = [UNNAMED.fullmatch(name) for name in class_names[1:]]
    if not all(found):
        return list(range(len(class_names)))
    return [0, *(int(match[1]) for match in found if match)]


def _class_names(ids: Sequence[int], names: Mapping[int, str]) -> tuple[str, ...]:
    """Names of the classes, number 0 first; `UNNAMED` ones for ids without a name."""
    return ("background", *(names.get(obj_id, f"obj_{obj_id:06d}") for obj_id in ids))


@dataclass(frozen=True)
class _Object:
    """An object in a frame; `visible` is the visible fraction of its silhouette."""

    obj_id: int
    visible: float
    mask: Path | None


@dataclass(frozen=True)
class _Frame:
    """A frame of a scene; ``depth * depth_scale`` is in millimetres."""

    frame_id: int
    image: Path
    depth: Path | None
    depth_scale: float
    objects: tuple[_Object, ...]


def _object_names(root: Path) -> dict[int, str]:
    for name in MODEL_FILES:
        path = root / name
        if path.exists():
            infos = _numbered(path, "object")
            names = {}
            for obj_id, info in infos.items():
                found = info.get("name", f"obj_{obj_id:06d}") if isinstance(info, dict) else None
                if not isinstance(found, str) or not found.strip():
                    raise DatasetError(
                        f"{path}: object {obj_id} has the name {found!r:.40}, which is no text; correct it"
                    )
                names[obj_id] = found
            return names
    return {}


def _numbered(path: Path, what: str) -> dict[int, Any]:
    """Content of a JSON file whose keys are the numbers of objects or frames."""
    found: dict[int, Any] = {}
    for key, value in read_json(path).items():
        if not (key.isascii() and key.isdecimal() and len(key) <= 18):
            raise DatasetError(f"{path}: the key {key!r:.40} is no number of {what}s; correct it")
        if int(key) in found:
            raise DatasetError(f"{path}: lists {what} {int(key)} twice; remove one of them")
        found[int(key)] = value
    return found


def _files(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Stem -> file of a folder, which may be missing."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*")):
        if path.suffix.lower() in suffixes:
            if path.stem in found:
                raise DatasetError(f"{path}: there is also {found[path.stem].name}; remove one of the two files")
            found[path.stem] = path
    return found


def _read_scene(scene: Path) -> list[_Frame]:
    truth = _numbered(scene / "scene_gt.json", "frame")
    images = next(filter(None, (_files(scene / folder, IMAGE_SUFFIXES) for folder in IMAGE_FOLDERS)), {})
    depths = _files(scene / "depth", IMAGE_SUFFIXES)
    masks = _files(scene / "mask_visib", (".png",))
    cameras = _numbered(scene / "scene_camera.json", "frame") if depths else {}
    has_infos = (scene / "scene_gt_info.json").exists()
    infos = _numbered(scene / "scene_gt_info.json", "frame") if has_infos else {}
    frames = []
    for frame_id in sorted(truth):
        stem = f"{frame_id:06d}"
        if stem not in images:
            raise DatasetError(
                f"{scene}/rgb/{stem}: image file is missing, though scene_gt.json lists frame {frame_id}; "
                "restore it or take the frame out of scene_gt.json"
            )
        if depths and stem not in depths:
            raise DatasetError(
                f"{scene}/depth/{stem}.png: depth file is missing; restore it or take frame {frame_id} out of "
                "scene_gt.json"
            )
        obj_ids = _obj_ids(scene, frame_id, truth[frame_id])
        visible = _visible(scene, frame_id, infos.get(frame_id), len(obj_ids)) if has_infos else [1.0] * len(obj_ids)
        drawn = [masks.get(f"{stem}_{index:06d}") for index in range(len(obj_ids))]
        _check_masks(scene, frame_id, drawn, visible)
        frames.append(
            _Frame(
                frame_id=frame_id,
                image=images[stem],
                depth=depths.get(stem),
                depth_scale=_depth_scale(scene, frame_id, cameras.get(frame_id)) if depths else 1.0,
                objects=tuple(_Object(*described) for described in zip(obj_ids, visible, drawn, strict=True)),
            )
        )
    return frames


def _check_masks(scene: Path, frame_id: int, masks: Sequence[Path | None], visible: Sequence[float]) -> None:
    """Check that a frame with masks has those of all visible objects: the others would be background of the truth."""
    missing = [index for index, mask in enumerate(masks) if mask is None and visible[index] > 0]
    if missing and any(masks):
        raise DatasetError(
            f"{scene}/mask_visib/{frame_id:06d}_{missing[0]:06d}.png: mask is missing, though others of the "
            "frame exist; restore it, or remove all masks of the frame"
        )


def _obj_ids(scene: Path, frame_id: int, objects: Any) -> list[int]:
    """The ``obj_id`` of each object in a frame of ``scene_gt.json``."""
    place = f"{scene / 'scene_gt.json'}: frame {frame_id}"
    if not isinstance(objects, list):
        raise DatasetError(f"{place} is no list of objects; correct it")
    for index, item in enumerate(objects):
        if not isinstance(item, dict) or not is_whole(item.get("obj_id")):
            found = item.get("obj_id") if isinstance(item, dict) else item
            raise DatasetError(f"{place} has in object {index} the obj_id {found!r:.40}, which is no id; correct it")
    return [item["obj_id"] for item in objects]


def _visible(scene: Path, frame_id: int, infos: Any, count: int) -> list[float]:
    """The ``visib_fract`` of each object in a frame of ``scene_gt_info.json``."""
    place = f"{scene / 'scene_gt_info.json'}: frame {frame_id}"
    if not isinstance(infos, list) or len(infos) != count:
        listed = f"{len(infos)} objects" if isinstance(infos, list) else "no list of objects"
        raise DatasetError(f"{place} has {listed}, but scene_gt.json has {count}; correct one or remove this file")
    for index, item in enumerate(infos):
        found: Any = item.get("visib_fract") if isinstance(item, dict) else item
        if not isinstance(item, dict) or not is_number(found, 0, 1):
            raise DatasetError(f"{place} has in object {index} the visib_fract {found!r:.40}; it must be from 0 to 1")
    return [float(item["visib_fract"]) for item in infos]


def _depth_scale(scene: Path, frame_id: int, camera: Any) -> float:
    """The ``depth_scale`` of a frame of ``scene_camera.json``."""
    found: Any = camera.get("depth_scale") if isinstance(camera, dict) else None
    if not is_number(found, *DEPTH_SCALES):
        raise DatasetError(
            f"{scene / 'scene_camera.json'}: frame {frame_id} has the depth_scale {found!r:.40}; the depth file "
            "needs the number of millimetres per count"
        )
    return float(found)
