import pytest
import timm
import torch
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


def test_what_is_not_available_lists_the_three_ways(monkeypatch):
    network = build_backbone("resnet18", 16)
    with pytest.raises(WeightsError, match=r"Three ways: \(1\).*\(2\).*\(3\) --profile small"):
        load_weights(network, "resnet18", "package")

    def offline(*arguments, **keywords):
        raise ConnectionError("no route")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(WeightsError, match="the hub gave none .ConnectionError."):
        load_weights(network, "resnet18", "hub")


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "w.pth"
    path.write_bytes(b"not weights")
    with pytest.raises(WeightsError, match="w.pth: is not a file of weights"):
        load_weights(build_backbone("test_efficientnet", 16), "test_efficientnet", str(path))
    save_file(timm.create_model("resnet18").state_dict(), tmp_path / "r.safetensors")
    with pytest.raises(WeightsError, match="test_efficientnet"):
        load_weights(build_backbone("test_efficientnet", 16), "test_efficientnet", str(tmp_path / "r.safetensors"))


def test_pickled_code_is_never_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("code of a weight file was run",))

    torch.save({"w": Evil()}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="is not a file of weights"):
        load_weights(build_backbone("test_efficientnet", 16), "test_efficientnet", str(tmp_path / "w.pth"))
