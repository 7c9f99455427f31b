"""Saliency sources of the stage: a folder, a network, depth; and what is said when one is missing."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from data.errors import DatasetError, ImageError, SettingError
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth
from tasks.load_saliency import LoadSaliency
from tasks.refine_saliency import RefineSaliency
from tasks.runtime.luigi_seam import forget_instances


@pytest.fixture
def common(in_process, bop_root, tmp_path):
    found = {
        "dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts"), "processes": 1,
    }  # fmt: skip
    IndexDataset(**found).run()
    return found


def write_folder(folder, samples, size=None):
    for sample in samples:
        path = folder / f"{sample.image_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        saliency = np.zeros(size or sample.size, np.uint8)
        saliency[:20] = 255
        saliency[20:30] = 51
        Image.fromarray(saliency).save(path)


def test_a_folder_of_maps_and_its_cut_without_refinement(common, tmp_path):
    samples = IndexDataset(**common).open().split("train")
    write_folder(tmp_path / "maps", samples)
    settings = {
        "LoadSaliency": {"source": "files", "folder": str(tmp_path / "maps")},
        "RefineSaliency": {"refine": "false"},
    }
    stage = LoadSaliency(**common, settings=settings)
    stage.run()
    saliency = stage.artifact.read_image("saliency", 3)
    assert np.allclose(saliency[:30, 0], [1.0] * 20 + [0.2] * 10, atol=1e-3)
    refined = RefineSaliency(**common, settings=settings)
    refined.run()
    assert [task.label for task in refined.required.values()] == ["IndexDataset", "LoadSaliency"]
    assert np.array_equal(refined.artifact.read_image("salient", 3), (saliency > 0.5).astype(np.uint8))


def test_another_map_is_another_identity(common, tmp_path):
    samples = IndexDataset(**common).open().split("train")
    write_folder(tmp_path / "maps", samples)
    parameters = {**common, "source": "files", "folder": str(tmp_path / "maps")}
    before = LoadSaliency(**parameters).identity
    Image.fromarray(np.full(samples[0].size, 7, np.uint8)).save(tmp_path / "maps" / f"{samples[0].image_id}.png")
    forget_instances()
    assert LoadSaliency(**parameters).identity != before


def test_depth_finds_what_stands_on_the_table(common):
    LoadDepth(**common).run()
    stage = LoadSaliency(**common)
    stage.run()
    samples = IndexDataset(**common).read_with_truth().split("train")
    from data.files.labels import read_truth

    overlaps = []
    for index, sample in enumerate(samples):
        salient, truth = stage.artifact.read_image("saliency", index) > 0.5, read_truth(sample, 99) > 0
        overlaps.append((salient & truth).sum() / max((salient | truth).sum(), 1))
    assert np.median(overlaps) > 0.7


def test_without_depth_nothing_is_learned_but_of_background_alone(in_process, bop_root, tmp_path, log_lines):
    scene = bop_root / "train_pbr/000002"
    shutil.rmtree(scene / "depth")
    for name in ("scene_gt.json", "scene_gt_info.json"):
        frames = json.loads((scene / name).read_text())
        (scene / name).write_text(json.dumps({**frames, "0": []}))
    common = {
        "dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts"), "processes": 1,
        "settings": {"RefineSaliency": {"refine": "false"}},
    }  # fmt: skip
    for stage in (IndexDataset(**common), LoadDepth(**common), LoadSaliency(**common), RefineSaliency(**common)):
        stage.run()
    for index, sample in enumerate(stage.samples):
        found = np.unique(stage.artifact.image(index, sample.size).read("salient")).tolist()
        if "000002/" not in sample.image_id:
            assert found == [0, 1]
        else:
            assert found == ([65535] if sample.tags else [0])
    assert "LoadSaliency: WARNING: 5 of 10 images have no depth, so what is salient is not known there" in log_lines
    shutil.rmtree(bop_root / "train_pbr/000001/depth")
    forget_instances()
    IndexDataset(**common).run()
    LoadDepth(**common).run()
    with pytest.raises(ImageError, match="train_pbr/000001/000000: has no depth to find salient objects by; choose"):
        LoadSaliency(**common).run()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"source": "files"}, "needs --LoadSaliency-folder"),
        ({"source": "onnx"}, "needs --LoadSaliency-model"),
    ],
)
def test_a_missing_setting_is_named(common, parameters, message):
    with pytest.raises(SettingError, match=message):
        LoadSaliency(**common, **parameters).identity  # noqa: B018


def test_a_missing_map_and_one_of_another_size_are_named(common, tmp_path):
    samples = IndexDataset(**common).open().split("train")
    parameters = {**common, "source": "files", "folder": str(tmp_path / "maps")}
    with pytest.raises(DatasetError, match=f"{samples[0].image_id}.png: file is missing"):
        LoadSaliency(**parameters).identity  # noqa: B018
    write_folder(tmp_path / "maps", samples, (8, 8))
    with pytest.raises(ImageError, match=r"saliency has shape \(8, 8\), but image .* the same size"):
        LoadSaliency(**parameters).run()


def test_a_file_that_is_not_a_network_is_named(common, tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "network.onnx").write_bytes(b"nothing")
    with pytest.raises(SettingError, match=r"network.onnx: is not an ONNX network"):
        LoadSaliency(**common, source="onnx", model=str(tmp_path / "network.onnx")).run()


def write_network(path, scale):
    """An ONNX file whose map is the red channel times a number."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weight = helper.make_tensor("weight", kind, [1, 3, 1, 1], [scale, 0, 0])
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "weight"], ["map"])],
        "red",
        [helper.make_tensor_value_info("image", kind, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("map", kind, [1, 1, 32, 32])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return {"source": "onnx", "model": str(path), "model_mean": (0.0, 0.0, 0.0)}


def test_a_network_gives_a_map_of_every_image(common, tmp_path):
    stage = LoadSaliency(**common, **write_network(tmp_path / "n.onnx", 0.5))
    stage.run()
    saliency = stage.artifact.read_image("saliency", 0)
    assert 0 <= saliency.min() < saliency.max() <= 0.5


def test_a_network_without_its_sigmoid_is_refused_with_the_image(common, tmp_path):
    with pytest.raises(SettingError, match=r"n.onnx: its map has values from .* \(image train_pbr/000001/000000\)"):
        LoadSaliency(**common, **write_network(tmp_path / "n.onnx", 30.0)).run()


def test_a_network_that_is_too_large_is_not_read(common, tmp_path, monkeypatch):
    monkeypatch.setattr("models.onnx_safety.LARGEST_FILE", 100)
    with pytest.raises(SettingError, match=r"n.onnx: has \d+ bytes, more than 100; use a smaller network"):
        LoadSaliency(**common, **write_network(tmp_path / "n.onnx", 0.5)).run()


def test_another_network_is_another_identity(common, tmp_path):
    before = LoadSaliency(**common, **write_network(tmp_path / "n.onnx", 0.5)).identity
    forget_instances()
    assert LoadSaliency(**common, **write_network(tmp_path / "n.onnx", 0.6)).identity != before
