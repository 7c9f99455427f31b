"""kill -9 inside every stage in turn, run again: the same bytes as a run that nobody disturbed."""

import shutil
import signal
from pathlib import Path

import pytest
from support import CommandLineHere, contents, with_hook

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
KILLER = Path(__file__).parent / "kill" / "sitecustomize.py"


@pytest.mark.pipeline
def test_killed_in_every_stage_it_ends_with_the_same_bytes(here, finished_once):
    kill_in(here, STAGES, "superpixel")
    assert_same(here, finished_once)


@pytest.mark.pipeline
def test_so_does_the_method_masking(here, tmp_path):
    undisturbed = CommandLineHere(here.folder, here.data_root, here.capsys)
    undisturbed.artifacts = tmp_path / "undisturbed"
    result = undisturbed.luigi("RunAll", "--method", "masking", "--processes", 1)
    assert result.returncode == 0, result.stderr
    kill_in(here, OF_MASKING, "masking")
    assert_same(here, undisturbed)


def kill_in(line, stages, method):
    """Start the run, kill it in each stage in turn, and let it end at last."""
    for stage in stages:
        environment = {"DEPTHSEED_KILL": stage, "PYTHONPATH": with_hook(KILLER.parent)}
        # Two stages are killed by a worker process, the others by themselves.
        processes = 2 if stage in ("LoadDepth", "PredictMasks") else 1
        flags = ("--method", method, "--processes", processes)
        folder = line.artifacts / "bop" / stage
        # Stages that do not need each other run in any order: one that has run too early is run again.
        shutil.rmtree(folder, ignore_errors=True)
        killed = line.killed(KILLER, "RunAll", *flags, environment=environment)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert folder.exists()
        assert not list(folder.glob("*/COMPLETE.json")), f"{stage} was complete before it was killed"
    result = line.luigi("RunAll", "--method", method, "--processes", 1)
    assert result.returncode == 0, result.stderr


def assert_same(line, undisturbed):
    disturbed, expected = contents(line.artifacts), contents(undisturbed.artifacts)
    assert disturbed.keys() == expected.keys()
    different = [name for name in expected if disturbed[name] != expected[name]]
    assert different == [], "\n".join(different)
