"""Networks for depth that are not what they should be; the stage itself is tested in test_load_depth.py."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from data.errors import WeightsError
from tasks.estimate_depth import EstimateDepth

pytest.importorskip("transformers")


@pytest.fixture
def folder(tiny_depth_network, tmp_path):
    return shutil.copytree(tiny_depth_network, tmp_path / "network")


def refusal(folder) -> str:
    with pytest.raises(WeightsError) as caught:
        EstimateDepth(model=str(folder)).estimator()
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"depth network '{folder}'")
    return line


def change(folder, edit):
    path = folder / "model.safetensors"
    state = load_file(path)
    edit(state)
    save_file(state, path, {"format": "pt"})


def test_a_good_network_is_loaded(folder):
    assert len(EstimateDepth(model=str(folder)).estimator().state_dict()) > 10


@pytest.mark.parametrize("content", [b"", b"text", b"\xff" * 100], ids=["empty", "text", "garbage"])
@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "preprocessor_config.json"])
def test_a_damaged_file_is_one_line(folder, name, content):
    (folder / name).write_bytes(content)
    refusal(folder)


def test_a_cut_file_of_weights_is_one_line(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-50])
    refusal(folder)


def test_weights_that_are_missing_are_not_made_up(folder):
    change(folder, lambda state: state.pop(min(state)))
    assert "is missing or not finite" in refusal(folder)


def test_weights_that_are_not_finite_are_refused(folder):
    change(folder, lambda state: state[min(state)].fill_(float("nan")))
    assert "is missing or not finite" in refusal(folder)


def test_a_pickle_is_not_opened(folder):
    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("code of a weight file was run",))

    (folder / "model.safetensors").unlink()
    torch.save({"w": Evil()}, folder / "pytorch_model.bin")
    refusal(folder)


def test_code_beside_the_weights_is_not_run(folder):
    (folder / "evil.py").write_text("raise SystemExit('code of the network was run')\n")
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["auto_map"] = {"AutoModelForDepthEstimation": "evil.Model", "AutoConfig": "evil.Config"}
    config["model_type"] = "evil"
    path.write_text(json.dumps(config))
    refusal(folder)
