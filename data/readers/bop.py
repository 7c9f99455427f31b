"""Reader of the BOP layout (https://bop.felk.cvut.cz, format description in bop_toolkit).

::

    root/models_info.json                    (optional: class names)
    root/onboarding_static/obj_000001_up/    one scene a folder, any nesting depth
    root/val/000001/
        rgb/000000.jpg | .png    depth/000000.png    mask_visib/000000_000000.png
        scene_gt.json  scene_camera.json  scene_gt_info.json (optional)

The class of an object is its ``obj_id``. Image-level tags come from ``scene_gt.json``: the objects
with at least `MIN_VISIBLE` of their silhouette in view, as BOP itself counts targets. The masks are
ground truth, for scoring only.
"""

from __future__ import annotations

import json
from pathlib import Path

from data.errors import DatasetError
from data.sample import DatasetIndex, LabelLayer, Sample

MIN_VISIBLE = 0.1
"""Least visible fraction of an object that makes it an image-level tag (BOP's own limit for targets)."""

IMAGE_FOLDERS = ("rgb", "gray")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif")
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
    frames: list[tuple[str, Path, dict]] = []
    for split, folder in splits.items():
        scenes = sorted(path.parent for path in (root / folder).glob("**/scene_gt.json"))
        if not scenes:
            raise DatasetError(
                f"{root / folder}: no scene with a scene_gt.json here; "
                f"--data-root must name the folder above '{root.name}/{folder}'"
            )
        for scene in scenes:
            frames.extend((split, scene, frame) for frame in _read_scene(scene))
    ids = sorted(names) if names else sorted({obj_id for _, _, frame in frames for obj_id, _, _ in frame["objects"]})
    class_of = {obj_id: index for index, obj_id in enumerate(ids, start=1)}
    samples = []
    for split, scene, frame in frames:
        for obj_id, _, _ in frame["objects"]:
            if obj_id not in class_of:
                raise DatasetError(
                    f"{scene / 'scene_gt.json'}: frame {frame['number']} has the unknown class id {obj_id}; "
                    f"models_info.json knows {ids}"
                )
        samples.append(
            Sample(
                image_id=f"{scene.relative_to(root).as_posix()}/{frame['number']:06d}",
                split=split,
                image=frame["image"],
                tags=tuple(sorted({class_of[i] for i, visible, _ in frame["objects"] if visible >= MIN_VISIBLE})),
                depth=frame["depth"],
                depth_unit=frame["depth_scale"] / 1000.0,  # BOP: depth * depth_scale is in [mm]
                truth=tuple(LabelLayer(mask, class_of[i]) for i, _, mask in frame["objects"] if mask is not None),
            )
        )
    return DatasetIndex(root, ("background", *(names.get(i, f"obj_{i:06d}") for i in ids)), tuple(samples))


def _read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: file is missing; a BOP scene needs it") from error
    except ValueError as error:
        raise DatasetError(f"{path}: is not valid JSON ({error})") from error


def _object_names(root: Path) -> dict[int, str]:
    for name in MODEL_FILES:
        if (root / name).exists():
            infos = _read_json(root / name)
            return {int(key): info.get("name", f"obj_{int(key):06d}") for key, info in infos.items()}
    return {}


def _read_scene(scene: Path) -> list[dict]:
    """Frames of one scene; each object is (obj_id, visible fraction, mask file or None)."""
    truth = _read_json(scene / "scene_gt.json")
    cameras = _read_json(scene / "scene_camera.json")
    infos = _read_json(scene / "scene_gt_info.json") if (scene / "scene_gt_info.json").exists() else {}
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
            {
                "number": int(key),
                "image": images[stem],
                "depth": depths.get(stem),
                "depth_scale": float(cameras.get(key, {}).get("depth_scale", 1.0)),
                "objects": [
                    (int(item["obj_id"]), visible[number], masks.get(f"{stem}_{number:06d}"))
                    for number, item in enumerate(truth[key])
                ],
            }
        )
    return frames
