from types import SimpleNamespace

import luigi
import pytest

from pipeline import GenerateSeeds, IndexDataset
from pipeline.published import first_difference, published_lines
from tasks.presets import PROFILES
from tasks.runtime.dag import stages

PROFILE = PROFILES["voc-superpixel"]


@pytest.fixture
def run(in_process, bop_root):
    """What `first_difference` looks at, of a run with the constants of the profile but for `changed`."""

    def run(changed=None, dataset="voc", method="superpixel"):
        settings = {name: {**values, **(changed or {}).get(name, {})} for name, values in PROFILE.settings.items()}
        task = GenerateSeeds(dataset="bop", data_root=str(bop_root), profile="voc-superpixel", settings=settings)
        seen = SimpleNamespace(dataset=dataset, method=method, profile="voc-superpixel")
        return seen, list(stages(task))

    return run


def test_a_run_as_in_the_paper_may_be_compared(run):
    assert first_difference(PROFILE, *run(), "val", 1449) == ""
    assert first_difference(PROFILE, *run(), "test", 1456) == ""


def test_what_differs_is_named(run):
    task, above = run()
    assert "reports val and test, not train" in first_difference(PROFILE, task, above, "train", 1449)
    assert "val has 1449 images, here are 20" in first_difference(PROFILE, task, above, "val", 20)
    assert "uses voc, not demo" in first_difference(PROFILE, *run(dataset="demo"), "val", 1449)
    masking = first_difference(PROFILE, *run(method="masking"), "val", 1449)
    assert "has the method superpixel, not masking" in masking
    other = run(changed={"GenerateSeeds": {"alpha": 0.6}})
    assert first_difference(PROFILE, *other, "val", 1449) == "--GenerateSeeds-alpha is 0.6, the profile has 0.5"


def test_what_the_profile_leaves_at_the_default_counts_too(run):
    other = run(changed={"TrainClassifier": {"jitter": 0.5}})
    assert first_difference(PROFILE, *other, "val", 1449) == "--TrainClassifier-jitter is 0.5, the profile has 0.2"


def test_weights_of_a_file_are_the_papers_and_random_ones_are_not(run, tmp_path):
    file = tmp_path / "coco.pth"
    file.write_bytes(b"weights")
    named = run(changed={"ExtractKeys": {"weights": str(file)}})
    assert first_difference(PROFILE, *named, "val", 1449) == ""
    random = run(changed={"ExtractKeys": {"weights": "random"}})
    assert "--ExtractKeys-weights is random" in first_difference(PROFILE, *random, "val", 1449)


def test_a_run_says_why_and_what_is_open(in_process, bop_root, tmp_path):
    common = {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path)}
    assert luigi.build([IndexDataset(**common)], local_scheduler=True, log_level="ERROR")
    lines = published_lines(GenerateSeeds(profile="voc-superpixel", **common))
    assert lines[0] == "the paper's result is not shown, since it cannot be compared: the paper uses voc, not bop"
    assert lines[1:] == [f"open: {line}" for line in PROFILE.left_open]
    assert published_lines(GenerateSeeds(profile="small", **common)) == []
    assert published_lines(GenerateSeeds(profile="hope-deal", **common))[0].startswith("open: backbone")
