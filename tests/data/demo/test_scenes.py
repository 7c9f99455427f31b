import json

import numpy as np
from PIL import Image

from data.demo.scenes import CLASSES, SPLITS, render_demo, sense_depth


def files(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_same_seed_gives_the_same_files(tmp_path):
    splits = {"train_pbr": (1, 2)}
    render_demo(tmp_path / "a", splits)
    render_demo(tmp_path / "b", splits)
    render_demo(tmp_path / "c", splits, seed=8)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert files(tmp_path / "a") != files(tmp_path / "c")


def test_what_is_there_stays(tmp_path):
    (tmp_path / "a").mkdir()
    render_demo(tmp_path / "a")
    assert files(tmp_path / "a") == {}


def test_frames_have_one_to_three_objects_depth_with_holes_and_exact_masks(rendered):
    for scene in sorted(rendered.glob("*/0*")):
        truth = json.loads((scene / "scene_gt.json").read_text())
        info = json.loads((scene / "scene_gt_info.json").read_text())
        for frame, objects in truth.items():
            assert 1 <= len(objects) <= 3
            assert len({item["obj_id"] for item in objects}) == len(objects)
            depth = np.asarray(Image.open(scene / f"depth/{int(frame):06d}.png"))
            assert depth.dtype == np.uint16
            assert 0 < (depth == 0).mean() < 0.2
            assert 200 < np.median(depth[depth > 0]) < 2000  # [mm]
            for index in range(len(objects)):
                name = f"{int(frame):06d}_{index:06d}.png"
                visible = np.asarray(Image.open(scene / "mask_visib" / name)) > 0
                whole = np.asarray(Image.open(scene / "mask" / name)) > 0
                assert not (visible & ~whole).any()
                assert visible.sum() == info[frame][index]["px_count_visib"]


def test_poses_project_the_centre_into_the_silhouette(rendered):
    scene = rendered / "train_pbr/000001"
    truth = json.loads((scene / "scene_gt.json").read_text())
    cameras = json.loads((scene / "scene_camera.json").read_text())
    checked = 0
    for frame, objects in truth.items():
        matrix = np.array(cameras[frame]["cam_K"]).reshape(3, 3)
        for index, item in enumerate(objects):
            u, v, w = matrix @ np.array(item["cam_t_m2c"])
            mask = np.asarray(Image.open(scene / f"mask/{int(frame):06d}_{index:06d}.png")) > 0
            row, column = int(v / w), int(u / w)
            if 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]:
                assert mask[row, column]
                checked += 1
    assert checked > 5


def test_the_demo_has_at_least_four_classes_and_both_splits():
    assert len(CLASSES) >= 4
    assert set(SPLITS) == {"train_pbr", "test"}


def test_depth_noise_grows_with_distance():
    rng = np.random.default_rng(0)
    near = sense_depth(np.full((60, 60), 0.3), rng).astype(float)
    far = sense_depth(np.full((60, 60), 2.0), rng).astype(float)
    assert near[near > 0].std() < far[far > 0].std()
    assert abs(near[near > 0].mean() - 300) < 1
