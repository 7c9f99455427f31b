"""Which artifacts there are, who reads them, and that nothing is removed that a running command needs."""

import json

import pytest

from data.errors import StoreError
from data.store.artifact import Artifact
from pipeline.removal import consumers, in_use, on_disk, remove, sources
from tasks.runtime.lock import TRAINING, artifact_lock, is_locked


def identity(name: str) -> str:
    return name.encode().hex().ljust(12, "0")


@pytest.fixture
def folder(tmp_path):
    """index -> depth -> seeds -> model, and keys -> seeds; model is not complete."""
    folder = tmp_path / "demo"
    for stage, name, parents in (
        ("IndexDataset", "index", ()),
        ("LoadDepth", "depth", ("index",)),
        ("ExtractKeys", "keys", ("index",)),
        ("GenerateSeeds", "seeds", ("depth", "keys")),
        ("TrainSegmenter", "model", ("seeds",)),
    ):
        path = folder / stage / identity(name)
        path.mkdir(parents=True)
        described = {"stage": stage, "version": 1, "parameters": {}, "contents": {}}
        described["parents"] = {f"{parent} {identity(parent)}": "d" for parent in parents}
        (path / "stage.json").write_text(json.dumps(described))
        if name != "model":
            Artifact(path).finish({}, identity(name))
    return folder


def names(found):
    return [one.stage for one in found]


def test_what_is_no_artifact_is_not_listed(folder):
    (folder / "data/000001").mkdir(parents=True)
    (folder / ".runs").mkdir()
    (folder / "LoadDepth/notes").mkdir()
    (folder / "LoadDepth/notes/stage.json").write_text("{}")
    (folder / "LoadDepth" / identity("empty")).mkdir()
    found = on_disk(folder)
    assert names(found) == ["ExtractKeys", "GenerateSeeds", "IndexDataset", "LoadDepth", "TrainSegmenter"]
    assert [one.complete for one in found] == [True, True, True, True, False]
    assert on_disk(folder / "nowhere") == []


def test_consumers_are_followed_to_the_end(folder):
    found = on_disk(folder)
    assert names(consumers({identity("depth")}, found)) == ["GenerateSeeds", "TrainSegmenter"]
    assert names(consumers({identity("depth"), identity("seeds")}, found)) == ["TrainSegmenter"]
    assert consumers({identity("model")}, found) == []


def test_sources_are_followed_to_the_end(folder):
    found = on_disk(folder)
    expected = {identity(name) for name in ("seeds", "depth", "keys", "index")}
    assert sources({identity("seeds")}, found) == expected
    assert sources({"gone"}, found) == {"gone"}


def test_what_a_running_command_writes_is_in_use_with_all_that_it_is_made_from(folder):
    found = on_disk(folder)
    assert in_use(folder, found) == set()
    with artifact_lock(folder, "GenerateSeeds", f"GenerateSeeds-{identity('seeds')}"):
        assert in_use(folder, found) == {identity(name) for name in ("seeds", "depth", "keys", "index")}
    assert in_use(folder, found) == set()


def test_an_artifact_is_removed_with_its_folder(folder):
    chosen = [one for one in on_disk(folder) if one.stage == "LoadDepth"]
    assert list(remove(folder, chosen)) == chosen
    assert names(on_disk(folder)) == ["ExtractKeys", "GenerateSeeds", "IndexDataset", "TrainSegmenter"]


def test_an_artifact_that_a_running_command_writes_is_not_removed(folder):
    chosen = [one for one in on_disk(folder) if one.stage == "TrainSegmenter"]
    name = f"TrainSegmenter-{identity('model')}"
    with artifact_lock(folder, "TrainSegmenter", name):
        assert is_locked(folder, name)
        with pytest.raises(StoreError, match=f"another run is computing {name} .*host .*; wait for it"):
            list(remove(folder, chosen))
        assert chosen[0].path.exists()
    assert not is_locked(folder, name)
    assert not is_locked(folder, "nobody")
    assert list(remove(folder, chosen)) == chosen


def test_an_artifact_that_a_job_trains_whose_command_has_gone_is_not_removed(folder):
    chosen = [one for one in on_disk(folder) if one.stage == "TrainSegmenter"]
    name = f"TrainSegmenter-{identity('model')}"
    with artifact_lock(folder, "TrainSegmenter", name + TRAINING):
        assert identity("model") in in_use(folder, chosen)
        with pytest.raises(StoreError, match=f"a job still trains {name}; wait until it has ended"):
            list(remove(folder, chosen))
        assert chosen[0].path.exists()
    assert list(remove(folder, chosen)) == chosen
