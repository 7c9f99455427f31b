"""The script is tried in miniature, so that it runs where a GPU is at hand for some minutes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


@pytest.mark.pipeline
def test_every_network_and_training_has_a_line(tmp_path):
    ended = subprocess.run(
        [sys.executable, SCRIPT, "--tiny", "--device", "cpu"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(SCRIPT.parents[1])}, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]
    lines = ended.stdout.splitlines()
    assert not [line for line in lines if "not measured" in line]
    for name in ("ExtractCams", "ExtractKeys", "PredictMasks", "TrainSegmenter", "TrainByMasking", "TrainCoarse"):
        (line,) = [line for line in lines if name in line]
        rate = float(line.split()[-4])
        assert rate > 0
    assert sum("classes, torch on cpu" in line for line in lines) == 3
    assert sum("batch" in line for line in lines) == 3
