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
        # the index lists the mask files by name; what is in it of them is nobody's input but scoring's
        return {
            name: value
            for name, value in contents(line.artifacts).items()
            if name.split("/")[1] not in ("IndexDataset", "EvaluateMasks")
            and not name.endswith(("stage.json", "COMPLETE.json", "zarr.json"))
        }

    assert learnt(blind) == learnt(command_line)
    identities = {path.name for path in blind.artifacts.glob("bop/*/*") if "EvaluateMasks" not in path.parts}
    assert identities == {p.name for p in command_line.artifacts.glob("bop/*/*") if "EvaluateMasks" not in p.parts}
