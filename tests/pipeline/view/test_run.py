"""What a run has to show, other identities, and seeds that are computed again."""

import shutil

import numpy as np
import pytest

from data.errors import SettingError, StoreError
from data.sample import EVALUATION, TRAIN


def test_all_stages_of_both_splits_are_there(run):
    assert set(run.stages[TRAIN]) == {"depth", "cams", "superpixels", "seeds", "pseudo_labels"}
    assert set(run.stages[EVALUATION]) == {"predictions", "tags"}
    assert run.left_out == [
        (TRAIN, "tags", "PredictTags --split train", "missing"),
        (EVALUATION, "depth", "LoadDepth --split evaluation", "missing"),
    ]


def test_seeds_with_the_parameters_of_the_run_are_those_of_the_stage(run):
    own = run.seed_parameters()
    assert own == {"alpha": 0.4, "gamma": 0.02}
    for place in range(len(run.samples(TRAIN))):
        image = run.image(TRAIN, place)
        written = image.stored("seeds").read("seed")
        found = run.seed(image, **own)
        assert (found.dtype, found.tobytes()) == (written.dtype, written.tobytes())


def test_seeds_with_other_parameters_are_those_that_the_stage_would_write(finished, viewed):
    changes = {"alpha": 0.9, "gamma": 0.5}
    flags = [text for name, value in changes.items() for text in (f"--{name}", str(value))]
    assert finished.luigi("GenerateSeeds", *flags, "--processes", 1).returncode == 0
    run = viewed(finished)
    identities = run.identities(TRAIN, "seeds")
    assert list(identities.values()) == ["this run", "alpha 0.9, gamma 0.5"]
    other = list(identities)[1]
    images = [run.image(TRAIN, place) for place in range(len(run.samples(TRAIN)))]
    written = [image.stored("seeds", other).read("seed") for image in images]
    assert [run.seed(image, **changes).tobytes() for image in images] == [seed.tobytes() for seed in written]
    assert any((seed != image.stored("seeds").read("seed")).any() for seed, image in zip(written, images))


@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_a_parameter_outside_its_range_is_refused(run, value):
    with pytest.raises(SettingError, match="alpha"):
        run.seed(run.image(TRAIN, 0), alpha=value)


def test_an_artifact_that_is_not_complete_is_left_out(finished, viewed):
    path = viewed(finished).stages[TRAIN]["pseudo_labels"].artifact.path
    shutil.rmtree(path)
    run = viewed(finished)
    assert "pseudo_labels" not in run.stages[TRAIN]
    assert (TRAIN, "pseudo_labels", "PredictMasks --split train", "missing") in run.left_out
    with pytest.raises(SettingError, match="no complete artifact of 'pseudo_labels'"):
        run.image(TRAIN, 0).stored("pseudo_labels")


def test_an_identity_of_other_images_is_not_offered(finished, viewed):
    """Both splits of PredictMasks lie in one folder."""
    run = viewed(finished)
    folder = run.stages[TRAIN]["pseudo_labels"].artifact.path.parent
    assert len(list(folder.glob("*.zarr"))) == 2
    assert list(run.identities(TRAIN, "pseudo_labels").values()) == ["this run"]
    result = finished.luigi("LoadDepth", "--IndexDataset-size", "32", "--processes", 1)  # the same names
    assert result.returncode == 0, result.stderr
    assert len(list(run.stages[TRAIN]["depth"].artifact.path.parent.glob("*.zarr"))) == 2
    assert list(run.identities(TRAIN, "depth").values()) == ["this run"]
    with pytest.raises(SettingError, match="no complete artifact nothing"):
        run.store(TRAIN, "pseudo_labels", "nothing")


def test_without_artifacts_the_line_says_what_to_run(finished, viewed):
    shutil.rmtree(finished.artifacts)
    with pytest.raises(StoreError, match="run: luigi --module pipeline RunAll --dataset bop"):
        viewed(finished)


@pytest.mark.parametrize(("split", "place"), [("other", 0), (TRAIN, 10), (TRAIN, -1)])
def test_an_image_that_is_not_there_is_refused(run, split, place):
    with pytest.raises(SettingError, match="there is n"):
        run.image(split, place)


def test_the_images_have_their_ground_truth(run):
    assert all(sample.truth for split in (TRAIN, EVALUATION) for sample in run.samples(split))
    assert np.array_equal(run.samples(TRAIN).sizes, np.full((10, 2), [144, 192]))
