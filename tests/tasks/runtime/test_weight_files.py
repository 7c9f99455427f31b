import os

import pytest
import timm
from safetensors.torch import save_file

from data.errors import WeightsError
from tasks.runtime.weight_files import PACKAGED, weights_file, weights_identity


def test_identity_is_the_content_and_not_the_path(tmp_path):
    state = timm.create_model("test_efficientnet").state_dict()
    for name in ("a", "b"):
        save_file(state, tmp_path / f"{name}.safetensors")
    one, two = (weights_identity(str(tmp_path / f"{name}.safetensors"), "test_efficientnet") for name in ("a", "b"))
    assert one == two
    assert weights_identity("hub", "resnet18") != weights_identity("hub", "resnet50")
    assert weights_identity("hub", "resnet18") != weights_identity("random", "resnet18")


def test_a_file_with_other_content_is_another_identity(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"one")
    before = weights_identity(str(path), "test_efficientnet")
    path.write_bytes(b"other")
    assert weights_identity(str(path), "test_efficientnet") != before


@pytest.mark.parametrize("backbone", PACKAGED)
def test_a_packaged_file_is_there(backbone):
    assert weights_file("package", backbone).is_file()


@pytest.mark.parametrize("kind", ["folder", "pipe", "nothing named", "zero byte"])
def test_what_is_no_file_is_not_opened(tmp_path, kind):
    path = {"nothing named": "", "zero byte": "a\0b"}.get(kind, str(tmp_path / "w.pth"))
    if kind == "folder":
        (tmp_path / "w.pth").mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(WeightsError, match=r"(is not a regular file|does not exist)\. Three ways"):
        weights_identity(path, "resnet18")


def test_what_is_not_there_is_named_with_the_three_ways(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match=r"absent.pth does not exist. Three ways: \(1\).*\(2\).*\(3\)"):
        weights_file(str(tmp_path / "absent.pth"), "resnet18")
    with pytest.raises(WeightsError, match="'resnet18' are not available: no package carries them"):
        weights_file("package", "resnet18")
    monkeypatch.setitem(PACKAGED, "resnet18", ("no_such_module", "w.pth"))
    with pytest.raises(WeightsError, match="package no-such-module is not installed"):
        weights_file("package", "resnet18")
