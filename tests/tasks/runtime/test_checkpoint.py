import copy
import random

import pytest
import torch
from torch import nn

from data.errors import StoreError
from tasks.runtime.checkpoint import resume, save_checkpoint


def trained(optimizer_class=torch.optim.AdamW, steps=2):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    optimizer = optimizer_class([{"params": network.parameters(), "factor": 2.0}], lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        network(torch.randn(2, 3, 8, 8)).square().mean().backward()
        optimizer.step()
    return network, optimizer


@pytest.mark.parametrize("optimizer_class", [torch.optim.AdamW, torch.optim.SGD])
def test_everything_comes_back(tmp_path, optimizer_class):
    network, optimizer = trained(optimizer_class)
    save_checkpoint(tmp_path / "checkpoint", {"network": network}, optimizer, [{"loss": 0.1 + 0.2}])
    fresh, other = trained(optimizer_class, steps=0)
    assert resume(tmp_path / "checkpoint", {"network": fresh}, other) == [{"loss": 0.1 + 0.2}]
    for name, value in network.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value)
    saved, loaded = optimizer.state_dict(), other.state_dict()
    assert [{**group, "betas": list(group.get("betas", []))} for group in saved["param_groups"]] == [
        {**group, "betas": list(group.get("betas", []))} for group in loaded["param_groups"]
    ]
    for number, entries in saved["state"].items():
        for key, value in entries.items():
            found = loaded["state"][number][key]
            assert torch.equal(found, value) if isinstance(value, torch.Tensor) else found == value
            assert not isinstance(value, torch.Tensor) or found.stride() == value.stride()


def test_no_flipped_bit_and_no_cut_is_resumed(tmp_path):
    network, optimizer = trained()
    path = tmp_path / "checkpoint"
    save_checkpoint(path, {"network": network}, optimizer, [{"loss": 1.0}])
    content, rng = path.read_bytes(), random.Random(0)
    for trial in range(400):
        damaged = bytearray(content)
        if trial % 4 == 3:
            del damaged[rng.randrange(len(damaged)) :]
        else:
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        fresh, other = trained(steps=0)
        before = copy.deepcopy(fresh.state_dict())
        assert resume(path, {"network": fresh}, other) == []
        assert all(torch.equal(value, before[name]) for name, value in fresh.state_dict().items())
        assert not other.state_dict()["state"]


def test_a_full_disk_is_one_line_and_the_last_checkpoint_stays(tmp_path, monkeypatch):
    network, optimizer = trained()
    path = tmp_path / "checkpoint"
    save_checkpoint(path, {"network": network}, optimizer, [{"loss": 1.0}])
    content = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="checkpoint: cannot be written .No space left on device.; free space"):
        save_checkpoint(path, {"network": network}, optimizer, [{"loss": 2.0}])
    assert path.read_bytes() == content
