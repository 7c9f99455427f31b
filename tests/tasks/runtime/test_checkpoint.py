import copy
import json
import random

import pytest
import torch
from torch import nn

from data.errors import StoreError
from tasks.runtime.checkpoint import Position, random_state, resume, save_checkpoint, set_random_state


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
    states = [random_state(torch.device("cpu"), torch.Generator())] * 2
    position = Position([{"loss": 0.1 + 0.2}], 3, [{"loss": 0.1}, {"loss": 0.3}], states)
    save_checkpoint(tmp_path / "checkpoint", {"network": network}, optimizer, position)
    fresh, other = trained(optimizer_class, steps=0)
    assert resume(tmp_path / "checkpoint", {"network": fresh}, other) == position
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
    save_checkpoint(path, {"network": network}, optimizer, Position([{"loss": 1.0}]))
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
        assert resume(path, {"network": fresh}, other) is None
        assert all(torch.equal(value, before[name]) for name, value in fresh.state_dict().items())
        assert not other.state_dict()["state"]


def test_a_full_disk_is_one_line_and_the_last_checkpoint_stays(tmp_path, monkeypatch):
    network, optimizer = trained()
    path = tmp_path / "checkpoint"
    save_checkpoint(path, {"network": network}, optimizer, Position([{"loss": 1.0}]))
    content = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="checkpoint: cannot be written .No space left on device.; free space"):
        save_checkpoint(path, {"network": network}, optimizer, Position([{"loss": 2.0}]))
    assert path.read_bytes() == content


def test_random_numbers_go_on_where_they_were():
    cpu, draws = torch.device("cpu"), torch.Generator()
    states = random_state(cpu, draws)
    drawn = torch.rand(5), torch.rand(5, generator=draws)
    torch.rand(3), torch.rand(2, generator=draws)
    set_random_state(states, cpu, draws)
    assert torch.equal(torch.rand(5), drawn[0])
    assert torch.equal(torch.rand(5, generator=draws), drawn[1])


def test_with_another_number_of_ranks_those_of_whole_batches_go_on():
    cpu, draws = torch.device("cpu"), torch.Generator().manual_seed(3)
    states = random_state(cpu, draws)
    drawn = torch.rand(5, generator=draws)
    set_random_state(states, cpu, None, is_own=False)  # one rank goes on after several
    assert torch.equal(torch.rand(5), drawn)
    states = random_state(cpu, None)
    drawn = torch.rand(5)
    set_random_state(states, cpu, draws, is_own=False)  # several go on after one
    assert torch.equal(torch.rand(5, generator=draws), drawn)


def test_a_checkpoint_of_an_earlier_version_is_resumed_after_its_epoch(tmp_path, monkeypatch):
    network, optimizer = trained()
    path = tmp_path / "checkpoint"
    real = json.dumps

    def old(content):
        return real({name: content[name] for name in ("history", "groups", "values")})

    with monkeypatch.context() as patched:
        patched.setattr("tasks.runtime.checkpoint.json.dumps", old)
        save_checkpoint(path, {"network": network}, optimizer, Position([{"loss": 1.0}], 3, [{"loss": 2.0}]))
    assert resume(path, {"network": network}, optimizer) == Position([{"loss": 1.0}])
