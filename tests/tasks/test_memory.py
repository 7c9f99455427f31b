import sys

import numpy as np
import pytest

from tasks.memory import peak_memory_mb, reset_peak_memory


@pytest.mark.skipif(sys.platform != "linux", reason="the reset needs /proc")
def test_the_peak_is_counted_anew():
    block = np.ones(100_000_000 // 8)
    high = peak_memory_mb()
    del block
    reset_peak_memory()
    assert high - peak_memory_mb() > 50
