"""Names of the results, and what is predicted again; the predictions themselves are tested in tests/pipeline."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from data.errors import DatasetError, ImageError, SettingError
from data.store.artifact import write_bytes
from tasks.predict_folder import RECORD, PredictFolder, _overlay
from tasks.runtime.trained_model import TrainedArtifact


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.jpg", "a.png", "b.jpg", "notes.txt"):
        (folder / name).write_bytes(b"")
    return folder


def names(task):
    return {image.name: task._target(image).name for image in task._waiting()}


def test_images_that_differ_in_their_ending_alone_have_results_of_their_own(images, tmp_path):
    task = PredictFolder(model="model", images=str(images), output=str(tmp_path / "out"))
    assert names(task) == {"a.jpg": "a.jpg.png", "a.png": "a.png.png", "b.jpg": "b.png"}


def test_results_that_would_overwrite_each_other_are_refused(images, tmp_path):
    (images / "a.jpg.png").write_bytes(b"")
    with pytest.raises(SettingError, match="two images would have the result a.jpg.png; rename one"):
        PredictFolder(model="model", images=str(images), output=str(tmp_path / "out")).complete()


@pytest.mark.parametrize("folder", ["images", "depth"])
def test_the_folder_of_the_inputs_cannot_be_that_of_the_results(images, tmp_path, folder):
    (tmp_path / "depth").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / folder)
    task = PredictFolder(
        model="model", images=str(images), depth=str(tmp_path / "depth"), output=str(tmp_path / "link")
    )
    with pytest.raises(SettingError, match=f"link: is the folder .*{folder} of the inputs; name another --output"):
        task.complete()


@pytest.mark.parametrize("result", ["b.png", "b_overlay.jpg", "b_instances.png", "b_instances.json"])
@pytest.mark.parametrize("taken", ["images/a.png", "depth/b.png"])
def test_a_result_that_is_an_input_by_a_link_is_refused(images, tmp_path, result, taken):
    for folder in ("depth", "out"):
        (tmp_path / folder).mkdir()
    (tmp_path / taken).write_bytes(b"")
    (tmp_path / "out" / result).symlink_to(tmp_path / taken)
    settings = {"model": "model", "images": str(images), "output": str(tmp_path / "out")}
    with pytest.raises(SettingError, match=f"{result}: this result would replace an input"):
        PredictFolder(**settings, depth=str(tmp_path / "depth")).complete()


def test_a_pipe_among_the_images_is_refused(images, tmp_path):
    os.mkfifo(images / "c.png")
    with pytest.raises(DatasetError, match="c.png: is no regular file"):
        PredictFolder(model="model", images=str(images), output=str(tmp_path / "out")).complete()


@pytest.fixture
def model(tmp_path):
    """Two folders that are complete artifacts of some content."""
    folders = []
    for name in ("first", "second"):
        write_bytes(tmp_path / name / "model.safetensors", name.encode())
        TrainedArtifact(tmp_path / name).finish({})
        folders.append(str(tmp_path / name))
    return folders


@pytest.fixture
def predicted(images, model, tmp_path):
    """A folder in which the first model has predicted b.jpg with the default settings."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "b.png").write_bytes(b"labels")
    task = PredictFolder(model=model[0], images=str(images), output=str(out))
    task._write_record({"b.png": task._hashes(images / "b.jpg")}, ["background"])
    return out


def test_what_was_made_with_the_same_model_and_settings_is_kept(images, model, predicted):
    task = PredictFolder(model=model[0], images=str(images), output=str(predicted))
    assert set(names(task)) == {"a.jpg", "a.png"}
    assert not task.complete()
    (images / "a.jpg").unlink()
    (images / "a.png").unlink()
    assert PredictFolder(model=model[0], images=str(images), output=str(predicted), device="cpu").complete()


@pytest.mark.parametrize("change", ["model", "scales", "flip", "image", "mask", "record"])
def test_what_was_made_otherwise_is_made_again(images, model, predicted, change):
    settings = {"model": model[0], "images": str(images), "output": str(predicted)}
    if change == "image":
        (images / "b.jpg").write_bytes(b"other")
    elif change == "mask":
        (predicted / "b.png").write_bytes(b"damaged")
    elif change == "record":
        (predicted / RECORD).write_text("[]")
    else:
        settings |= {"model": {"model": model[1]}, "scales": {"scales": (0.5,)}, "flip": {"flip": False}}[change]
    assert "b.jpg" in names(PredictFolder(**settings))


def test_a_folder_without_images_is_named(tmp_path):
    with pytest.raises(SettingError, match="has no images; --images must name a folder"):
        PredictFolder(model="model", images=str(tmp_path)).complete()


def test_the_overlay_has_a_colour_for_every_class_but_0():
    image = np.full((1, 5, 3), 100, np.uint8)
    found = _overlay(image, np.array([[0, 44, 255, 256, 1203]], np.uint16))[0].tolist()
    assert found[0] == [100] * 3
    assert len({tuple(colour) for colour in found}) == 5


def test_with_depth_the_instances_are_written_beside_the_label_map(in_process, tmp_path):
    folder, depth = tmp_path / "images", tmp_path / "depth"
    folder.mkdir()
    depth.mkdir()
    image = np.full((60, 80, 3), 90, np.uint8)
    Image.fromarray(image).save(folder / "a.png")
    task = PredictFolder(model="model", images=str(folder), output=str(tmp_path / "out"), depth=str(depth))
    labels = np.zeros((60, 80), np.uint16)
    labels[20:40, 10:30], labels[20:40, 50:70] = 2, 2
    rows = np.arange(60)[:, None] / 60
    inverse = 1.0 + 0.3 * np.broadcast_to(rows, labels.shape) + 0.1 * (labels > 0)
    Image.fromarray((1000 / inverse).astype(np.uint16)).save(depth / "a.png")
    (tmp_path / "out").mkdir()
    task._write_instances(folder / "a.png", image, labels)
    with Image.open(tmp_path / "out/a_instances.png") as file:
        numbers = np.asarray(file)
    listed = json.loads((tmp_path / "out/a_instances.json").read_text())
    assert np.array_equal(numbers > 0, labels > 0)
    assert [item["class"] for item in listed] == [2, 2]
    assert sorted(item["box"] for item in listed) == [[10, 20, 20, 20], [50, 20, 20, 20]]
    Image.fromarray(np.full((5, 5), 900, np.uint16)).save(depth / "a.png")
    with pytest.raises(ImageError, match=r"a.png: depth has shape \(5, 5\), but a.png has \(60, 80\)"):
        task._write_instances(folder / "a.png", image, labels)


def test_a_crf_moves_borders_to_edges_of_colour_and_keeps_class_numbers(images, model):
    """The network is unsure in a column that has the colour of the right side, whose class is 7."""
    torch = pytest.importorskip("torch")
    image = np.zeros((20, 30, 3), np.uint8)
    image[:, 14:] = 220
    probabilities = torch.full((9, 20, 30), 0.001)
    probabilities[0, :, :16], probabilities[7, :, 16:] = 0.95, 0.95
    probabilities[0, :, 14:16], probabilities[7, :, 14:16] = 0.52, 0.47
    plain = PredictFolder(model=model[0], images=str(images), device="cpu")
    assert (plain._labels(image, probabilities)[:, 14:16] == 0).all()
    refined = PredictFolder(model=model[0], images=str(images), device="cpu", crf="default")
    found = refined._labels(image, probabilities)
    assert found.dtype == np.uint16
    assert (found[:, :14] == 0).all()
    assert (found[:, 14:] == 7).all()
    assert refined._settings != plain._settings


def test_what_the_network_saw_smaller_has_the_size_of_the_image(images, model):
    torch = pytest.importorskip("torch")
    task = PredictFolder(model=model[0], images=str(images), device="cpu", resize_side="long", resize_to=30)
    probabilities = torch.zeros(3, 20, 30)
    probabilities[2, :, 15:], probabilities[0, :, :15] = 1.0, 1.0
    labels = task._labels(np.zeros((40, 60, 3), np.uint8), probabilities)
    assert labels.shape == (40, 60)
    assert set(labels[:, :28].flatten()) == {0}
    assert set(labels[:, 32:].flatten()) == {2}
    assert task._settings["length"] == 30
