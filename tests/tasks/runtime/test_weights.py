import os

import numpy as np
import pytest
import timm
import torch
from faults.mutations import mutated_bytes
from safetensors.torch import save_file

from data.errors import WeightsError
from models.backbones import build_backbone
from models.features import CnnFeatures
from tasks.runtime.weights import load_weights


def test_the_packaged_weights_are_real_ones():
    """A network with ImageNet weights tells images apart; one with random weights hardly does."""
    torch.manual_seed(0)
    full = timm.create_model("tf_efficientnet_lite0").eval()
    load_weights(full, "tf_efficientnet_lite0", "package")
    stem = full.conv_stem.weight.detach()
    assert float(stem.abs().max()) > 0.5
    with torch.no_grad():
        scores = full(torch.rand(4, 3, 96, 96) * 2 - 1)
    assert float(full.bn1.running_var.std()) > 0.1
    assert torch.isfinite(scores).all()


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_local_file(tmp_path, suffix):
    source = timm.create_model("test_efficientnet")
    path = tmp_path / f"w.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(source.state_dict(), path)
    target = build_backbone("test_efficientnet", 16)
    load_weights(target, "test_efficientnet", str(path))
    assert torch.equal(target.conv_stem.weight, source.conv_stem.weight)
    features = CnnFeatures("test_efficientnet", 16)
    load_weights(features.network, "test_efficientnet", str(path))
    assert torch.equal(features.network.conv_stem.weight, source.conv_stem.weight)


@pytest.mark.parametrize(
    ("backbone", "suffix"),
    [
        ("test_convnext", "safetensors"),
        ("test_convnext", "pth"),
        ("test_byobnet", "safetensors"),
        ("densenet121", "safetensors"),
    ],
)
def test_a_network_of_stages_takes_the_weights_of_the_whole_one(tmp_path, backbone, suffix, log_lines):
    """timm names the layers of these networks otherwise, if it is asked for the features of a stage."""
    whole = timm.create_model(backbone).state_dict()
    state = {
        name: torch.rand_like(value) if value.is_floating_point() else value for name, value in whole.items()
    }  # as they are made, all layers of normalisation are the same
    path = tmp_path / f"w.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(state, path)
    network = CnnFeatures(backbone, 16).network
    load_weights(network, backbone, str(path))
    loaded = dict(network.named_parameters())
    from_file = {flat: value for name, value in state.items() for flat in (name, name.replace(".", "_", 1))}
    assert any(name not in state for name in loaded)
    assert all(torch.equal(value, from_file[name]) for name, value in loaded.items())
    assert log_lines == []  # nothing was taken by its order


def test_what_is_not_available_lists_the_three_ways(monkeypatch):
    network = build_backbone("resnet18", 16)
    with pytest.raises(WeightsError, match=r"Three ways: \(1\).*\(2\).*\(3\) --profile small"):
        load_weights(network, "resnet18", "package")

    def offline(*arguments, **keywords):
        raise ConnectionError("no route")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(WeightsError, match="the hub gave none .ConnectionError."):
        load_weights(network, "resnet18", "hub")


def state_of(backbone="test_efficientnet") -> dict[str, torch.Tensor]:
    return timm.create_model(backbone).state_dict()


def refusal(path) -> str:
    with pytest.raises(WeightsError) as caught:
        load_weights(build_backbone("test_efficientnet", 16), "test_efficientnet", str(path))
    line = str(caught.value)
    assert line.startswith(str(path))
    assert "\n" not in line
    return line


def damaged_safetensors(path, change):
    save_file(state_of(), path)
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[:-100],
        lambda content: content[:6],
        lambda content: b"",
        lambda content: content[:8] + b"x" * 40 + content[48:],
        lambda content: b"\xff" * 8 + content[8:],
        lambda content: content + b"more",
        lambda content: b"a text\n",
    ],
    ids=["cut", "cut header", "empty", "garbage in the header", "endless header", "longer", "text"],
)
def test_a_damaged_safetensors_file_is_one_line(tmp_path, change):
    damaged_safetensors(tmp_path / "w.safetensors", change)
    assert "w.safetensors: is not a file of weights (" in refusal(tmp_path / "w.safetensors")


@pytest.mark.parametrize("content", [b"not weights", b"", b"PK\x03\x04", b"\x80\x02."], ids=str)
def test_a_pth_file_of_something_else_is_one_line(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    assert "w.pth: is not a file of weights (" in refusal(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([torch.zeros(2)], "it holds a list"),
        (torch.zeros(2), "it holds a Tensor"),
        ({}, "it holds nothing"),
        ({"state_dict": [1]}, "it holds a list"),
        ({"epoch": 3}, "its entry 'epoch' is not a tensor of numbers"),
        ({"model": {"conv_stem.weight": torch.zeros(2)}}, "its entry 'model' is not a tensor of numbers"),
        ({1: torch.zeros(2)}, "its entry 1 is not a tensor of numbers"),
        ({"w": torch.zeros(2, device="meta")}, "its entry 'w' is not a tensor of numbers"),
    ],
)
def test_a_pth_file_without_a_state_dict_is_one_line(tmp_path, content, reason):
    torch.save(content, tmp_path / "w.pth")
    assert f"w.pth: is not a file of weights ({reason})" in refusal(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (lambda good: good.int(), "conv_stem.weight is torch.int32, not torch.float32"),
        (lambda good: good.bool(), "conv_stem.weight is torch.bool, not torch.float32"),
        (lambda good: torch.full_like(good, float("nan")), "conv_stem.weight has values that are not finite"),
        (lambda good: good.double() * 1e300, "conv_stem.weight has values that are not finite"),
        (lambda good: good[1:], "conv_stem.weight has the shape (23, 3, 3, 3), not (24, 3, 3, 3)"),
    ],
    ids=["int32", "bool", "nan", "too large", "shape"],
)
@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_tensor_that_cannot_be_a_weight_is_named(tmp_path, suffix, value, reason):
    state = state_of()
    state["conv_stem.weight"] = value(state["conv_stem.weight"]).contiguous()
    path = tmp_path / f"w.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(state, path)
    assert refusal(path) == (
        f"{path}: does not fit backbone 'test_efficientnet': {reason}; choose the weights of this backbone"
    )


def test_halves_are_weights_too(tmp_path):
    state = {name: value.half() if value.is_floating_point() else value for name, value in state_of().items()}
    save_file(state, tmp_path / "w.safetensors")
    network = build_backbone("test_efficientnet", 16)
    load_weights(network, "test_efficientnet", str(tmp_path / "w.safetensors"))
    assert torch.equal(network.conv_stem.weight, state["conv_stem.weight"].float())


def test_weights_of_another_network_are_refused(tmp_path):
    save_file(state_of("resnet18"), tmp_path / "r.safetensors")
    assert "does not fit backbone 'test_efficientnet': bn1" in refusal(tmp_path / "r.safetensors")


def test_other_names_are_told_and_go_by_their_order(tmp_path, log_lines):
    source = timm.create_model("test_efficientnet")
    state = {f"{number:04d}": value for number, value in enumerate(source.state_dict().values())}
    torch.save({key: value for key, value in state.items() if value.ndim}, tmp_path / "w.pth")
    target = timm.create_model("test_efficientnet")
    load_weights(target, "test_efficientnet", str(tmp_path / "w.pth"))
    assert torch.equal(target.conv_stem.weight, source.conv_stem.weight)
    (line,) = log_lines
    assert line.endswith("w.pth: has other names than test_efficientnet; its tensors are taken in their order")


def test_a_safetensors_file_has_no_order_to_go_by(tmp_path):
    save_file({f"module.{name}": value for name, value in state_of().items()}, tmp_path / "w.safetensors")
    assert "it has none of its names" in refusal(tmp_path / "w.safetensors")


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_any_damage_is_one_line_or_gives_finite_weights(tmp_path, suffix):
    path = tmp_path / f"w.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(state_of(), path)
    good, rng, told = path.read_bytes(), np.random.default_rng(0), 0
    for _ in range(int(os.environ.get("MUTATIONS", "40"))):
        path.write_bytes(mutated_bytes(good, rng))
        network = build_backbone("test_efficientnet", 16)
        try:
            load_weights(network, "test_efficientnet", str(path))
        except WeightsError:
            told += 1
            continue
        assert all(value.isfinite().all() for value in network.state_dict().values())
    assert told > 0


@pytest.mark.parametrize(("version", "is_safe"), [("2.4.0", False), ("2.9.1+cu128", False), ("2.10.0", True)])
def test_a_torch_with_holes_does_not_open_pickles_of_strangers(tmp_path, monkeypatch, version, is_safe):
    torch.save(state_of(), tmp_path / "w.pth")
    save_file(state_of(), tmp_path / "w.safetensors")
    monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion(version))
    load_weights(build_backbone("test_efficientnet", 16), "test_efficientnet", str(tmp_path / "w.safetensors"))
    if is_safe:
        load_weights(build_backbone("test_efficientnet", 16), "test_efficientnet", str(tmp_path / "w.pth"))
    else:
        assert "update torch to 2.10, or convert" in refusal(tmp_path / "w.pth")


def test_pickled_code_is_never_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("code of a weight file was run",))

    torch.save({"w": Evil()}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="is not a file of weights"):
        load_weights(build_backbone("test_efficientnet", 16), "test_efficientnet", str(tmp_path / "w.pth"))
