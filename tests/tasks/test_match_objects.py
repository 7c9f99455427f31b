"""Templates, matching, instances, scores and export on the tiny set, which has frames of a single object."""

import io
import json
import shutil
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from stage_variants import show_single_objects

from data.errors import DatasetError, SettingError
from data.files.instance_truth import instance_map, read_instances
from data.files.mask_files import MaskFiles
from data.readers.bop import read_bop
from models.features import CnnFeatures
from tasks.build_templates import BuildTemplates, onboarding_frames
from tasks.evaluate_instances import EvaluateInstances
from tasks.evaluate_masks import EvaluateMasks
from tasks.export_instances import ExportInstances
from tasks.generate_seeds import GenerateSeeds
from tasks.index_dataset import IndexDataset
from tasks.match_objects import MatchObjects
from tasks.runtime import object_keys
from tasks.runtime.dag import stages
from tasks.runtime.instance_arrays import read_stored
from tasks.runtime.luigi_seam import forget_instances
from tasks.split_instances import SplitInstances


@pytest.fixture(scope="module")
def place(rendered, tmp_path_factory):
    """The tiny set, whose training frames list one object each, and the artifacts that the tests share."""
    folder = tmp_path_factory.mktemp("matching")
    shutil.copytree(rendered, folder / "tiny")
    show_single_objects(folder / "tiny/train_pbr")
    raise_object_ids(folder / "tiny")
    return folder


FIRST_ID = 11
"""The ``obj_id`` of class 1 in the set of these tests."""


def raise_object_ids(root):
    for path in root.glob("*/*/scene_gt.json"):
        frames = json.loads(path.read_text())
        for item in sum(frames.values(), []):
            item["obj_id"] += FIRST_ID - 1
        path.write_text(json.dumps(frames))
    path = root / "models_info.json"
    infos = json.loads(path.read_text())
    path.write_text(json.dumps({int(number) + FIRST_ID - 1: info for number, info in infos.items()}))


@pytest.fixture
def root(place):
    return place / "tiny"


def parameters_of(folder):
    return {
        "dataset": "bop", "data_root": str(folder / "tiny"), "artifacts": str(folder / "artifacts"), "processes": 1,
        "device": "cpu", "method": "match",
    }  # fmt: skip


@pytest.fixture
def common(in_process, place):
    return parameters_of(place)


@pytest.fixture
def spoiled(in_process, place, tmp_path):
    """The parameters of a copy of the set that a test may spoil."""
    shutil.copytree(place / "tiny", tmp_path / "tiny")
    return parameters_of(tmp_path)


def finished(task):
    for stage in [task.upstream(IndexDataset), *stages(task)]:  # templates do not list the index among their inputs
        if not stage.complete():
            stage.run()
    return task


def samples_of(root):
    return read_bop(root, {"train": "train_pbr", "evaluation": "test"})


def test_matching_gives_a_class_map_and_its_instances(common, root):
    task = finished(MatchObjects(**common, split="evaluation", unknown=0.0))
    samples = task.samples
    named = 0
    for index, sample in enumerate(samples):
        stored = task.artifact.image(index, sample.size)
        labels, (instances, table) = stored.read("label"), read_stored(stored)
        assert np.array_equal(labels > 0, instances > 0)
        for number in range(1, len(table.classes) + 1):
            assert np.unique(labels[instances == number]).tolist() == [table.classes[number - 1]]
            assert table.areas[number - 1] == (instances == number).sum()
        named += len(table.classes)
    assert named >= len(samples)
    scores = finished(EvaluateMasks(**common, results=("predictions",))).read()
    assert scores["predictions"]["images"] == len(samples)


def test_tags_restrict_the_classes_of_the_train_split(common):
    task = finished(MatchObjects(**common, split="train", unknown=0.0))
    for index, sample in enumerate(task.samples):
        found = np.unique(task.artifact.image(index, sample.size).read("label"))
        assert set(found.tolist()) <= {0, *sample.tags}


def test_a_new_class_touches_only_its_own_frames(spoiled, tmp_path):
    common, root = spoiled, tmp_path / "tiny"
    new = samples_of(root).split("train")[0].tags[0] + FIRST_ID - 1
    whole = {path: path.read_text() for path in root.glob("train_pbr/*/scene_gt.json")}
    for path, text in whole.items():  # the set before the class was there
        frames = {frame: objects for frame, objects in json.loads(text).items() if objects[0]["obj_id"] != new}
        path.write_text(json.dumps(frames))
    before = finished(MatchObjects(**common, split="evaluation"))
    kept = {name: stage.identity for name, stage in before.templates.items()}
    for path, text in whole.items():
        path.write_text(text)
    forget_instances()
    after = MatchObjects(**common, split="evaluation")
    IndexDataset(**common).run()
    assert {name: stage.identity for name, stage in after.templates.items() if name in kept} == kept
    assert {name: stage.complete() for name, stage in after.templates.items()} == {
        name: name in kept for name in after.templates
    }
    assert len(after.templates) == len(kept) + 1
    finished(after)


def test_templates_are_made_of_the_frames_that_a_tuning_split_leaves(common):
    """A frame that settings are chosen on must be in no template, so its class has others or none."""
    tuned = {"settings": {"IndexDataset": {"tuning": 0.5}}}
    held_out = IndexDataset(**{name: common[name] for name in ("dataset", "data_root")}, tuning=0.5).indexed
    left = onboarding_frames(held_out)
    before, after = MatchObjects(**common).templates, MatchObjects(**common, **tuned).templates
    assert list(after) == list(left)
    changed = {name for name in after if after[name].identity != before[name].identity}
    whole = onboarding_frames(IndexDataset(**{name: common[name] for name in ("dataset", "data_root")}).indexed)
    assert changed == {name for name in left if len(left[name]) < len(whole[name])}
    assert changed or len(after) < len(before)


def test_depth_from_files_counts_for_the_rendered_set_too(common, root, tmp_path, monkeypatch):
    """A rendered set is known by the version of its renderer, but the user's depth files are not rendered."""
    monkeypatch.setattr(IndexDataset, "is_rendered", True)
    for sample in samples_of(root).split("train"):
        path = tmp_path / f"depth/{sample.image_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"a depth map")
    own = {**common, "settings": {"LoadDepth": {"source": "files", "folder": str(tmp_path / "depth")}}}

    def templates():
        forget_instances()
        name, frames = next(iter(onboarding_frames(IndexDataset(**common).indexed).items()))
        stage = BuildTemplates(**own, class_name=name)
        return stage.identity, stage, tmp_path / f"depth/{frames[0].image_id}.png"

    before, stage, path = templates()
    assert str(path) in stage.watched()[0].stamps
    path.write_bytes(b"another one")
    assert templates()[0] != before


def test_templates_of_another_working_size_are_others(common, root):
    name = next(iter(onboarding_frames(samples_of(root))))

    def built(size):
        return BuildTemplates(**common, class_name=name, settings={"IndexDataset": {"size": size}})

    full, small = finished(built(0)), finished(built(96))
    assert full.identity == BuildTemplates(**common, class_name=name).identity
    assert full.identity != small.identity
    assert not np.array_equal(full.read(), small.read())


def test_templates_hold_the_objects_of_the_class(common, root):
    name, frames = next(iter(onboarding_frames(samples_of(root)).items()))
    keys = finished(BuildTemplates(**common, class_name=name)).read()
    assert 1 <= len(keys) <= len(frames)
    lengths = np.linalg.norm(keys, axis=2)
    assert lengths[lengths > 0] == pytest.approx(1, abs=1e-5)
    assert (lengths > 0).any(1).all()
    fewer = finished(BuildTemplates(**common, class_name=name, templates=1)).read()
    assert any(np.array_equal(fewer[0], key) for key in keys)
    whole = BuildTemplates(**common, class_name=name, object="frame")
    assert len(finished(whole).read()) == len(frames)


def test_templates_and_objects_are_cut_out_in_float32_and_seen_in_bf16(common, monkeypatch):
    seen = []

    def watched(name, function):
        def call(*arguments):
            seen.append((name, torch.is_autocast_enabled("cpu")))
            return function(*arguments)

        return call

    monkeypatch.setattr(object_keys, "crop_object", watched("crop", object_keys.crop_object))
    monkeypatch.setattr(CnnFeatures, "forward", watched("network", CnnFeatures.forward))
    matched = MatchObjects(**common, split="evaluation", precision="bf16")
    finished(next(iter(matched.templates.values())))
    assert set(seen) == {("crop", False), ("network", True)}
    finished(matched)
    assert set(seen) == {("crop", False), ("network", True)}


def test_a_class_without_frames_is_refused(common):
    with pytest.raises(DatasetError, match="class 'spoon' has no training image with this tag alone"):
        _ = BuildTemplates(**common, class_name="spoon").identity
    estimated = {
        "class_name": next(iter(MatchObjects(**common).templates)),
        "settings": {"LoadDepth": {"source": "estimate"}},
    }
    with pytest.raises(SettingError, match="templates need depth from the sensor or from files"):
        _ = BuildTemplates(**common, **estimated).identity


def test_scores_are_those_of_the_files_that_are_written(common, root):
    parameters = {"instances": "match", "settings": {"MatchObjects": {"unknown": 0}}}
    scores = finished(EvaluateInstances(**common, **parameters)).read()
    assert scores["images"] == 5
    assert scores["true_instances"] == sum(
        not item.ignored for sample in samples_of(root).split("evaluation") for item in read_instances(sample, 5)
    )
    pytest.importorskip("cv2")
    formats = ("png", "coco", "bop", "bop_results", "cvat", "label_studio", "yolo")
    task = finished(ExportInstances(**common, **parameters, formats=formats, seconds=0.5))
    coco = json.loads(task.artifact.read("coco.json"))
    assert len(coco["annotations"]) == scores["instances"]
    results = MaskFiles(task.artifact.path / "bop_results.json")
    for sample in task.inputs["dataset"].split("evaluation"):
        with Image.open(task.artifact.path / "png" / f"{sample.image_id}.png") as file:
            numbers = np.asarray(file)
        assert sorted(mask.sum() for _, mask in results.read(sample)) == sorted(np.bincount(numbers.ravel())[1:])
    items = json.loads(task.artifact.read("bop_results.json"))
    assert {item["time"] for item in items} == {0.5}
    frames = json.loads(task.artifact.read("bop/test/000001/scene_gt.json"))
    assert sum(map(len, frames.values())) == len(items)
    ids = [annotation["category_id"] + FIRST_ID - 1 for annotation in coco["annotations"]]
    assert ids == [item["category_id"] for item in items] == [item["obj_id"] for item in sum(frames.values(), [])]
    assert len(list((task.artifact.path / "bop").rglob("*.png"))) == len(items)
    tasks = json.loads(task.artifact.read("label_studio/tasks_0001.json"))
    assert sum(len(entry["predictions"][0]["result"]) for entry in tasks) == len(items)
    rows = [path.read_text().splitlines() for path in (task.artifact.path / "yolo/labels/evaluation").rglob("*.txt")]
    assert sum(map(len, rows)) == len(items)
    with zipfile.ZipFile(task.artifact.path / "cvat.zip") as archive:
        names = [name for name in archive.namelist() if name.startswith("SegmentationObject/")]
        pictures = [np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names]
    assert sum(len(np.unique(picture.reshape(-1, 3), axis=0)) - 1 for picture in pictures) == len(items)


def test_where_nothing_is_named_every_object_is_missed(common, root, tmp_path):
    for sample in samples_of(root).split("evaluation"):
        path = tmp_path / f"{sample.image_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((144, 192), np.uint8)).save(path)
    settings = {"MatchObjects": {"proposals": "files"}, "BaselineMasks": {"folder": str(tmp_path)}}
    scores = finished(EvaluateInstances(**common, instances="match", settings=settings)).read()
    assert scores["instances"] == 0
    assert [scores[name] for name in ("ap", "ap50", "ap75")] == [0, 0, 0]
    assert set(scores["per_class"].values()) == {0}


def test_masks_from_files_stand_in_for_the_proposals(common, root, tmp_path):
    """With the true masks as proposals, the instances that come out are the true ones."""
    dataset = samples_of(root)
    for sample in dataset.samples:
        path = tmp_path / "masks" / f"{sample.image_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        truth = instance_map(read_instances(sample, 5), (144, 192))
        Image.fromarray(truth.astype(np.uint16)).save(path)
    settings = {"BaselineMasks": {"folder": str(tmp_path / "masks"), "smallest": 0, "visible": 0}}
    scores = finished(EvaluateInstances(**common, settings=settings, instances="baseline")).read()
    assert scores["any_class"]["ap"] == 100
    assert scores["unseen"]["overlap_f"] == 100
    assert scores["ap"] is None
    named = finished(MatchObjects(**common, settings=settings, proposals="files", unknown=0.0, split="evaluation"))
    for index, sample in enumerate(named.samples):
        truth = instance_map(read_instances(dataset.split("evaluation")[index], 5), sample.size)
        assert np.array_equal(named.artifact.image(index, sample.size).read("instance") > 0, truth > 0)
    with pytest.raises(SettingError, match="BaselineMasks needs --BaselineMasks-folder"):
        _ = EvaluateInstances(**common, instances="baseline").identity


def test_a_class_map_is_split_and_no_instance_has_two_classes(common):
    task = finished(SplitInstances(**common, split="evaluation"))
    labels = task.required["labels"].artifact
    for index, sample in enumerate(task.samples):
        instances, table = read_stored(task.artifact.image(index, sample.size))
        classes = labels.image(index, sample.size).read("label")
        for number, class_number in enumerate(table.classes, start=1):
            assert np.unique(classes[instances == number]).tolist() == [class_number]
        assert ((table.scores > 0) & (table.scores <= 1)).all()


def test_matched_objects_are_seeds(common):
    seeds = finished(GenerateSeeds(**common, source="match"))
    matches = seeds.required["matches"].artifact
    for index, sample in enumerate(seeds.samples):
        found = seeds.artifact.image(index, sample.size).read("seed")
        labels = matches.image(index, sample.size).read("label")
        known = found != 65535
        assert np.array_equal(found[known], labels[known])
        assert (found[labels > 0] > 0).all()


def test_without_instances_in_the_truth_nothing_is_scored(spoiled, tmp_path):
    for path in tmp_path.glob("tiny/test/*/mask_visib/*"):
        path.unlink()
    forget_instances()
    with pytest.raises(DatasetError, match="the evaluation split has no instances to score against"):
        finished(EvaluateInstances(**spoiled, instances="split", settings={"SplitInstances": {"source": "depth"}}))
