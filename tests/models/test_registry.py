"""Registries of import paths, and what the packages of `models` export through them."""

import importlib
import subprocess
import sys

import pytest

from models import cam, losses, segmentation
from models.registry import export, load

EXPORTED = {
    "models.cam": [*cam.HEADS.values(), *cam.BASE],
    "models.segmentation": list(segmentation.NETWORKS.values()),
    "models.losses": [*(loss.path for loss in losses.MAP_LOSSES.values()), *losses.TASK_LOSSES],
}


def test_unknown_names_get_the_nearest_ones_or_all():
    registry = {"gap": "models.cam.gap:GapClassifier", "vit": "models.cam.vit:VitClassifier"}
    with pytest.raises(ValueError, match=r"^'gapp' is unknown; did you mean: gap\?$"):
        load(registry, "gapp")
    with pytest.raises(ValueError, match="^'xyz' is unknown; use one of: gap, vit$"):
        load(registry, "xyz")


@pytest.mark.parametrize("package", sorted(EXPORTED))
def test_every_registered_class_can_be_imported_from_its_package(package):
    for path in EXPORTED[package]:
        name = path.split(":")[1]
        assert getattr(importlib.import_module(package), name) is load({name: path}, name)


def test_a_name_that_is_not_exported_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'models.cam' has no attribute 'Classifier'"):
        export(EXPORTED["models.cam"], "models.cam", "Classifier")
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        from models.losses import Nothing  # noqa: F401


def test_names_are_known_without_torch():
    modules = "models.cam, models.segmentation, models.losses, models.crf_constants, models.cam_normalisation"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
