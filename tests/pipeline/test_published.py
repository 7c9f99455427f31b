from dataclasses import replace
from types import SimpleNamespace

import luigi
import numpy as np
import pytest
from PIL import Image

from data.sample import EVALUATION
from pipeline import IndexDataset, PredictMasks
from pipeline.published import first_difference, published_lines, taken_on_trust
from tasks.load_saliency import LoadSaliency
from tasks.presets import PROFILES, Published
from tasks.runtime.dag import stages
from tasks.runtime.luigi_seam import forget_instances

SUPERPIXEL, MASKING = PROFILES["voc-superpixel"], PROFILES["voc-masking"]


@pytest.fixture
def run(bop_root, monkeypatch):
    """What `first_difference` looks at, of a run with the constants of a profile but for `changed`."""
    monkeypatch.setattr(LoadSaliency, "content_identity", lambda stage: {})  # maps need not be there
    forget_instances()

    def run(changed=None, dataset="voc", method=None, profile="voc-superpixel"):
        task = PredictMasks(
            dataset="bop", data_root=str(bop_root), profile=profile, settings=changed or {}, split=EVALUATION
        )
        seen = SimpleNamespace(dataset=dataset, method=method or task.method, profile=profile)
        return seen, list(stages(task))

    yield run
    forget_instances()


@pytest.fixture
def weights(tmp_path):
    file = tmp_path / "coco.pth"
    file.write_bytes(b"weights")
    return str(file)


def test_a_run_as_in_the_paper_may_be_compared(run):
    assert first_difference(SUPERPIXEL, *run(), "val", 1449) == ""
    assert first_difference(SUPERPIXEL, *run(), "test", 1456) == ""
    assert list(taken_on_trust(run()[1])) == []


def test_what_differs_is_named(run):
    task, above = run()
    assert "reports val and test, not train" in first_difference(SUPERPIXEL, task, above, "train", 1449)
    assert "val has 1449 images, here are 20" in first_difference(SUPERPIXEL, task, above, "val", 20)
    assert "uses voc, not demo" in first_difference(SUPERPIXEL, *run(dataset="demo"), "val", 1449)
    masking = first_difference(SUPERPIXEL, *run(method="masking"), "val", 1449)
    assert "has the method superpixel, not masking" in masking


@pytest.mark.parametrize(("stage", "name", "value", "line"), [
    ("GenerateSeeds", "alpha", 0.6, "--GenerateSeeds-alpha is 0.6, the profile has 0.5"),
    # what the profile leaves at the default
    ("TrainClassifier", "jitter", 0.5, "--TrainClassifier-jitter is 0.5, the profile has 0.2"),
    # stages that the profile does not name
    ("IndexDataset", "size", 640, "--IndexDataset-size is 640, the profile has 0"),
    ("IndexDataset", "tuning", 0.5, "--IndexDataset-tuning is 0.5, the profile has 0.0"),
])  # fmt: skip
def test_a_parameter_of_any_stage_counts(run, stage, name, value, line):
    assert first_difference(SUPERPIXEL, *run({stage: {name: value}}), "val", 1449) == line


def test_a_model_from_elsewhere_is_not_the_papers(run, monkeypatch, tmp_path):
    monkeypatch.setattr(PredictMasks, "content_identity", lambda stage: {})  # no model needs to be there
    task, above = run({"PredictMasks": {"model": str(tmp_path)}})
    assert first_difference(SUPERPIXEL, task, above, "val", 1449) == (
        f"--PredictMasks-model is {tmp_path}, a model from elsewhere; the paper's is trained by the run"
    )


def test_a_stage_that_the_profile_does_not_name_must_have_its_defaults(run):
    """Depth is read for the depth edge loss, which is a difference itself; so its stage is looked at alone."""
    task, above = run({"TrainClassifier": {"deal_weight": 1.0}, "LoadDepth": {"median_size": 7}})
    depth = [stage for stage in above if type(stage).__name__ == "LoadDepth"]
    assert first_difference(SUPERPIXEL, task, depth, "val", 1449).startswith("--LoadDepth-median-size is 7")


def test_the_training_images_are_those_of_the_usual_folder(run, bop_root):
    usual = run({"IndexDataset": {"train_folder": "train_pbr"}})
    assert first_difference(SUPERPIXEL, *usual, "val", 1449) == ""
    (bop_root / "train_pbr").rename(bop_root / "fewer")
    other = run({"IndexDataset": {"train_folder": "fewer"}})
    assert first_difference(SUPERPIXEL, *other, "val", 1449) == (
        "--IndexDataset-train-folder is fewer, the paper learns from train_pbr"
    )


def test_labels_that_were_corrected_by_hand_are_not_the_papers(run, bop_root):
    task, above = run()
    image = next(stage for stage in above if isinstance(stage, IndexDataset)).indexed.split("train")[0]
    path = bop_root / "corrections" / f"{image.image_id}.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(path)
    forget_instances()
    found = first_difference(SUPERPIXEL, *run(), "val", 1449)
    assert found.startswith("the paper corrects no label by hand")


def test_weights_of_a_file_are_trusted_and_random_ones_are_not_the_papers(run, weights):
    task, above = run({"ExtractKeys": {"weights": weights}})
    assert first_difference(SUPERPIXEL, task, above, "val", 1449) == ""
    assert list(taken_on_trust(above)) == ["FILE of --ExtractKeys-weights holds the paper's weights"]
    random = run({"ExtractKeys": {"weights": "random"}})
    assert "--ExtractKeys-weights is random" in first_difference(SUPERPIXEL, *random, "val", 1449)


def test_masking_begins_at_weights_that_only_a_file_has(run, weights):
    hub = run(profile="voc-masking")
    assert first_difference(MASKING, *hub, "val", 1449) == (
        "the paper begins at weights of MS COCO; name them by --TrainByMasking-weights FILE"
    )
    task, above = run({"TrainByMasking": {"weights": weights}}, profile="voc-masking")
    assert first_difference(MASKING, task, above, "val", 1449) == ""
    assert list(taken_on_trust(above)) == [
        "FOLDER of --LoadSaliency-folder holds the maps of the paper's detector",
        "FILE of --TrainByMasking-weights holds the paper's weights",
    ]


def test_a_run_says_why_and_what_is_open(in_process, bop_root, tmp_path):
    common = {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path), "split": EVALUATION}
    index = IndexDataset(dataset="bop", data_root=str(bop_root), artifacts=str(tmp_path))
    assert luigi.build([index], local_scheduler=True, log_level="ERROR")
    lines = published_lines(PredictMasks(profile="voc-superpixel", **common))
    assert lines[0] == "the paper's result is not shown, since it cannot be compared: the paper uses voc, not bop"
    assert lines[1:] == [f"open: {line}" for line in SUPERPIXEL.left_open]
    assert published_lines(PredictMasks(profile="small", **common)) == []
    assert published_lines(PredictMasks(profile="hope-deal", **common))[0].startswith("open: backbone")


def test_a_comparable_result_stands_beside_the_papers_with_its_conditions(in_process, bop_root, tmp_path, weights):
    """The tiny set stands for the paper's: a profile says that it is, with as many images."""
    common = {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path)}
    assert luigi.build([IndexDataset(**common)], local_scheduler=True, log_level="ERROR")
    images = len(IndexDataset(**common).open().split(EVALUATION))
    paper = replace(SUPERPIXEL, dataset="bop", published={"test": Published(69.5, images)})
    settings = {name: dict(values) for name, values in paper.settings.items()}  # luigi.cfg of the tests is tiny
    settings["ExtractKeys"]["weights"] = weights
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROFILES, "voc-superpixel", paper)
        task = PredictMasks(profile="voc-superpixel", split=EVALUATION, settings=settings, **common)
        assert published_lines(task)[0] == (
            "mIoU 69.5 % on bop test, predictions, if FILE of --ExtractKeys-weights holds the paper's weights"
        )
