import json
import os
import shutil

import numpy as np
import pytest
from faults.mutations import mutated_json
from faults.outcomes import refusal
from PIL import Image

from data.errors import DatasetError
from data.files.images import read_depth
from data.files.labels import read_truth
from data.readers import DATASETS
from data.readers.bop import object_ids, read_bop
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


def test_scenes_behind_links_are_read_once(bop_root, tmp_path):
    expected = [sample.image_id for sample in read_bop(bop_root, SPLITS).samples]
    disk, split = tmp_path / "disk", bop_root / "train_pbr"
    shutil.move(split, disk)
    split.mkdir()
    for scene in disk.iterdir():
        (split / scene.name).symlink_to(scene)
        (scene / "back").symlink_to(split)
    assert [sample.image_id for sample in read_bop(bop_root, SPLITS).samples] == expected


def test_class_numbers_have_no_gaps_and_lead_back_to_the_ids_of_the_objects(bop_root):
    assert object_ids(bop_root, read_bop(bop_root, SPLITS).class_names) == [0, 1, 2, 3, 4, 5]
    known = {1: "ape", 5: "can", 6: "cat", 8: "drill", 9: "duck"}
    (bop_root / "models_info.json").write_text(json.dumps({number: {"name": name} for number, name in known.items()}))
    for path in bop_root.glob("*/*/scene_gt.json"):
        edit(path, lambda c: [i.update(obj_id=[*known][i["obj_id"] - 1]) for frame in c.values() for i in frame])
    names = read_bop(bop_root, SPLITS).class_names
    assert names == ("background", *known.values())
    assert object_ids(bop_root, names) == [0, *known]
    with pytest.raises(DatasetError, match=r"models_info.json has other classes than were indexed"):
        object_ids(bop_root, names[:-1])
    (bop_root / "models_info.json").unlink()
    index = read_bop(bop_root, SPLITS)
    assert object_ids(bop_root, index.class_names) == [0, *known]


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


def test_a_missing_mask_among_others_is_named(bop_root):
    """Its object was once background of the ground truth."""
    scene = bop_root / "test" / sorted(path.name for path in (bop_root / "test").iterdir())[0]
    truth = json.loads((scene / "scene_gt.json").read_text())
    frame = next(int(number) for number, objects in truth.items() if len(objects) > 1)
    masks = sorted((scene / "mask_visib").glob(f"{frame:06d}_*.png"))
    masks[0].unlink()
    with pytest.raises(DatasetError, match=f"mask_visib/{masks[0].name}: mask is missing, though others of the frame"):
        read_bop(bop_root, SPLITS)
    if (scene / "scene_gt_info.json").exists():
        hide = lambda infos: infos[str(frame)][0].update(visib_fract=0.0)  # noqa: E731
        edit(scene / "scene_gt_info.json", hide)
        read_bop(bop_root, SPLITS)  # what nobody sees needs no mask
        edit(scene / "scene_gt_info.json", lambda infos: infos[str(frame)][0].update(visib_fract=0.5))
    for path in masks[1:]:
        path.unlink()
    sample = next(s for s in read_bop(bop_root, SPLITS).samples if s.image_id == f"test/{scene.name}/{frame:06d}")
    assert sample.truth == ()


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


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("scene_gt", lambda c: c.update(x=[]), "the key 'x' is no number of frames"),
        ("scene_gt", lambda c: c.update({"02": c["2"]}), "lists frame 2 twice"),
        ("scene_gt", lambda c: c.update({"2": {}}), "frame 2 is no list of objects"),
        ("scene_gt", lambda c: c["2"][0].pop("obj_id"), "frame 2 has in object 0 the obj_id None, which is no id"),
        ("scene_gt", lambda c: c["2"][0].update(obj_id="3"), "frame 2 has in object 0 the obj_id '3'"),
        ("scene_gt", lambda c: c["2"][0].update(obj_id=-1), "frame 2 has in object 0 the obj_id -1"),
        ("scene_gt_info", lambda c: c["2"].pop(), r"frame 2 has \d objects, but scene_gt.json has \d"),
        ("scene_gt_info", lambda c: c.pop("2"), "frame 2 has no list of objects, but scene_gt.json has"),
        ("scene_gt_info", lambda c: c["2"][0].update(visib_fract=1.5), "frame 2 has in object 0 the visib_fract 1.5"),
        ("scene_gt_info", lambda c: c["2"][0].pop("visib_fract"), "frame 2 has in object 0 the visib_fract None"),
        ("scene_camera", lambda c: c.pop("2"), "frame 2 has the depth_scale None; the depth file needs"),
        ("scene_camera", lambda c: c["2"].pop("depth_scale"), "frame 2 has the depth_scale None"),
        ("scene_camera", lambda c: c["2"].update(depth_scale=0), "frame 2 has the depth_scale 0;"),
        ("scene_camera", lambda c: c["2"].update(depth_scale="1"), "frame 2 has the depth_scale '1'"),
        ("scene_camera", lambda c: c["2"].update(depth_scale=float("nan")), "frame 2 has the depth_scale nan"),
        ("scene_camera", lambda c: c["2"].update(depth_scale=1e30), "frame 2 has the depth_scale 1e"),
    ],
)
def test_fields_that_are_read_are_checked(bop_root, name, change, message):
    edit(bop_root / f"train_pbr/000001/{name}.json", change)
    with pytest.raises(DatasetError, match=f"000001/{name}.json: {message}"):
        read_bop(bop_root, SPLITS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["1"].update(name=3), "object 1 has the name 3, which is no text"),
        (lambda c: c.update({"1": None}), "object 1 has the name None"),
        (lambda c: c.update(x={}), "the key 'x' is no number of objects"),
    ],
)
def test_names_of_objects_are_checked(bop_root, change, message):
    edit(bop_root / "models_info.json", change)
    with pytest.raises(DatasetError, match=f"models_info.json: {message}"):
        read_bop(bop_root, SPLITS)


def test_two_objects_of_one_name_are_refused(bop_root):
    edit(bop_root / "models_info.json", lambda c: c["2"].update(name=c["1"]["name"]))
    with pytest.raises(DatasetError, match="two classes are called 'cereal_box'"):
        read_bop(bop_root, SPLITS)


def test_without_depth_no_camera_is_needed(bop_root):
    for scene in bop_root.glob("*/0*"):
        shutil.rmtree(scene / "depth")
        (scene / "scene_camera.json").unlink()
    assert not read_bop(bop_root, SPLITS).has_depth


@pytest.mark.parametrize("split", SPLITS)
def test_a_set_may_lack_one_of_the_splits(bop_root, split):
    index = read_bop(bop_root, {split: SPLITS[split]})
    assert {sample.split for sample in index.samples} == {split}


def test_two_files_for_one_frame_are_refused(bop_root):
    folder = bop_root / "train_pbr/000001/rgb"
    shutil.copy(folder / "000000.jpg", folder / "000000.png")
    with pytest.raises(DatasetError, match=r"000000.png: there is also 000000.jpg"):
        read_bop(bop_root, SPLITS)


def test_colour_images_come_before_grey_ones(bop_root):
    shutil.copytree(bop_root / "train_pbr/000001/rgb", bop_root / "train_pbr/000001/gray")
    assert {sample.image.parent.name for sample in read_bop(bop_root, SPLITS).samples} == {"rgb"}


def test_a_pipe_in_a_scene_neither_hangs_nor_is_read(bop_root):
    scene = bop_root / "train_pbr/000001"
    os.mkfifo(scene / "rgb/notes.txt")
    assert read_bop(bop_root, SPLITS)
    (scene / "scene_gt.json").unlink()
    os.mkfifo(scene / "scene_gt.json")
    with pytest.raises(DatasetError, match="scene_gt.json: cannot be read .it is a named pipe"):
        read_bop(bop_root, SPLITS)


def test_damaged_json_gives_an_index_or_one_line(bop_root):
    """`tests/faults` repeats this with thousands."""
    rng, lines = np.random.default_rng(0), []
    scene = bop_root / "train_pbr/000001"
    paths = [scene / f"{name}.json" for name in ("scene_gt", "scene_camera", "scene_gt_info")]
    for path in [*paths, bop_root / "models_info.json"]:
        text = path.read_text()
        for _ in range(75):
            path.write_text(mutated_json(json.loads(text), rng))
            lines.append(refusal(read_bop, bop_root, SPLITS))
        path.write_text(text)
    refused = list(filter(None, lines))
    assert all(line.startswith(str(bop_root)) for line in refused)
    assert 100 < len(refused) < len(lines)
