"""Bad input through the real command line: one clear line, a non-zero exit, nothing computed is lost."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image
from support import contents, with_hook


def expect_error(result, *words):
    assert result.returncode in (30, 35), result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if all(word in line for word in words)]
    assert lines, result.stderr


def test_truncated_image(here):
    path = here.data_root / "train_pbr/000001/rgb/000002.jpg"
    path.write_bytes(path.read_bytes()[:2000])
    expect_error(here.luigi("IndexDataset"), "000002.jpg: cannot be decoded", "replace the file")


def test_missing_depth_file(here):
    (here.data_root / "train_pbr/000001/depth/000002.png").unlink()
    expect_error(here.luigi("LoadDepth"), "000002.png: depth file is missing")


def test_depth_of_another_size(here):
    path = here.data_root / "train_pbr/000001/depth/000002.png"
    Image.open(path).resize((96, 72)).save(path)
    expect_error(here.luigi("LoadDepth"), "000002.png: depth is 96x72", "is 192x144")


def test_unknown_class_id(here):
    path = here.data_root / "train_pbr/000001/scene_gt.json"
    content = json.loads(path.read_text())
    content["1"][0]["obj_id"] = 99
    path.write_text(json.dumps(content))
    expect_error(here.luigi("LoadDepth"), "scene_gt.json: frame 1 has the unknown class id 99")


def test_no_image_with_a_label(here):
    for path in here.data_root.glob("*/*/scene_gt*.json"):
        path.write_text(json.dumps({key: [] for key in json.loads(path.read_text())}))
    expect_error(here.luigi("TrainClassifier"), "no training image has a tag")


def test_wrong_data_root(here, tmp_path):
    here.data_root = tmp_path / "nowhere"
    expect_error(here.luigi("LoadDepth"), "nowhere: the folder does not exist", "--data-root")


def test_artifacts_that_cannot_be_written(here, tmp_path):
    (tmp_path / "file").write_text("")
    here.artifacts = tmp_path / "file" / "artifacts"
    expect_error(here.luigi("IndexDataset"), "cannot be written", "--artifacts")


def test_all_zero_depth_loses_nothing_that_is_finished(here):
    path = here.data_root / "train_pbr/000002/depth/000004.png"
    good = path.read_bytes()
    Image.fromarray(np.zeros((144, 192), np.uint16)).save(path)
    result = here.luigi("LoadDepth", "--processes", 1)
    expect_error(result, "000004.png: depth of train_pbr/000002/000004 is zero everywhere")
    assert [name for name in contents(here.artifacts) if name.endswith("depth/c/0/0/0")]
    path.write_bytes(good)
    assert here.luigi("LoadDepth", "--processes", 1).returncode == 0


def test_a_full_disk_is_one_line_and_what_was_written_stays(command_line, tmp_path):
    """A file-size limit stands for the full disk: the system refuses to go on writing."""
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))\n"
    )
    result = command_line.luigi("LoadDepth", "--processes", 1, environment={"PYTHONPATH": with_hook(hook)})
    expect_error(result, "cannot be written (File too large); free space")
    result = command_line.luigi("LoadDepth", "--processes", 1)
    assert result.returncode == 0, result.stderr
    assert "IndexDataset: started" not in result.stderr


def test_weights_that_are_not_available(here):
    result = here.luigi("TrainClassifier", "--TrainClassifier-weights", "/no/such.pth")
    expect_error(result, "/no/such.pth does not exist. Three ways: (1)", "(2)", "--profile small")


def test_unknown_backbone(here):
    result = here.luigi("ExtractKeys", "--ExtractKeys-backbone", "resnet5")
    expect_error(result, "timm has no backbone 'resnet5'; did you mean: resnet")


@pytest.mark.pipeline
def test_images_of_several_sizes_and_no_masks_work(here):
    scene = here.data_root / "train_pbr/000001"
    for number in range(2):
        for folder, suffix in (("rgb", "jpg"), ("depth", "png")):
            path = scene / folder / f"{number:06d}.{suffix}"
            Image.open(path).resize((150, 130), Image.Resampling.NEAREST).save(path)
    for folder in here.data_root.glob("*/*/mask*"):
        shutil.rmtree(folder)
    result = here.luigi("RunAll", "--processes", 1)
    assert result.returncode == 0, result.stderr
    assert "no ground truth, no score" in result.stderr
    assert here.scores() == {
        "cam_seed": None, "initial_seed": None, "pseudo_labels": None, "predictions": None,
    }  # fmt: skip


def test_a_pipe_in_the_place_of_a_file_does_not_hang(here):
    for name in ("rgb/000002.jpg", "depth/000003.png"):
        path = here.data_root / "train_pbr/000001" / name
        content = path.read_bytes()
        path.unlink()
        os.mkfifo(path)
        expect_error(here.luigi("IndexDataset"), f"{name}: is no regular file")
        path.unlink()
        path.write_bytes(content)
