import pytest
import timm

from models.backbones import VIT_FAMILIES, is_vit
from tasks.runtime.backbone_names import VIT_PREFIXES, is_cnn


def test_every_name_of_timm_is_told_as_timm_tells_it():
    """Also by a prefix that is not listed here, a new family of transformers would be taken for a CNN."""
    assert [name for name in timm.list_models() if is_cnn(name) != (not is_vit(name))] == []


def test_names_with_a_tag_are_told_alike():
    names = timm.list_pretrained()
    assert [name for name in names if is_cnn(name) != (not is_vit(name))] == []


def test_every_prefix_has_a_transformer():
    transformers = [name for name in timm.list_models() if is_vit(name)]
    assert all(any(name.startswith(prefix) for name in transformers) for prefix in VIT_PREFIXES)
    assert VIT_FAMILIES


@pytest.mark.parametrize("name", ["no_such_network", "vit_no_such_network"])
def test_an_unknown_name_is_left_to_the_stage_that_builds_it(name):
    assert is_cnn(name)
