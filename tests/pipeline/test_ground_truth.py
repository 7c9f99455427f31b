"""No training stage reads ground truth: without the masks, every artifact but scores and report is the same."""

import shutil

import pytest
from support import CommandLine, contents


@pytest.mark.pipeline
def test_pseudo_labels_and_model_do_not_change_when_the_masks_are_gone(command_line, tmp_path):
    assert command_line.luigi("EvaluateMasks", "--processes", 1).returncode == 0
    blind = CommandLine(command_line.folder, tmp_path / "blind")
    blind.artifacts = tmp_path / "blind artifacts"
    shutil.copytree(command_line.data_root, blind.data_root, ignore=shutil.ignore_patterns("mask", "mask_visib"))
    assert blind.luigi("EvaluateMasks", "--processes", 1).returncode == 0

    def learnt(line):
        return {name: value for name, value in contents(line.artifacts).items() if "/EvaluateMasks/" not in name}

    assert learnt(blind) == learnt(command_line)
    assert len({name.split("/")[1] for name in learnt(blind)}) == 9
    assert blind.scores() == dict.fromkeys(command_line.scores())


@pytest.mark.pipeline
def test_masks_that_come_later_are_scored_without_learning_anew(command_line):
    for folder in sorted(command_line.data_root.glob("*/*/mask_visib")):
        folder.rename(folder.with_name("hidden"))
    command_line.luigi("EvaluateMasks", "--processes", 1)
    assert set(command_line.scores().values()) == {None}
    for folder in sorted(command_line.data_root.glob("*/*/hidden")):
        folder.rename(folder.with_name("mask_visib"))
    result = command_line.luigi("EvaluateMasks", "--processes", 1)
    assert [line for line in result.stderr.splitlines() if "started" in line and "EvaluateMasks" not in line] == []
    assert command_line.scores()["pseudo_labels"]["images"] == 10
