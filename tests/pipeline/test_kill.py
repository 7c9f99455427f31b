"""kill -9 inside every stage in turn, run again: the same bytes as a run that nobody disturbed."""

import signal
from pathlib import Path

import pytest
from support import CommandLine, contents

STAGES = [
    "IndexDataset",
    "LoadDepth",
    "TrainClassifier",
    "ExtractCams",
    "ExtractKeys",
    "DiscoverSuperpixels",
    "GenerateSeeds",
    "TrainSegmenter",
    "PredictMasks",
    "EvaluateMasks",
    "WriteReport",
]
OF_MASKING = ["LoadSaliency", "RefineSaliency", "TrainByMasking"]
KILLER = str(Path(__file__).parent / "kill")


@pytest.mark.pipeline
@pytest.mark.parametrize(("method", "stages"), [("superpixel", STAGES), ("masking", OF_MASKING)])
def test_killed_in_every_stage_it_ends_with_the_same_bytes(command_line, tmp_path, method, stages):
    undisturbed = CommandLine(command_line.folder, command_line.data_root)
    undisturbed.artifacts = tmp_path / "undisturbed"
    result = undisturbed.luigi("RunAll", "--method", method, "--processes", 1)
    assert result.returncode == 0, result.stderr

    for stage in stages:
        environment = {"DEPTHSEED_KILL": stage, "PYTHONPATH": KILLER}
        # Two stages die in a worker process that takes the main one along, the others at home.
        processes = 2 if stage in ("LoadDepth", "PredictMasks") else 1
        killed = command_line.luigi("RunAll", "--method", method, "--processes", processes, environment=environment)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        folder = command_line.artifacts / "bop" / stage
        assert folder.exists()
        assert not list(folder.glob("*/COMPLETE.json")), f"{stage} was complete before it was killed"

    result = command_line.luigi("RunAll", "--method", method, "--processes", 1)
    assert result.returncode == 0, result.stderr
    disturbed, expected = contents(command_line.artifacts), contents(undisturbed.artifacts)
    assert disturbed.keys() == expected.keys()
    assert [name for name in expected if disturbed[name] != expected[name]] == []
