"""What a timm name tells without loading timm, which takes seconds: planning a run asks for it."""

from __future__ import annotations

VIT_PREFIXES = ("vit", "flexivit", "deit", "test_vit")
"""All plain vision transformers of timm have one of these; `models.backbones.is_vit` tells which of these names are."""


def is_cnn(name: str) -> bool:
    """True unless `name` is a plain vision transformer."""
    if not name.startswith(VIT_PREFIXES):
        return True
    from models.backbones import is_vit

    try:
        return not is_vit(name)
    except RuntimeError:  # timm does not know the name; the stage says so when it builds the network
        return True
