import importlib.util
import time
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")
spec = importlib.util.spec_from_file_location("latency", Path(__file__).parents[2] / "benchmarks" / "latency.py")
latency = importlib.util.module_from_spec(spec)
spec.loader.exec_module(latency)


def test_functions_run_in_turn_and_the_first_rounds_do_not_count():
    calls = []

    def slow_at_first():
        calls.append("a")
        time.sleep(0.05 if len(calls) <= 2 * latency.WARM_UP else 0.0)

    found = latency.milliseconds({"a": slow_at_first, "b": lambda: calls.append("b")}, 3)
    assert calls == ["a", "b"] * (latency.WARM_UP + 3)
    median, least = found["a"]
    assert least <= median < 40
    assert latency.texture(30, 20, 0).shape == (20, 30, 3)
