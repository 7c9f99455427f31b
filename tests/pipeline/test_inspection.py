import numpy as np
import pytest

from data.errors import DamagedArtifactError
from data.sample import UNLABELLED
from data.store.artifact import Artifact
from data.store.sharded import ShardedStore
from data.store.tiles import ArraySpec
from models.palette import palette
from pipeline.inspection import _picture, artifact_report, verify_artifacts
from pipeline.report.colours import UNLABELLED_COLOUR
from tasks.discover_superpixels import NO_SUPERPIXEL
from tasks.runtime.lock import artifact_lock

MAP = np.array([[0, 44, 300, UNLABELLED]], np.uint16)
STAGE = b'{"stage": "TrainClassifier", "version": 1, "parameters": {}}'


@pytest.fixture
def store(tmp_path):
    specs = {
        "label": ArraySpec(("y", "x"), (1, 4), "uint16", UNLABELLED, {}),
        "superpixel": ArraySpec(("y", "x"), (1, 4), "uint16", NO_SUPERPIXEL, {}),
    }
    names = {"class_name": (("class",), np.array([str(number) for number in range(301)]))}
    store = ShardedStore(tmp_path / "a.zarr").create(["0"], specs, {}, 1, names)
    store.write_shard(0, {"label": MAP[None], "superpixel": MAP[None]})
    return ShardedStore(store.path)


def test_a_label_map_has_the_colours_of_its_classes(store):
    colours = palette(301)
    expected = [*colours[[0, 44, 300]].tolist(), list(UNLABELLED_COLOUR)]
    assert _picture("label", store, 0)[0].tolist() == expected


def test_the_padding_of_superpixels_is_white(store):
    found = _picture("superpixel", store, 0)[0].tolist()
    assert found[3] == [255] * 3
    assert [255] * 3 not in found[:3]


@pytest.mark.parametrize(
    ("name", "good", "bad"), [("stage.json", STAGE, b"{ cut"), ("history.json", b'[{"loss": 1.0}]', b'[{"loss": 9.0}]')]
)
def test_a_damaged_file_is_named_and_not_shown(tmp_path, name, good, bad):
    artifact = Artifact(tmp_path)
    (tmp_path / "stage.json").write_bytes(STAGE)
    (tmp_path / name).write_bytes(good)
    artifact.finish({})
    assert artifact_report(tmp_path).startswith("TrainClassifier version 1, complete")
    (tmp_path / name).write_bytes(bad)
    with pytest.raises(DamagedArtifactError, match=f"{name} is damaged"):
        artifact_report(tmp_path)
    (tmp_path / "COMPLETE.json").unlink()
    (tmp_path / name).write_bytes(b"{ cut")
    with pytest.raises(DamagedArtifactError, match=f"{name} is damaged .*not valid JSON"):
        artifact_report(tmp_path)


def test_artifacts_of_any_stage_and_parameters_are_verified(tmp_path, store):
    store.finish({})
    good = Artifact(tmp_path / "bop/ExportLabels/123")
    for artifact in (good, Artifact(tmp_path / "bop/ExportLabels/456")):
        artifact.path.mkdir(parents=True)
        (artifact.path / "labels.json").write_bytes(b"[]")
        artifact.finish({})
    (tmp_path / "bop/GenerateSeeds").mkdir()
    store.path.rename(tmp_path / "bop/GenerateSeeds/789.zarr")
    assert verify_artifacts(tmp_path / "bop") == (3, [])
    (artifact.path / "labels.json").write_bytes(b"{}")
    with artifact_lock(tmp_path / "bop", "ExportLabels", "ExportLabels-456"):
        _, (told,) = verify_artifacts(tmp_path / "bop")
    assert told == f"{artifact.path}: a running command writes it; verify again when that has ended"
    assert artifact.path.exists()
    shard = tmp_path / "bop/GenerateSeeds/789.zarr/label/c/0/0/0"
    shard.write_bytes(shard.read_bytes()[:-1])
    _, (first, second) = verify_artifacts(tmp_path / "bop")
    assert first == f"{artifact.path}: labels.json is damaged; the next run recomputes the artifact"
    assert second.endswith("789.zarr: label/c/0/0/0 (shard 0) is damaged; the next run recomputes this shard")
    assert (good.is_complete(), artifact.path.exists(), shard.exists()) == (True, False, False)
