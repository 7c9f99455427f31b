"""As many classes as LVIS has (1,203) through the real command line: class 300 is not 44, and 255 is a class."""

import json

import numpy as np
import pytest
from PIL import Image

from data.sample import UNLABELLED
from data.store.sharded import ShardedStore

CLASSES = 1203
TAGS = [(44,), (255,), (256,), (300,), (1203,), (300, 1203), (255, 44), (256, 300)]
"""Tags of the training images; those of the evaluation images are the first four."""

SETTINGS = {
    "TrainClassifier": {"epochs": 10, "learning_rate": 0.05},
    "TrainSegmenter": {"epochs": 6, "learning_rate": 0.01, "start": "pretrained", "rates": [1.0]},
    "PredictMasks": {"crf": "none"},
}
"""Random networks learn something in a few seconds."""

SIZE = (48, 64)


def name(number):
    return f"class-{number}"


def label_map(tags):
    """Two halves of an object in front of the background, and an unlabelled last row."""
    labels = np.zeros(SIZE, np.uint16)
    labels[8:40, 10:32], labels[8:40, 32:54], labels[-1] = tags[0], tags[-1], UNLABELLED
    return labels


@pytest.fixture
def root(tmp_path):
    """Eight training and four evaluation images; the colour of an object depends on its class."""
    rng = np.random.default_rng(0)
    colours = {number: rng.integers(40, 256, 3) for number in (44, 255, 256, 300, 1203)}
    root = tmp_path / "lvis"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    rows = ["image,tags,split"]
    for place, tags in enumerate([*TAGS, *TAGS[:4]]):
        labels = label_map(tags)
        image = rng.integers(0, 30, (*SIZE, 3))
        for number in tags:
            image[labels == number] += colours[number] - 30
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(root / "images" / f"{place:02d}.png")
        Image.fromarray(labels).save(root / "masks" / f"{place:02d}.png")
        split = "train" if place < len(TAGS) else "evaluation"
        rows.append(f"{place:02d}.png,{' '.join(map(name, tags))},{split}")
    (root / "labels.csv").write_text("\n".join(rows))
    (root / "classes.txt").write_text("\n".join(name(number) for number in range(1, CLASSES + 1)))
    return root


def artifact_of(line, stage, split=""):
    """The one artifact of a stage, of one split."""
    found = {path.parent: json.loads(path.read_text()) for path in line.artifacts.glob(f"folder/{stage}/*/stage.json")}
    (path,) = (path for path, stage in found.items() if split in ("", stage["parameters"].get("split")))
    return path


def maps_of(line, stage, array, split=""):
    store = ShardedStore(artifact_of(line, stage, split))
    return [store.read_image(array, index) for index in range(store.num_images())]


@pytest.mark.pipeline
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_classes_above_a_byte_go_through_all_stages(here, root, tmp_path):
    from pycocotools.coco import COCO

    flags = ["--dataset", "folder", "--data-root", root, "--processes", 1, "--settings", json.dumps(SETTINGS)]
    result = here.luigi("RunAll", *flags)
    assert result.returncode == 0, result.stderr
    for tags, seed in zip(TAGS, maps_of(here, "GenerateSeeds", "seed"), strict=True):
        assert seed.dtype == np.uint16
        assert set(tags) <= set(np.unique(seed).tolist()) <= {0, *tags, UNLABELLED}
    pseudo_labels = maps_of(here, "PredictMasks", "label", "train")
    for tags, labels in zip(TAGS, pseudo_labels, strict=True):
        assert set(np.unique(labels).tolist()) <= {0, *tags}
    assert {255, 256, 300, 1203} & set(np.unique(pseudo_labels).tolist())
    assert all(labels.max() <= CLASSES for labels in maps_of(here, "PredictMasks", "label", "evaluation"))

    scores = json.loads((artifact_of(here, "EvaluateMasks") / "scores.json").read_text())
    assert scores["initial_seed"]["images"] == len(TAGS)
    assert scores["initial_seed"]["per_class"][name(300)] > 0
    assert scores["initial_seed"]["per_class"][name(45)] is None
    assert scores["predictions"]["miou"] is not None
    assert scores["predictions"]["confusion"] is None
    page = (artifact_of(here, "WriteReport") / "report.html").read_text()
    assert "list background and the 99 classes with the most images" in page
    assert f"<td>{name(1203)}</td>" in page

    result = here.luigi("ExportLabels", *flags)
    assert result.returncode == 0, result.stderr
    exported = artifact_of(here, "ExportLabels")
    coco = COCO(exported / "coco.json")
    assert len(coco.getCatIds()) == CLASSES
    for place, labels in enumerate(pseudo_labels):
        assert np.array_equal(np.asarray(Image.open(exported / "png" / "train" / f"{place:02d}.png")), labels)
        read = np.zeros(SIZE, np.uint16)
        for item in coco.loadAnns(coco.getAnnIds(imgIds=[place + 1])):
            read[coco.annToMask(item) > 0] = item["category_id"]
        assert np.array_equal(read, labels)
    new = ["--images", root / "images", "--output", tmp_path / "out", "--flip", "false"]
    result = here.plain("PredictFolder", "--model", artifact_of(here, "TrainSegmenter"), *new)
    assert result.returncode == 0, result.stderr
    assert np.asarray(Image.open(tmp_path / "out" / "00.png")).dtype == np.uint16


@pytest.mark.pipeline
def test_coarse_labels_keep_classes_above_a_byte(here, root):
    flags = ["--dataset", "folder", "--data-root", root, "--method", "coarse", "--processes", 1]
    only = ["--CoarsenMasks-radius", 0, "--EvaluateMasks-results", "coarse_labels"]
    result = here.luigi("EvaluateMasks", *flags, *only)
    assert result.returncode == 0, result.stderr
    for tags, labels in zip(TAGS, maps_of(here, "CoarsenMasks", "label"), strict=True):
        assert np.array_equal(labels, label_map(tags))
    scores = json.loads((artifact_of(here, "EvaluateMasks") / "scores.json").read_text())["coarse_labels"]
    assert (scores["miou"], scores["boundary_f"], scores["labelled"]) == (100, 100, 100)
    known = {label: iou for label, iou in scores["per_class"].items() if iou is not None}
    assert known == {"background": 100, **{name(number): 100 for number in (44, 255, 256, 300, 1203)}}
