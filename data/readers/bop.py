"""Reader of the BOP layout (https://bop.felk.cvut.cz; bop_toolkit describes the format).

::

    root/models_info.json                    (optional: class names)
    root/onboarding_static/obj_000001_up/    one folder per scene, any nesting depth
    root/val/000001/
        rgb/000000.jpg | .png    depth/000000.png    mask_visib/000000_000000.png
        scene_gt.json  scene_camera.json  scene_gt_info.json (optional)

The class of an object is its ``obj_id``. The image-level tags come from ``scene_gt.json``: an object is a tag
if at least `MIN_VISIBLE` of its silhouette is visible, as BOP itself counts targets. The masks are ground
truth, for scoring only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data.errors import DatasetError
from data.files.json_file import read_json
from data.files.pixels import IMAGE_SUFFIXES
from data.readers.common import root_hint, sorted_index
from data.sample import DatasetIndex, LabelLayer, Sample

MIN_VISIBLE = 0.1
"""Minimum visible fraction of an object that is an image-level tag (BOP's own limit for targets)."""

IMAGE_FOLDERS = ("rgb", "gray")
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
        If a folder or JSON file is missing or unreadable, a listed frame has no image or depth file
        (in a scene that has a depth folder), or an object id is not in ``models_info.json``.
    """
    names = _object_names(root)
    frames: list[tuple[str, Path, _Frame]] = []
    for split, folder in splits.items():
        scenes = sorted(path.parent for path in (root / folder).glob("**/scene_gt.json"))
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
    return sorted_index(root, ("background", *(names.get(i, f"obj_{i:06d}") for i in ids)), samples)


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
        if (root / name).exists():
            infos = read_json(root / name)
            return {int(key): info.get("name", f"obj_{int(key):06d}") for key, info in infos.items()}
    return {}


def _read_scene(scene: Path) -> list[_Frame]:
    truth = read_json(scene / "scene_gt.json")
    cameras = read_json(scene / "scene_camera.json")
    infos = read_json(scene / "scene_gt_info.json") if (scene / "scene_gt_info.json").exists() else {}
    images = {
        path.stem: path
        for folder in IMAGE_FOLDERS
        for path in sorted((scene / folder).glob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES
    }
    depths = {path.stem: path for path in sorted((scene / "depth").glob("*"))}
    masks = {path.stem: path for path in (scene / "mask_visib").glob("*.png")}
    frames = []
    for key in sorted(truth, key=int):
        stem = f"{int(key):06d}"
        if stem not in images:
            raise DatasetError(
                f"{scene}/rgb/{stem}: image file is missing, though scene_gt.json lists frame {key}; "
                "restore it or take the frame out of scene_gt.json"
            )
        if depths and stem not in depths:
            raise DatasetError(
                f"{scene}/depth/{stem}.png: depth file is missing; restore it or take frame {key} out of scene_gt.json"
            )
        visible = [info.get("visib_fract", 1.0) for info in infos.get(key, [])] or [1.0] * len(truth[key])
        frames.append(
            _Frame(
                frame_id=int(key),
                image=images[stem],
                depth=depths.get(stem),
                depth_scale=float(cameras.get(key, {}).get("depth_scale", 1.0)),
                objects=tuple(
                    _Object(int(item["obj_id"]), visible[index], masks.get(f"{stem}_{index:06d}"))
                    for index, item in enumerate(truth[key])
                ),
            )
        )
    return frames
