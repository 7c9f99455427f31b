"""Corrections that come after the stage was planned are not in its identity, so they must not be in its result."""

import pickle

import numpy as np
import pytest
from PIL import Image

from data.errors import DatasetError
from tasks.generate_seeds import GenerateSeeds
from tasks.runtime.luigi_seam import forget_instances


@pytest.fixture
def common(two_cups):
    return two_cups(8, 10)


def correct(folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ones((8, 10), np.uint8)).save(folder / f"{name}.png")


def test_only_what_was_planned_is_read_here_and_in_worker_processes(common, tmp_path):
    correct(tmp_path / "set/corrections", "a")
    index = GenerateSeeds(**common).required["dataset"]
    index.run()
    seeds = GenerateSeeds(**common)
    identity, samples = seeds.identity, index.open().split("train")
    correct(tmp_path / "set/corrections", "b")  # the stages above still run
    for stage in (seeds, pickle.loads(pickle.dumps(seeds))):
        assert stage.correction(samples[0], 1).all()
        assert stage.correction(samples[1], 1) is None
    forget_instances()
    again = GenerateSeeds(**common)
    assert again.correction(samples[1], 1).all()
    assert again.identity != identity


def test_the_rendered_set_has_no_corrections(in_process, tmp_path):
    common = {"dataset": "demo", "artifacts": str(tmp_path / "artifacts")}
    seeds = GenerateSeeds(**common)
    correct(tmp_path / "artifacts/demo/data/corrections/train_pbr/000000", "000000")

    class Asked:
        image_id, tags, size = "train_pbr/000000/000000", (1,), (8, 10)

    assert seeds.corrected == {}
    assert seeds.correction(Asked, 1) is None


def test_with_a_tuning_split_only_the_training_images_that_it_leaves_are_corrected(common, tmp_path):
    """A correction of an image that settings are chosen on is no error, and is not learnt from."""
    root = tmp_path / "set"
    correct(root / "corrections", "a")
    correct(root / "corrections", "b")
    seeds = GenerateSeeds(**common, settings={"IndexDataset": {"tuning": 0.5}})
    (left,) = seeds.required["dataset"].indexed.split("train").ids
    assert list(seeds.corrected) == [left]
    assert len(GenerateSeeds(**common).corrected) == 2
    forget_instances()
    correct(root / "corrections", "nobody")
    with pytest.raises(DatasetError, match="nobody.png: belongs to no training image"):
        _ = GenerateSeeds(**common, settings={"IndexDataset": {"tuning": 0.5}}).corrected
