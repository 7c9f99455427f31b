"""The GPUs that a device name leaves open."""

import pytest
import torch

from data.errors import SettingError
from tasks.runtime import devices
from tasks.runtime.devices import has_gpu, visible_gpus


@pytest.mark.parametrize(
    ("device", "listed", "found"),
    [
        ("auto", "", ("0", "1")),
        ("cuda", "", ("0", "1")),
        ("cuda:1", "", ("1",)),
        ("cpu", "", ()),
        ("auto", "3,5", ("3", "5")),
        ("cuda:1", "3,5", ("5",)),
        ("auto", "GPU-1a,GPU-2b", ("GPU-1a", "GPU-2b")),
    ],
)
def test_gpus_by_their_names(monkeypatch, device, listed, found):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert visible_gpus(device) == found


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda:2", r"--device cuda:2: the GPUs that can be used here are cuda:0, cuda:1$"),
        ("cuda:x", r"--device cuda:x: the GPUs that can be used here are cuda:0, cuda:1$"),
        ("cuda:-1", r"--device cuda:-1: the GPUs"),
        ("cuda:1:0", r"--device cuda:1:0: the GPUs"),
    ],
)
def test_a_gpu_that_is_not_there_is_one_line(monkeypatch, device, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(SettingError, match=message):
        visible_gpus(device)


def test_without_cuda_there_are_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert visible_gpus("auto") == ()


def test_without_a_driver_torch_is_not_asked(monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "visible_gpus", lambda device: ("0",))
    monkeypatch.setattr(devices, "DRIVER", tmp_path / "driver")
    assert not has_gpu("auto")
    (tmp_path / "driver").touch()
    assert has_gpu("auto")
    assert has_gpu("cuda:0")
    assert not has_gpu("cpu")
