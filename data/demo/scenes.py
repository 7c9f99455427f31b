"""The demo: a small RGB-D set of cans, boxes and balls on a table, rendered here and written in BOP layout.

Each class has its own mark, on a part of the object only. The rest looks much like the table. A classifier
looks at the mark, so its CAM misses most of the object, as with real packages.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import scipy  # scipy.ndimage loads at its first use, so that imports stay quick
from PIL import Image

from data.demo.raycast import Camera, Primitive, render, value_noise

WIDTH, HEIGHT = 192, 144
SPLITS = {"train_pbr": (8, 20), "test": (2, 20)}
"""Split folder -> (scenes, frames per scene)."""

SCENE_SEED = 7
VERSION = 1
"""Increase it when the same seed gives other frames."""

CLASSES = {
    # name: (shape, minimum and maximum extents x, y, z in metres)
    "cereal_box": ("box", (0.10, 0.05, 0.15), (0.13, 0.07, 0.19)),
    "soup_can": ("can", (0.07, 0.07, 0.10), (0.09, 0.09, 0.12)),
    "ball": ("ball", (0.08, 0.08, 0.08), (0.11, 0.11, 0.11)),
    "milk_carton": ("box", (0.07, 0.07, 0.16), (0.08, 0.08, 0.20)),
    "tea_tin": ("can", (0.10, 0.10, 0.05), (0.13, 0.13, 0.07)),
}


def _mix(base, mark, where):
    return np.where(where[:, None], mark, base)


def _cardboard(points, colour, salt):
    return np.array(colour) * (0.75 + 0.5 * value_noise(points * 14 + 40, salt)[:, None])


def _texture_cereal(p):
    base = _cardboard(p, (0.62, 0.52, 0.38), 1)
    stripes = (np.floor(p[:, 2] * 18) % 2 == 0) & (p[:, 2] > 0.15)
    return _mix(base, (0.85, 0.15, 0.12), stripes)


def _texture_soup(p):
    base = _cardboard(p, (0.55, 0.54, 0.52), 2)
    angle = np.arctan2(p[:, 1], p[:, 0])
    band = (np.abs(p[:, 2]) < 0.17) & (np.floor(angle * 6 / np.pi) % 2 == 0)
    return _mix(base, (0.15, 0.55, 0.2), band)


def _texture_ball(p):
    base = _cardboard(p, (0.6, 0.5, 0.42), 3)
    return _mix(base, (0.95, 0.75, 0.1), (p[:, 2] > 0.12) & (np.sin(p[:, 0] * 25) * np.sin(p[:, 1] * 25) > -0.2))


def _texture_milk(p):
    base = _cardboard(p, (0.66, 0.64, 0.6), 4)
    checks = (np.floor(p[:, 0] * 8) + np.floor(p[:, 1] * 8) + np.floor(p[:, 2] * 16)) % 2 == 0
    return _mix(base, (0.1, 0.25, 0.75), checks & (p[:, 2] < -0.1) & (p[:, 2] > -0.38))


def _texture_tea(p):
    base = _cardboard(p, (0.5, 0.42, 0.34), 5)
    radius = np.hypot(p[:, 0], p[:, 1])
    return _mix(base, (0.6, 0.15, 0.6), (np.abs(radius - 0.28) < 0.08) & (p[:, 2] > 0))


def _table(salt, colour):
    def texture(points):
        grain = value_noise(points * [9, 70, 1], salt) * 0.5 + value_noise(points * 160, salt + 1) * 0.5
        return np.array(colour) * (0.7 + 0.6 * grain[:, None])

    return texture


TEXTURES = {
    "cereal_box": _texture_cereal,
    "soup_can": _texture_soup,
    "ball": _texture_ball,
    "milk_carton": _texture_milk,
    "tea_tin": _texture_tea,
}
TABLE_COLOURS = ((0.55, 0.42, 0.3), (0.5, 0.5, 0.5), (0.62, 0.55, 0.45), (0.42, 0.38, 0.36))


def _place(rng: np.random.Generator, count: int) -> list[tuple[int, Primitive]]:
    """Objects of different classes on the table that do not overlap, as (class number, primitive)."""
    placed: list[tuple[int, Primitive]] = []
    for class_index in rng.choice(len(CLASSES), size=count, replace=False):
        name = list(CLASSES)[class_index]
        shape, minimum, maximum = CLASSES[name]
        size = np.array(minimum) + (np.array(maximum) - minimum) * (rng.random() if shape != "box" else rng.random(3))
        while True:
            position = rng.uniform(-0.18, 0.18, 2)
            if all(np.linalg.norm(position - other.position) > 0.15 for _, other in placed):
                break
        placed.append((int(class_index) + 1, Primitive(shape, size, position, rng.uniform(0, np.pi), name)))
    return placed


def sense_depth(depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Depth as a stereo sensor measures it: noise that grows with the square of depth, holes at silhouettes.

    Parameters
    ----------
    depth : ndarray, (H, W), metres
    rng : numpy Generator

    Returns
    -------
    ndarray, (H, W), uint16, millimetres; 0 = hole
    """
    noisy = depth + rng.normal(0.0, 0.0008 + 0.0015 * depth**2)
    jump = scipy.ndimage.maximum_filter(depth, 3) - scipy.ndimage.minimum_filter(depth, 3)
    holes = (jump > 0.04 * depth) & (rng.random(depth.shape) < 0.6)
    spots = scipy.ndimage.gaussian_filter(rng.normal(size=depth.shape), 2.5)
    holes |= spots > 2.6 * spots.std()
    return np.where(holes, 0, np.clip(np.round(noisy * 1000), 1, 65535)).astype(np.uint16)  # to [mm]


def _render_frame(rng: np.random.Generator, table, camera_height: float):
    objects = _place(rng, int(rng.integers(1, 4)))
    turn, lean = rng.uniform(0, 2 * np.pi), rng.uniform(0.7, 1.1)
    distance = rng.uniform(0.48, 0.7) * camera_height
    eye = distance * np.array([np.cos(turn) * np.cos(lean), np.sin(turn) * np.cos(lean), np.sin(lean)])
    target = np.array([*np.mean([o.position for _, o in objects], 0) + rng.normal(0, 0.03, 2), 0.05])
    camera = Camera.looking_at(eye + target, target, 0.95 * WIDTH, WIDTH, HEIGHT)
    light = np.array([np.cos(turn + rng.uniform(0.5, 2)), np.sin(turn + rng.uniform(0.5, 2)), 1.6])
    light /= np.linalg.norm(light)
    textures = {**TEXTURES, "table": table}
    colour, depth, visible, silhouettes = render(camera, [o for _, o in objects], textures, light)
    colour = colour * rng.uniform(0.8, 1.15) + rng.normal(0, 0.02, colour.shape)
    image = (np.clip(colour, 0, 1) * 255).round().astype(np.uint8)
    return camera, objects, image, sense_depth(depth, rng), visible, silhouettes


def _write_scene(folder: Path, rng: np.random.Generator, frames: int) -> None:
    for name in ("rgb", "depth", "mask", "mask_visib"):
        (folder / name).mkdir(parents=True)
    table = _table(int(rng.integers(1000)), TABLE_COLOURS[rng.integers(len(TABLE_COLOURS))])
    scene_camera, scene_gt, scene_gt_info = {}, {}, {}
    for frame in range(frames):
        camera, objects, image, depth, visible, silhouettes = _render_frame(rng, table, rng.uniform(0.95, 1.15))
        Image.fromarray(image).save(folder / "rgb" / f"{frame:06d}.jpg", quality=92)
        Image.fromarray(depth).save(folder / "depth" / f"{frame:06d}.png")
        poses, infos = [], []
        for index, (class_number, primitive) in enumerate(objects):
            seen = visible == index + 1
            whole = silhouettes[index]
            Image.fromarray(whole.astype(np.uint8) * 255).save(folder / "mask" / f"{frame:06d}_{index:06d}.png")
            Image.fromarray(seen.astype(np.uint8) * 255).save(folder / "mask_visib" / f"{frame:06d}_{index:06d}.png")
            rotation = camera.rotation @ primitive.rotation
            translation = camera.rotation @ (primitive.centre - camera.position) * 1000  # to [mm]
            poses.append(
                {"obj_id": class_number, "cam_R_m2c": rotation.ravel().tolist(), "cam_t_m2c": translation.tolist()}
            )
            infos.append(
                {
                    "px_count_all": int(whole.sum()),
                    "px_count_visib": int(seen.sum()),
                    "visib_fract": float(seen.sum() / max(whole.sum(), 1)),
                }
            )
        intrinsics = [camera.focal, 0, WIDTH / 2, 0, camera.focal, HEIGHT / 2, 0, 0, 1]
        scene_camera[str(frame)] = {"cam_K": intrinsics, "depth_scale": 1.0}
        scene_gt[str(frame)] = poses
        scene_gt_info[str(frame)] = infos
    for name, content in (("scene_camera", scene_camera), ("scene_gt", scene_gt), ("scene_gt_info", scene_gt_info)):
        (folder / f"{name}.json").write_text(json.dumps(content))


def render_demo(root: Path, splits: dict[str, tuple[int, int]] = SPLITS, seed: int = SCENE_SEED) -> None:
    """Render the demo set into `root`, unless it exists; a rename makes the complete set appear at once.

    Parameters
    ----------
    root : Path
    splits : dict of split folder -> (scenes, frames per scene)
    seed : int
        Seed of the scenes. Every scene has its own generator, so an additional scene does not change the others.
    """
    root = Path(root)
    if root.exists():
        return
    partial = root.with_name(f"{root.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for split_index, (split, (scenes, frames)) in enumerate(splits.items()):
        for scene in range(1, scenes + 1):
            rng = np.random.default_rng([seed, split_index, scene])
            _write_scene(partial / split / f"{scene:06d}", rng, frames)
    names = {str(class_number): {"name": name} for class_number, name in enumerate(CLASSES, start=1)}
    (partial / "models_info.json").write_text(json.dumps(names))
    try:
        partial.rename(root)
    except OSError:
        if not root.exists():
            raise
        shutil.rmtree(partial, ignore_errors=True)  # another run was faster and wrote the same frames
