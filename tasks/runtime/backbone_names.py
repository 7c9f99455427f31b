"""What the name of a timm network says. Planning a run needs it, and loading timm takes seconds."""

from __future__ import annotations

VIT_PREFIXES = ("vit", "flexivit", "deit", "test_vit", "aimv2", "beit3", "eva")
"""The names of all plain vision transformers of timm begin so, but so do other names (`models.backbones.is_vit`)."""


RGB = "rgb"
"""What ExtractKeys takes in place of a timm name: colours as features (`models.features.Colours`)."""


def is_network(name: str) -> bool:
    """False for `RGB`, which has no weights."""
    return name != RGB


def is_cnn(name: str) -> bool:
    """True unless `name` is the timm name of a plain vision transformer; timm is loaded only if this is not clear."""
    if not name.startswith(VIT_PREFIXES):
        return True
    from models.backbones import is_vit

    try:
        return not is_vit(name)
    except (KeyError, RuntimeError):  # timm does not know the name; the stage reports this when it builds the network
        return True
