"""No training stage reads ground truth: without the masks, every artifact but scores and report is the same.

This holds for each method that learns from tags, on data with tags of its own. The method ``coarse`` learns from label
maps, and CamVid, Cityscapes, SUIM and PanNuke have no tags but those that IndexDataset reads in their label maps.
"""

import ast
from pathlib import Path

import pytest
from support import contents

from tasks.methods import METHODS, labels_stage

ROOT = Path(__file__).parents[2]
OF_TAGS = [name for name, method in METHODS.items() if "coarse_labels" not in method.stages]


def learned(line):
    """Everything that a run has computed but scores and report."""
    return {
        name: value
        for name, value in contents(line.artifacts).items()
        if "/EvaluateMasks/" not in name and "/WriteReport/" not in name
    }


def hide_masks(root):
    masks = sorted(root.glob("*/*/mask*"))
    assert masks
    for folder in masks:
        folder.rename(folder.with_name(f"hidden_{folder.name}"))


@pytest.mark.pipeline
def test_pseudo_labels_and_model_do_not_change_when_the_masks_are_gone(here, finished_once):
    hide_masks(here.data_root)
    result = here.luigi("RunAll", "--processes", 1)
    assert result.returncode == 0, result.stderr
    assert learned(here) == learned(finished_once)
    assert len({name.split("/")[1] for name in learned(here)}) == 10
    scores = here.scores()
    assert set(scores.values()) == {None}

    # Masks that come later are scored without any training.
    for folder in sorted(here.data_root.glob("*/*/hidden_mask*")):
        folder.rename(folder.with_name(folder.name.removeprefix("hidden_")))
    result = here.luigi("EvaluateMasks", "--processes", 1)
    assert [line for line in result.stderr.splitlines() if "started" in line and "EvaluateMasks" not in line] == []
    assert here.scores() == finished_once.scores()
    assert here.scores()["pseudo_labels"]["images"] == 10


@pytest.mark.pipeline
@pytest.mark.parametrize("method", [name for name in OF_TAGS if name != "superpixel"])
def test_so_it_is_with_every_other_method_that_learns_from_tags(here, finished, method):
    command = ("EvaluateMasks", "--method", method, "--results", "predictions", "--processes", 1)
    assert finished.luigi(*command).returncode == 0  # with the masks; what it shares with `superpixel` is there
    hide_masks(here.data_root)
    result = here.luigi(*command)
    assert result.returncode == 0, result.stderr
    without, with_masks = learned(here), learned(finished)
    assert without.keys() <= with_masks.keys()
    assert [name for name in without if without[name] != with_masks[name]] == []
    assert any(f"/{labels_stage(method).__name__}/" in name for name in without)


READERS = {
    "tasks/evaluate_masks.py": "scores",
    "tasks/evaluate_instances.py": "scores",
    "tasks/export_model.py": "scores of the exported files",
    "pipeline/evaluate_superpixels.py": "scores",
    "pipeline/report/strips.py": "pictures",
    "pipeline/similarity_pictures.py": "pictures",
    "pipeline/view/panels.py": "pictures, and scores of single images",
    "tasks/coarsen_masks.py": "method coarse, source=fine",
    "tasks/refine_saliency.py": "ground_truth=true, which warns",
}
"""File that opens masks -> what for."""


def test_no_other_file_opens_masks():
    """The ways to the pixels are `read_truth` and `read_instances`; IndexDataset reads tags by `RememberedTags`."""
    found = {
        path.relative_to(ROOT).as_posix()
        for room in ("tasks", "pipeline", "models")
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and any(alias.name in ("read_truth", "read_instances") for alias in node.names)
    }
    assert found == READERS.keys()
