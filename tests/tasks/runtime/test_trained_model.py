"""From what a training stage writes to the network, and what is said where that cannot be."""

import json

import pytest
import torch
from safetensors.torch import save

from data.errors import DamagedArtifactError, SettingError
from data.store.artifact import write_bytes
from models.backbones import normalisation
from models.cam import HEADS
from models.segmentation import NETWORKS
from tasks.runtime.networks import CLASSIFIER, build_network
from tasks.runtime.trained_model import DESCRIPTION, MODEL, TrainedArtifact

BACKBONE = "test_efficientnet"
CLASSES = ("background", "mug", "bowl")
CPU = torch.device("cpu")
SETTINGS = {
    "deeplab_aspp": {"backbone": BACKBONE, "output_stride": 8, "rates": (1.0, 2.0)},
    "superpixel_fcn": {"backbone": BACKBONE, "upsampling": "bilinear"},
}


def written(folder, name, settings):
    """The artifact of a network that has learned nothing, and the network."""
    torch.manual_seed(1)
    network = build_network(name, len(CLASSES) - 1, settings).eval()
    artifact = TrainedArtifact(folder / "model")
    artifact.describe(name, settings, CLASSES, BACKBONE, (48, 64))
    write_bytes(artifact.path / MODEL, save(network.state_dict()))
    artifact.finish({})
    return artifact, network


def same_weights(one, two):
    one, two = one.state_dict(), two.state_dict()
    return one.keys() == two.keys() and all(torch.equal(values, two[name]) for name, values in one.items())


def check(model, network):
    assert same_weights(model.network, network)
    assert not model.network.training
    assert model.class_names == CLASSES
    assert model.size == (48, 64)
    assert (model.normalise.mean, model.normalise.std) == normalisation(BACKBONE)


@pytest.mark.parametrize("head", HEADS)
def test_a_classifier_comes_back(tmp_path, head):
    artifact, network = written(tmp_path, CLASSIFIER, {"head": head, "backbone": BACKBONE, "output_stride": 16})
    model = artifact.load(CPU)
    check(model, network)
    images = torch.rand(1, 3, 48, 64)
    with torch.no_grad():
        assert torch.allclose(model.network(images).scores, network(images).scores, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_segmentation_network_comes_back(tmp_path, name):
    artifact, network = written(tmp_path, name, SETTINGS[name])
    model = TrainedArtifact(artifact.path).load_segmenter(CPU)
    check(model, network)
    images = torch.rand(1, 3, 48, 64)
    with torch.no_grad():
        found, expected = (net.predict(images, (1.0,), False) for net in (model.network, network))
    assert found.shape == (1, 3, 48, 64)
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_network_needs_neither_data_set_nor_luigi(tmp_path):
    artifact, _ = written(tmp_path, "deeplab_aspp", SETTINGS["deeplab_aspp"])
    content = json.loads((artifact.path / DESCRIPTION).read_text())
    assert content["network"] == "deeplab_aspp"
    assert content["settings"] == {"backbone": BACKBONE, "output_stride": 8, "rates": [1.0, 2.0]}
    assert content["class_names"] == list(CLASSES)


def test_a_classifier_is_not_taken_for_a_segmentation_network(tmp_path):
    artifact, _ = written(tmp_path, CLASSIFIER, {"head": "gap", "backbone": BACKBONE, "output_stride": 16})
    with pytest.raises(SettingError, match=f"{artifact.path}: is a classifier.*TrainSegmenter") as caught:
        artifact.load_segmenter(CPU)
    assert all(name in str(caught.value) for name in NETWORKS)


@pytest.mark.parametrize("missing", ["marker", "description", "weights", "folder"])
def test_an_incomplete_folder_is_named(tmp_path, missing):
    artifact, _ = written(tmp_path, "deeplab_aspp", SETTINGS["deeplab_aspp"])
    if missing == "marker":
        artifact.reopen()
    elif missing == "folder":
        artifact = TrainedArtifact(tmp_path / "nowhere")
    else:
        (artifact.path / {"description": DESCRIPTION, "weights": MODEL}[missing]).unlink()
    with pytest.raises(SettingError, match=f"{artifact.path}: is not a complete artifact of a training stage"):
        artifact.load_segmenter(CPU)
    with pytest.raises(DamagedArtifactError, match="run the same command again"):  # for a stage, which mends it
        artifact.load(CPU)


@pytest.mark.parametrize("name", [MODEL, DESCRIPTION])
def test_a_damaged_file_is_named(tmp_path, name):
    artifact, _ = written(tmp_path, "deeplab_aspp", SETTINGS["deeplab_aspp"])
    path = artifact.path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedArtifactError, match=f"{name}") as caught:
        artifact.load_segmenter(CPU)
    assert len(str(caught.value).splitlines()) == 1
