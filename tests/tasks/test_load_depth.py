import dataclasses

import luigi
import numpy as np
import pytest

from data.depth import SENSORS
from data.depth.sensors import sense
from data.errors import DatasetError, ImageError, SettingError, WeightsError
from data.files.images import read_depth, read_image
from data.readers.bop import read_bop
from data.sample import TRAIN
from tasks.estimate_depth import EstimateDepth
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth
from tasks.runtime.luigi_seam import forget_instances
from tasks.runtime.shards import ImageInputs


@pytest.fixture
def sample(bop_root):
    return dataclasses.replace(read_bop(bop_root, {TRAIN: "train_pbr"}).samples[0], size=(144, 192))


def loaded_depth(sample, **parameters):
    """What the stage computes for one image."""
    return LoadDepth(**parameters).compute(sample, ImageInputs({}, 0, sample.size, 1))


def test_depth_and_its_validity(sample):
    loaded = loaded_depth(sample)
    assert loaded["depth"].shape == loaded["valid"].shape == (144, 192)
    assert np.isfinite(loaded["depth"]).all()
    assert 0.7 < loaded["valid"].mean() < 1


def test_without_a_depth_file_nothing_is_valid(sample):
    loaded = loaded_depth(dataclasses.replace(sample, depth=None))
    assert np.isnan(loaded["depth"]).all()
    assert not loaded["valid"].any()


def test_a_range_that_holds_nothing_is_named(sample):
    with pytest.raises(
        ImageError, match=r"no depth of train_pbr/000001/000000 lies between 50.0 and 60.0 m.*--LoadDepth-near"
    ):
        loaded_depth(sample, near=50.0, far=60.0)


@pytest.fixture
def common(in_process, bop_root, tmp_path):
    return {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts"), "processes": 1}


def computed(task):
    assert luigi.build([task], local_scheduler=True, log_level="ERROR")
    return task.artifact


def test_a_folder_of_depth_files_gives_what_the_sensor_gives(common, tmp_path):
    sensor = computed(LoadDepth(**common))
    for index, sample in enumerate(IndexDataset(**common).open().split(TRAIN)):
        path = tmp_path / f"depth/{sample.image_id}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, read_depth(sample))
        last = path, index
    task = LoadDepth(source="files", folder=str(tmp_path / "depth"), **common)
    folder = computed(task)
    assert task.identity != LoadDepth(**common).identity
    for name in ("depth", "valid"):
        assert np.array_equal(folder.read_image(name, 3), sensor.read_image(name, 3), equal_nan=True)
    np.save(last[0], np.full((144, 192), 0.7))
    forget_instances()
    assert LoadDepth(source="files", folder=str(tmp_path / "depth"), **common).identity != task.identity
    last[0].unlink()
    forget_instances()
    with pytest.raises(ImageError, match="add the depth map of"):
        LoadDepth(source="files", folder=str(tmp_path / "depth"), **common).identity  # noqa: B018


def test_files_for_a_set_that_is_not_rendered_say_how_to_render_it(in_process, tmp_path):
    common = {"dataset": "demo", "artifacts": str(tmp_path / "artifacts")}
    with pytest.raises(DatasetError, match="does not exist; render it before .* IndexDataset --dataset demo"):
        LoadDepth(source="files", folder=str(tmp_path), **common).identity  # noqa: B018


def test_a_source_of_files_needs_a_folder(common):
    with pytest.raises(SettingError, match="--LoadDepth-folder"):
        LoadDepth(source="files", **common).identity  # noqa: B018


def test_estimated_depth_has_its_own_stage(common, tiny_depth_network):
    settings = {"EstimateDepth": {"model": str(tiny_depth_network)}}
    store = computed(LoadDepth(source="estimate", settings=settings, **common))
    depth = store.read_image("depth", 0)
    assert store.read_image("valid", 0).all()
    assert 0.4 < depth.min() < depth.max() < 4.1
    estimate = EstimateDepth(settings=settings, **common)
    assert estimate.complete()
    assert EstimateDepth(**common).identity != estimate.identity


def test_a_depth_network_that_is_not_available_says_how_to_get_it(common, monkeypatch):
    pytest.importorskip("transformers")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # its variable is read at import
    with pytest.raises(WeightsError, match="--EstimateDepth-model /path/to/folder"):
        EstimateDepth(model="nobody/nothing", **common).estimator()


def test_noise_depends_on_the_seed_and_clean_depth_does_not(common):
    def identity(**parameters):
        return LoadDepth(**common, **parameters).identity

    assert identity(seed=0) == identity(seed=1)
    assert identity(seed=0, noise=0.01) != identity(seed=1, noise=0.01)


def test_a_sensor_takes_the_place_of_gaussian_noise(common, sample):
    def identity(**parameters):
        return LoadDepth(**common, **parameters).identity

    assert identity(noise="kinect", seed=0) != identity(noise="kinect", seed=1)
    assert len({identity(noise=noise) for noise in (0.0, 0.01, "kinect", "realsense")}) == 4
    assert identity(noise=0.01, sensor_scale=2.0) == identity(noise=0.01)
    assert identity(noise="kinect", sensor_scale=2.0) != identity(noise="kinect")
    with pytest.raises(SettingError, match="a number of at least 0, or kinect or realsense"):
        LoadDepth(**common, noise="xtion")

    raw = read_depth(sample)
    clean = loaded_depth(sample, median_size=1)
    for name in SENSORS:
        loaded = loaded_depth(sample, noise=name, median_size=1, sensor_scale=1.5)
        expected = sense(raw, read_image(sample.image), SENSORS[name], 1.5, np.random.default_rng([0, 0]))
        assert np.array_equal(loaded["depth"][loaded["valid"]], expected[expected > 0])
        assert not np.array_equal(loaded["depth"], clean["depth"])
        fewer = loaded_depth(sample, noise=name, median_size=1, sensor_scale=1.5, dropout=0.5)["valid"].mean()
        assert fewer < loaded["valid"].mean() - 0.2  # further noise comes on top


def test_noisy_depth_is_noisy_and_has_holes(common):
    clean, noisy = computed(LoadDepth(**common)), computed(LoadDepth(noise=0.02, dropout=0.3, median_size=1, **common))
    assert noisy.read_image("valid", 0).mean() < clean.read_image("valid", 0).mean() - 0.15
    assert np.abs(noisy.read_image("depth", 0) - clean.read_image("depth", 0)).std() > 0.01
