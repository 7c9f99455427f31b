import json
import shutil

import numpy as np
import pytest
from PIL import Image

from data.errors import DatasetError
from data.files.images import read_depth
from data.files.labels import read_truth
from data.readers import DATASETS
from data.readers.bop import read_bop
from data.sample import EVALUATION, TRAIN

SPLITS = {TRAIN: "train_pbr", EVALUATION: "test"}


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_index_of_the_tiny_set(bop_root):
    index = read_bop(bop_root, SPLITS)
    assert (len(index.split(TRAIN)), len(index.split(EVALUATION))) == (10, 5)
    assert index.class_names[:3] == ("background", "cereal_box", "soup_can")
    sample = index.samples[0]
    assert sample.image_id == "train_pbr/000001/000000"
    assert sample.image.name == "000000.jpg"
    truth = json.loads((bop_root / "train_pbr/000001/scene_gt.json").read_text())["0"]
    assert set(sample.tags) <= {item["obj_id"] for item in truth}
    assert sample.tags == tuple(sorted(sample.tags))


def test_depth_is_in_metres_whatever_the_scale(bop_root):
    sample = read_bop(bop_root, SPLITS).samples[0]
    metres = read_depth(sample)
    edit(bop_root / "train_pbr/000001/scene_camera.json", lambda c: c["0"].update(depth_scale=0.1))
    assert read_depth(read_bop(bop_root, SPLITS).samples[0]) == pytest.approx(metres / 10)
    raw = np.asarray(Image.open(sample.depth))
    assert metres == pytest.approx(raw / 1000)  # depth_scale 1 is [mm]


def test_masks_become_a_label_map(bop_root):
    index = read_bop(bop_root, SPLITS)
    sample = index.samples[0]
    truth = read_truth(sample, index.num_classes)
    for layer in sample.truth:
        mask = np.asarray(Image.open(layer.path)) > 0
        assert (truth[mask] == layer.class_index).all()
    assert (truth == 0).sum() == (~np.any([np.asarray(Image.open(x.path)) > 0 for x in sample.truth], 0)).sum()


def test_nested_onboarding_folders_and_png_images(bop_root, tmp_path):
    root = tmp_path / "other"
    for side in ("up", "down"):
        shutil.copytree(bop_root / "train_pbr/000001", root / f"onboarding_static/obj_000003_{side}")
    for path in (root / "onboarding_static/obj_000003_up/rgb").glob("*.jpg"):
        Image.open(path).save(path.with_suffix(".png"))
        path.unlink()
    index = read_bop(root, {TRAIN: "onboarding_static"})
    assert {sample.image.suffix for sample in index.samples} == {".jpg", ".png"}
    assert index.class_names[1].startswith("obj_0000")  # no models_info.json


def test_hardly_visible_objects_are_not_tags(bop_root):
    before = read_bop(bop_root, SPLITS).samples[0].tags
    edit(bop_root / "train_pbr/000001/scene_gt_info.json", lambda c: [i.update(visib_fract=0.05) for i in c["0"]])
    after = read_bop(bop_root, SPLITS).samples[0].tags
    assert before
    assert after == ()


def test_unknown_class_id_is_named(bop_root):
    edit(bop_root / "train_pbr/000001/scene_gt.json", lambda c: c["2"][0].update(obj_id=77))
    with pytest.raises(DatasetError, match="frame 2 has the unknown class id 77"):
        read_bop(bop_root, SPLITS)


def test_missing_depth_file_is_named(bop_root):
    (bop_root / "train_pbr/000002/depth/000003.png").unlink()
    with pytest.raises(DatasetError, match=r"000002/depth/000003.png: depth file is missing"):
        read_bop(bop_root, SPLITS)


def test_missing_image_is_named(bop_root):
    (bop_root / "train_pbr/000002/rgb/000003.jpg").unlink()
    with pytest.raises(DatasetError, match="rgb/000003: image file is missing"):
        read_bop(bop_root, SPLITS)


def test_invalid_json_is_named(bop_root):
    (bop_root / "train_pbr/000001/scene_camera.json").write_text("{")
    with pytest.raises(DatasetError, match="scene_camera.json: is not valid JSON"):
        read_bop(bop_root, SPLITS)


def test_a_set_without_depth_or_masks_is_read(bop_root):
    for scene in bop_root.glob("*/0*"):
        shutil.rmtree(scene / "depth")
        shutil.rmtree(scene / "mask_visib")
    index = read_bop(bop_root, SPLITS)
    assert not index.has_depth
    assert read_truth(index.samples[0], index.num_classes) is None


@pytest.mark.parametrize("name", ["ycbv", "lmo", "tless"])
def test_other_bop_sets_have_the_same_reader(name, rendered, tmp_path):
    spec = DATASETS[name]
    root = tmp_path / spec.folder
    root.mkdir()
    for split, folder in spec.splits.items():
        (root / folder).symlink_to(rendered / ("train_pbr" if split == TRAIN else "test"))
    index = spec.read(root, spec.splits)
    assert (len(index.split(TRAIN)), len(index.split(EVALUATION))) == (10, 5)
