"""The contract of the losses on maps. Every loss of the registry is tested; a new one needs no edit here."""

import inspect
from pkgutil import resolve_name

import pytest
import torch

from models.cam_normalisation import NORMALISATIONS
from models.losses import MAP_LOSSES


@pytest.fixture(params=sorted(MAP_LOSSES))
def described(request):
    return MAP_LOSSES[request.param]


def gradient(loss, described, batch):
    """Value of the loss and its gradient for the maps."""
    maps = batch["maps"].clone().requires_grad_()
    given = {**batch, "maps": maps, "cams": maps.relu()}
    value = loss(*(given[name] for name in described.inputs))
    value.backward()
    return value.detach(), maps.grad


def defaults(described):
    return {name: setting.default for name, setting in described.settings.items()}


def test_value_and_gradient_with_the_default_settings(described, map_loss_batch):
    value, found = gradient(described.build(**defaults(described)), described, map_loss_batch)
    assert value.shape == ()
    assert torch.isfinite(value)
    assert torch.isfinite(found).all()
    present = map_loss_batch["tags"].bool()
    assert all(found[image, k].any() for image, k in present.nonzero().tolist())
    if not described.replaces_classification:
        assert not found[~present].any()


def test_settings_are_keywords_of_the_module_and_their_choices_are_accepted(described, map_loss_batch):
    keywords = inspect.signature(resolve_name(described.path)).parameters
    assert set(described.settings) <= set(keywords)
    for name, setting in described.settings.items():
        assert setting.description
        assert type(setting.default) in (int, float, str)
        assert not setting.choices or setting.default in setting.choices
        for choice in setting.choices:
            loss = described.build(**{**defaults(described), name: choice})
            assert torch.isfinite(gradient(loss, described, map_loss_batch)[0])


@pytest.mark.parametrize("normalisation", sorted(NORMALISATIONS))
@pytest.mark.parametrize("name", sorted(name for name, loss in MAP_LOSSES.items() if not loss.replaces_classification))
def test_an_added_loss_takes_every_normalisation(name, normalisation, map_loss_batch):
    described = MAP_LOSSES[name]
    loss = described.build(**defaults(described), normalisation=normalisation)
    assert torch.isfinite(gradient(loss, described, map_loss_batch)[0])


def test_weights_and_inputs_are_stated(described):
    assert described.title
    assert described.weight >= 0
    assert described.published_weight > 0
    assert {"maps", "cams"} & set(described.inputs)
    assert described.needs_depth == ("depth" in described.inputs)
    if described.replaces_classification:
        assert max(described.weight, described.published_weight) <= 1
