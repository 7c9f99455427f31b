"""Peak memory of this process, counted anew for every stage."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path


def reset_peak_memory() -> None:
    """Let the kernel forget the highest resident size so far (Linux; elsewhere it goes on counting)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb() -> int:
    """Highest resident size since the last reset, MB; worker processes are not counted."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return round(int(line.split()[1]) / 1024)
    except OSError:
        pass
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
