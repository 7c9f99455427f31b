import pytest

from data.sample import EVALUATION, TRAIN, DatasetIndex, Sample
from pipeline.view.run import _wanted as wanted_stages
from pipeline.write_report import LISTED_CLASSES, WriteReport, listed_classes
from tasks import match_objects
from tasks.baseline_masks import BaselineMasks
from tasks.predict_masks import PredictMasks
from tasks.runtime.dag import stages


def dataset(tmp_path, count, tags):
    names = ("background", *(f"class {number}" for number in range(1, count)))
    samples = [
        Sample(f"{split}/{place}", split, tmp_path / "a.png", found)
        for split in (TRAIN, EVALUATION)
        for place, found in enumerate(tags)
    ]
    return DatasetIndex(tmp_path, names, tuple(samples))


def test_all_classes_are_listed_if_there_are_few(tmp_path):
    assert listed_classes(dataset(tmp_path, LISTED_CLASSES, [(3,)])) == list(range(LISTED_CLASSES))


def test_of_many_classes_those_with_the_most_images_are_listed_in_their_order(tmp_path):
    listed = listed_classes(dataset(tmp_path, 1204, [(300, 1203), (255, 300), (44,)]))
    assert len(listed) == LISTED_CLASSES
    assert listed == sorted(listed)
    assert {0, 44, 255, 300, 1203} < set(listed)
    assert 256 not in listed


def test_the_confusion_matrix_shows_the_listed_classes_in_percent_of_all_pixels():
    confusion = [[2, 1, 1, 0], [0, 4, 0, 4], [1, 0, 2, 1]]  # the last column is unlabelled
    found = WriteReport._confusion({"predictions": {"confusion": confusion}}, ["a", "b", "c"], [0, 2])
    assert found["rows"] == [{"name": "a", "shares": [50.0, 25.0]}, {"name": "c", "shares": [25.0, 50.0]}]
    assert WriteReport._confusion({"predictions": {"confusion": None}}, ["a", "b", "c"], [0, 2]) is None


def test_a_model_from_elsewhere_needs_no_training(in_process, bop_root, tmp_path, monkeypatch):
    monkeypatch.setattr(PredictMasks, "content_identity", lambda stage: {})  # the folder has no model
    monkeypatch.setattr(PredictMasks, "learns_superpixels", False)
    common = {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts")}
    assert "TrainSegmenter" in {type(stage).__name__ for stage in stages(WriteReport(**common))}
    foreign = WriteReport(**common, settings={"PredictMasks": {"model": str(tmp_path)}})
    names = {type(stage).__name__ for stage in stages(foreign)}
    assert "TrainSegmenter" not in names
    assert {"PredictMasks", "EvaluateMasks", "GenerateSeeds"} <= names


@pytest.mark.parametrize("proposals", ["depth", "files"])
def test_the_proposals_of_match_are_those_that_were_named(in_process, bop_root, tmp_path, monkeypatch, proposals):
    """They were once those of SplitInstances with its default source: other instances, computed for the page alone."""
    monkeypatch.setattr(BaselineMasks, "content_identity", lambda stage: {})  # no masks need to be there
    monkeypatch.setattr(match_objects, "known_classes", lambda index: [])  # nor images of single objects
    common = {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts")}
    report = WriteReport(**common, method="match", settings={"MatchObjects": {"proposals": proposals}})
    named = report.required["pseudo_labels"].required["proposals"]
    assert report.required["proposals"].identity == named.identity
    known = {(type(stage).__name__, stage.split): stage.identity for stage in stages(report) if hasattr(stage, "split")}
    kind = {"depth": "SplitInstances", "files": "BaselineMasks"}[proposals]
    assert known[kind, TRAIN] == named.identity
    assert [name for name, _ in known if name in ("SplitInstances", "BaselineMasks")] == [kind, kind]
    shown = wanted_stages(report)
    assert shown[TRAIN]["proposals"].identity == named.identity
    assert (type(shown[EVALUATION]["proposals"]).__name__, shown[EVALUATION]["proposals"].split) == (kind, EVALUATION)
