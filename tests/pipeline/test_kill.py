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
    "PredictTags",
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
def test_killed_in_every_stage_it_ends_with_the_same_bytes(command_line, finished_once):
    kill_in(command_line, STAGES, "superpixel")
    assert_same(command_line, finished_once)


@pytest.mark.pipeline
def test_so_does_the_method_masking(command_line, tmp_path):
    undisturbed = CommandLine(command_line.folder, command_line.data_root)  # a process of its own, as those killed
    undisturbed.artifacts = tmp_path / "undisturbed"
    result = undisturbed.luigi("RunAll", "--method", "masking", "--processes", 1)
    assert result.returncode == 0, result.stderr
    kill_in(command_line, OF_MASKING, "masking")
    assert_same(command_line, undisturbed)


def kill_in(line, stages, method):
    """Start the run, kill it in each stage in turn, and let it end at last."""
    for stage in stages:
        environment = {"DEPTHSEED_KILL": stage, "PYTHONPATH": KILLER}
        # Two stages are killed by a worker process, the others by themselves.
        processes = 2 if stage in ("LoadDepth", "PredictMasks") else 1
        killed = line.luigi("RunAll", "--method", method, "--processes", processes, environment=environment)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        folder = line.artifacts / "bop" / stage
        assert folder.exists()
        assert not list(folder.glob("*/COMPLETE.json")), f"{stage} was complete before it was killed"
    result = line.luigi("RunAll", "--method", method, "--processes", 1)
    assert result.returncode == 0, result.stderr


def assert_same(line, undisturbed):
    disturbed, expected = contents(line.artifacts), contents(undisturbed.artifacts)
    assert disturbed.keys() == expected.keys()
    different = [name for name in expected if disturbed[name] != expected[name]]
    assert different == [], "\n".join(different)
