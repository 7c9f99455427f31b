import sys
from typing import NamedTuple

import pytest
import torch

from tasks.runtime import devices, precision
from tasks.runtime.precision import as_float32, autocast, resolved_precision

CPU = torch.device("cpu")


class Output(NamedTuple):
    logits: torch.Tensor
    steps: list


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A function that makes this machine one with a GPU of a compute capability, or with none."""

    def machine(capability):
        precision._has_bfloat16.cache_clear()
        driver = tmp_path / "driver"
        if capability:
            driver.touch()
        monkeypatch.setattr(devices, "DRIVER", driver)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: capability is not None)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)

    yield machine
    precision._has_bfloat16.cache_clear()


def test_auto_is_bf16_where_the_gpu_has_it(machine):
    for capability, expected in (((9, 0), "bf16"), ((8, 0), "bf16"), ((7, 5), "32"), (None, "32")):
        machine(capability)
        assert resolved_precision("auto", "auto") == resolved_precision("auto", "cuda:0") == expected
        assert resolved_precision("auto", "cpu") == "32"
        assert resolved_precision("bf16", "cpu") == "bf16"
        assert resolved_precision("32", "cuda") == "32"


def test_a_machine_without_gpu_plans_without_torch(machine, monkeypatch):
    machine(None)
    monkeypatch.setitem(sys.modules, "torch", None)  # an import would fail
    assert resolved_precision("auto", "auto") == "32"


def test_bf16_is_autocast_and_32_is_not():
    weight = torch.ones(2, 2)
    with autocast(CPU, "bf16"):
        assert (weight @ weight).dtype == torch.bfloat16
    with autocast(CPU, "32"):
        assert (weight @ weight).dtype == torch.float32


def test_all_tensors_of_a_result_become_float32():
    half = torch.ones(2, dtype=torch.bfloat16)
    found = as_float32(Output(half, [half, {"a": (half, 3)}]))
    assert isinstance(found, Output)
    assert found.logits.dtype == found.steps[0].dtype == found.steps[1]["a"][0].dtype == torch.float32
    assert found.steps[1]["a"][1] == 3
    whole = torch.arange(3)
    assert as_float32(whole) is whole
