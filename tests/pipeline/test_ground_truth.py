"""No training stage reads ground truth: without the masks, every artifact but scores and report is the same."""

import pytest
from support import contents


def learned(line):
    """Everything that a run has computed but scores and report."""
    return {
        name: value
        for name, value in contents(line.artifacts).items()
        if "/EvaluateMasks/" not in name and "/WriteReport/" not in name
    }


@pytest.mark.pipeline
def test_pseudo_labels_and_model_do_not_change_when_the_masks_are_gone(here, finished_once):
    for folder in sorted(here.data_root.glob("*/*/mask*")):
        folder.rename(folder.with_name(f"hidden_{folder.name}"))
    result = here.luigi("EvaluateMasks", "--processes", 1)
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
