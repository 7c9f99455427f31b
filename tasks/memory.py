"""Peak memory of this process, counted anew for every stage."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
from pathlib import Path


def reset_peak_memory() -> None:
    """Forget the highest resident size so far (Linux; elsewhere it goes on counting).

    What the stage before has freed goes back to the system first, or it would count for this one.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # glibc keeps freed pages
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
