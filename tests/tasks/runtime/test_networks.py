import pytest
import torch
from torch import nn

from data.errors import SettingError
from models.backbones import normalisation
from models.cam import HEADS
from models.segmentation import NETWORKS
from tasks.runtime.networks import CLASSIFIER, build_network, compiled, normalisation_of, pretrained

BACKBONE = "test_efficientnet"


@pytest.mark.parametrize("head", HEADS)
def test_a_classifier_by_its_head(head):
    network = build_network(CLASSIFIER, 3, {"head": head, "backbone": BACKBONE, "output_stride": 16}).eval()
    assert network(torch.zeros(1, 3, 64, 96)).scores.shape == (1, 3)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_segmentation_network_by_its_name(name):
    network = build_network(name, 3, {"backbone": BACKBONE}).eval()
    assert network.predict(torch.zeros(1, 3, 64, 96), (1.0,), flip=False).shape == (1, 4, 64, 96)
    state = {key: values.clone() for key, values in network.state_dict().items()}
    assert pretrained(network, BACKBONE, "random") is network
    assert all(torch.equal(values, state[key]) for key, values in network.state_dict().items())


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        (CLASSIFIER, {"head": "gap", "backbone": "test_eficientnet", "output_stride": 16}),
        (CLASSIFIER, {"head": "nothing", "backbone": BACKBONE, "output_stride": 16}),
        ("superpixel_fcn", {"backbone": "test_vit"}),
        ("nothing", {"backbone": BACKBONE}),
    ],
)
def test_a_wrong_setting_is_the_users_error(name, settings):
    with pytest.raises(SettingError):
        build_network(name, 3, settings)


def test_what_the_weights_expect_of_images():
    found = normalisation_of("tf_efficientnet_lite0")
    assert (found.mean, found.std) == normalisation("tf_efficientnet_lite0") == ((0.5,) * 3, (0.5,) * 3)


def test_a_network_is_compiled_in_place_and_keeps_the_names_of_its_weights(monkeypatch):
    network, calls = nn.Linear(2, 2), []
    names = list(network.state_dict())
    monkeypatch.setattr(torch, "compile", lambda function, **settings: calls.append(function) or function)
    assert compiled(network, False) is network
    assert calls == []
    assert compiled(network, True) is network
    assert calls == [network._call_impl]
    assert list(network.state_dict()) == names
    assert network(torch.ones(1, 2)).shape == (1, 2)
