import os
import subprocess
import sys

import numpy as np
import psutil
import pytest

from tasks.runtime.memory import available_bytes, peak_memory_mb, reset_peak_memory


@pytest.mark.skipif(sys.platform != "linux", reason="the reset needs /proc")
def test_the_peak_is_counted_again():
    block = np.ones(100_000_000 // 8)
    high = peak_memory_mb()
    del block
    reset_peak_memory()
    assert high - peak_memory_mb() > 50


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_blocks_are_kept_until_the_reset():
    code = """
import numpy as np, sys
from pathlib import Path
from tasks.runtime.memory import keep_freed_memory, reset_peak_memory
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
if sys.argv[1] == "keep":
    keep_freed_memory()
blocks = [np.ones(100_000_000 // 8) for _ in range(2)]
del blocks
held = resident()
reset_peak_memory()
print(held - resident())
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}

    def held_by(mode: str) -> int:
        command = [sys.executable, "-c", code, mode]
        return int(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)

    held = [held_by("keep"), held_by("default")]
    assert held[0] > 150e6 > 50e6 > held[1]


def test_a_control_group_limits_what_is_available(tmp_path):
    groups, own = tmp_path / "groups", tmp_path / "own"
    job = groups / "slurm" / "job_7"
    job.mkdir(parents=True)
    own.write_text("12:cpu:/elsewhere\n0::/slurm/job_7\n")
    assert available_bytes(groups, own) == pytest.approx(psutil.virtual_memory().available, rel=0.2)
    for folder, limit in ((job, "max"), (groups / "slurm", "5000")):
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text("2000\n")
    assert available_bytes(groups, own) == 3000
    (job / "memory.max").write_text("1500\n")
    assert available_bytes(groups, own) == 0
    assert available_bytes(groups, tmp_path / "none") > 3000
