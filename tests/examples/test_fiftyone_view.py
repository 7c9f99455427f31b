"""The part of the script that needs no FiftyOne, on a folder that our own functions write."""

import ast
import importlib.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "fiftyone_view.py"
spec = importlib.util.spec_from_file_location("fiftyone_view", SCRIPT)
view = importlib.util.module_from_spec(spec)
spec.loader.exec_module(view)


@pytest.fixture
def export(tmp_path):
    names = {"train/0/000001": "train/0/rgb/000001.jpg", "train/0/000002": "train/0/rgb/000002.jpg"}
    for image_id, name in names.items():
        for path in (tmp_path / "set" / name, tmp_path / "export/png" / f"{image_id}.png"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"pixels")
    (tmp_path / "export/images.json").write_text(json.dumps(names))
    (tmp_path / "export/classes.json").write_text(json.dumps(["background", "mug", "plate"]))
    return tmp_path / "export"


def test_each_image_has_its_class_map(export, tmp_path):
    assert view.class_maps(export, tmp_path / "set") == [
        (tmp_path / f"set/train/0/rgb/00000{n}.jpg", export / f"png/train/0/00000{n}.png") for n in (1, 2)
    ]
    assert view.mask_targets(export) == {1: "mug", 2: "plate"}


def test_a_wrong_folder_of_images_is_told(export, tmp_path):
    with pytest.raises(SystemExit, match=r"rgb/000001.jpg: file is missing; --images must be the folder"):
        view.class_maps(export, tmp_path / "elsewhere")


def test_fiftyone_is_imported_only_when_it_is_used():
    tree = ast.parse(SCRIPT.read_text())
    assert "fiftyone" not in {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
