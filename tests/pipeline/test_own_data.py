"""The README's own cases: a plain folder without masks, one with evaluation images alone, frames of very odd sizes."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from support import FolderHere

from data.store.sharded import ShardedStore
from tasks.runtime.quality import WARNINGS


@pytest.fixture
def own(in_process, tiny_settings, tmp_path, capsys):
    root = tmp_path / "own"
    for folder in ("images", "depth"):
        (root / folder).mkdir(parents=True)
    return FolderHere(tiny_settings.parent, root, capsys)


def add(own, name, tag, size=(48, 64), split=None, mask=False):
    """One image with a disk of the tag's colour in front of a plane, or the plane alone; its row in labels.csv."""
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    disk = (np.hypot(rows - height / 2, columns - width / 2) < min(size) / 3) & (tag != "-")
    colour = {"red": (200, 30, 30), "green": (30, 200, 30), "-": (0, 0, 0)}[tag]
    image = np.where(disk[..., None], colour, 90 + rows[..., None] % 60)
    Image.fromarray(image.astype(np.uint8)).save(own.data_root / "images" / f"{name}.png")
    Image.fromarray(np.where(disk, 600, 800 + columns % 7).astype(np.uint16)).save(
        own.data_root / "depth" / f"{name}.png"
    )
    if mask:
        (own.data_root / "masks").mkdir(exist_ok=True)
        Image.fromarray((disk * {"green": 1, "red": 2}[tag]).astype(np.uint8)).save(
            own.data_root / "masks" / f"{name}.png"
        )
    table = own.data_root / "labels.csv"
    is_new = not table.exists()
    with open(table, "a", newline="") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(["image", "tags", *(["split"] if split else [])])
        writer.writerow([f"{name}.png", tag, *([split] if split else [])])


def warnings_in(own, stage):
    (path,) = own.artifacts.glob(f"folder/{stage}/*/{WARNINGS}")
    return json.loads(path.read_text())


def test_images_and_tags_alone_run_to_the_end_and_say_what_is_missing(own):
    for number in range(6):
        add(own, f"i{number}", ("red", "green")[number % 2])
    add(own, "empty", "-")
    result = own.luigi("RunAll", "--processes", 1)
    assert result.returncode == 0, result.stderr
    for stage, array in (("GenerateSeeds", "seed"), ("PredictMasks", "label")):
        stores = map(ShardedStore, own.artifacts.glob(f"folder/{stage}/*.zarr"))  # one per split
        store = next(store for store in stores if "train/empty" in store.image_ids)
        assert not store.read_image(array, store.image_ids.index("train/empty"), (48, 64)).any()
    assert "WARNING        IndexDataset: there are no evaluation images: there are no predictions" in result.stderr
    assert "predictions    no ground truth, no score" in result.stderr
    assert "there are no evaluation images" in next(own.artifacts.glob("folder/WriteReport/*/report.html")).read_text()
    assert len(list(own.artifacts.glob("folder/PredictMasks/*.zarr/label/c/*"))) == 2  # pseudo-labels: 4 and 3 images
    again = own.luigi("RunAll", "--processes", 1)
    assert again.returncode == 0
    assert "everything is complete already" in again.stderr


def add_without_depth(own, name, tag, split):
    add(own, name, tag, split=split, mask=tag != "-" and split == "evaluation")
    (own.data_root / "depth" / f"{name}.png").unlink()


def test_images_without_depth_are_matched_where_others_have_depth(own):
    """A photograph of one object in labels.csv, an image of background alone, and a frame of another camera."""
    for number in range(6):
        add(own, f"i{number}", ("red", "green")[number % 2], split="evaluation" if number > 3 else "train", mask=True)
    for name, tag, split in (("crop", "red", "train"), ("empty", "-", "train"), ("seen", "green", "evaluation")):
        add_without_depth(own, name, tag, split)
    scored = ("EvaluateInstances", "--processes", 1, "--method", "match", "--scored", "measured")
    (own.data_root / "instances").mkdir()
    for path in (own.data_root / "masks").iterdir():
        mask = np.asarray(Image.open(path)) > 0
        Image.fromarray(mask.astype(np.uint8)).save(own.data_root / "instances" / path.name)
    results = own.luigi("RunAll", "--processes", 1, "--method", "match"), own.luigi(*scored)
    assert [result.returncode for result in results] == [0, 0], results
    for line in (
        "SplitInstances: WARNING: 2 of 6 images have no depth, so they have no instance",
        "MatchObjects-evaluation: WARNING: 1 of 3 images have no depth, so no object is named there",
        "BuildTemplates red: WARNING: 1 of 3 frames have no depth, so they give no template",
        "EvaluateInstances-evaluation: WARNING: 1 of 3 images have no depth and do not count",
    ):
        assert line in results[0].stderr + results[1].stderr, line
    wanted = {"train/crop": {65535}, "train/empty": {0}, "evaluation/seen": {0}, "evaluation/i4": {0, 2}}
    for store in map(ShardedStore, own.artifacts.glob("folder/MatchObjects/*.zarr")):
        for image_id in wanted.keys() & set(store.image_ids):
            labels = store.read_image("label", store.image_ids.index(image_id), (48, 64))
            assert set(np.unique(labels).tolist()) == wanted.pop(image_id), image_id
    assert not wanted
    (path,) = own.artifacts.glob("folder/EvaluateInstances/*/scores.json")
    assert json.loads(path.read_text())["images"] == 2
    seeds = own.luigi("GenerateSeeds", "--processes", 1, "--source", "match")
    assert seeds.returncode == 0, seeds.stderr


def test_evaluation_images_alone_can_be_measured_and_not_learnt_from(own, finished):
    for number in range(4):
        add(own, f"i{number}", ("red", "green")[number % 2], split="evaluation", mask=True)
    result = own.luigi("EvaluateSuperpixels", "--processes", 1, "--kinds", "cells,slic")
    assert result.returncode == 0, result.stderr
    assert "| slic |" in result.stderr
    refused = own.luigi("RunAll", "--processes", 1)
    assert refused.returncode != 0
    assert "the train split is empty; put images there" in refused.stderr
    assert "Traceback" not in refused.stderr
    # A model from elsewhere must know the same classes.
    (model,) = finished.artifacts.glob("bop/TrainSegmenter/*")
    flags = ["EvaluateMasks", "--results", "predictions", "--PredictMasks-model", model, "--processes", 1]
    result = own.luigi(*flags)
    assert result.returncode != 0
    assert "the model knows the classes background, " in result.stderr
    names = json.loads((model / "model.json").read_text())["class_names"]
    (own.data_root / "classes.txt").write_text("\n".join(names[1:]))
    table = own.data_root / "labels.csv"
    table.write_text(table.read_text().replace("red", names[1]).replace("green", names[2]))
    result = own.luigi(*flags)
    assert result.returncode == 0, result.stderr
    (path,) = own.artifacts.glob("folder/EvaluateMasks/*/scores.json")
    assert json.loads(path.read_text())["predictions"]["images"] == 4


def test_portrait_landscape_and_odd_frames_together(own, monkeypatch):
    for name in ("tasks.runtime.layout.SHARD_BYTES", "data.store.tiles.SHARD_BYTES"):
        monkeypatch.setattr(name, 2 * 48 * 64 * 5)  # two usual frames of depth
    monkeypatch.setattr("models.input_size.LARGEST_INPUT", 64 * 96)
    monkeypatch.setattr("tasks.runtime.layout.LARGEST_CROP", 64 * 64)
    sizes = [(48, 64), (64, 48), (48, 64), (64, 48), (300, 400), (900, 2)]
    for number, size in enumerate(sizes):
        add(own, f"i{number}", ("red", "green")[number % 2], size)
    (own.data_root / "depth/i1.png").unlink()
    (own.data_root / "crops/red").mkdir(parents=True)
    Image.fromarray(np.full((20, 9, 3), (200, 30, 30), np.uint8)).save(own.data_root / "crops/red/a.png")
    pasting = ("--TrainClassifier-cutouts", 2, "--TrainSegmenter-cutouts", 2)
    result = own.luigi("RunAll", "--processes", 1, *pasting)
    assert result.returncode == 0, result.stderr
    assert warnings_in(own, "IndexDataset")[1:] == [
        "2 of 6 images are much larger than the others: train/i4 (400x300), train/i5 (2x900)",
        "1 of 6 images have no depth, so depth is not used there: train/i1",
    ]
    assert "ExtractKeys: 1 images are shown to the network at a scale below" in result.stderr
    (model,) = own.artifacts.glob("folder/TrainClassifier/*/model.json")
    assert json.loads(model.read_text())["size"] == [64, 64]
    (depth,) = own.artifacts.glob("folder/LoadDepth/*.zarr")
    store = ShardedStore(depth)
    for index, size in enumerate(sizes):
        assert store.read_image("valid", index, size).all() == (index != 1)
    for index, size in enumerate(sizes[:5]):
        assert index == 1 or store.read_image("depth", index, size)[size[0] // 2, size[1] // 2] == pytest.approx(0.6)
