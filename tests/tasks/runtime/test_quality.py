"""The quality gates of the stages, on stores that are written here."""

import re

import numpy as np
import pytest

from data.errors import QualityError
from data.sample import UNLABELLED
from data.store.sharded import ShardedStore
from data.store.tiles import ArraySpec
from tasks import load_depth
from tasks.coarsen_masks import CoarsenMasks
from tasks.discover_superpixels import DiscoverSuperpixels
from tasks.extract_cams import ExtractCams
from tasks.generate_seeds import GenerateSeeds
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth
from tasks.predict_masks import PredictMasks
from tasks.refine_saliency import RefineSaliency
from tasks.runtime.quality import NAMED, listed


@pytest.fixture
def common(in_process, bop_root, tmp_path):
    common = {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts")}
    IndexDataset(**common).run()
    return common


def with_result(stage, tmp_path, dtype="uint16", fill=UNLABELLED, **arrays):
    """The stage with a store in which every image has the same values in each array; a function makes its own."""
    samples = stage.samples
    made = {
        name: [np.asarray(values(sample) if callable(values) else values, dtype) for sample in samples]
        for name, values in arrays.items()
    }
    shapes = {name: np.max([value.shape for value in values], axis=0) for name, values in made.items()}
    dims = ("slot", "y", "x")
    specs = {
        name: ArraySpec(dims[3 - len(shape) :], tuple(map(int, shape)), dtype, fill, {})
        for name, shape in shapes.items()
    }
    store = ShardedStore(tmp_path / "result.zarr").create([s.image_id for s in samples], specs, {}, len(samples))
    store.write_shard(0, made)
    stage.artifact = store
    return stage


def labels(value):
    return lambda sample: np.full(sample.size, value)


def seeded_by_tags(sample):
    found = np.zeros(sample.size)
    found[0, : len(sample.tags)] = sample.tags
    return found


def test_pixels_are_counted_by_class(common, tmp_path):
    stage = with_result(GenerateSeeds(**common), tmp_path, seed=labels(UNLABELLED))
    height, width = stage.samples[0].size
    assert stage.counts().tolist()[-1] == len(stage.samples) * height * width


@pytest.mark.parametrize(("stage", "array"), [(GenerateSeeds, "seed"), (CoarsenMasks, "label")])
def test_nothing_labelled_is_an_error(common, tmp_path, stage, array):
    task = with_result(stage(**common), tmp_path, **{array: labels(UNLABELLED)})
    with pytest.raises(QualityError, match=f"{stage.__name__}: no pixel of 10 images is labelled"):
        task.findings()


def test_a_class_without_a_seed_is_named(common, tmp_path):
    task = with_result(GenerateSeeds(**common), tmp_path, seed=labels(0))
    (finding,) = task.findings()
    tagged = {tag for sample in task.samples for tag in sample.tags}
    assert finding.startswith(f"{len(tagged)} of {len(tagged)} tagged classes have no seed pixel: ")
    task = with_result(GenerateSeeds(**common), tmp_path / "all", seed=seeded_by_tags)
    assert task.findings() == []


def test_cams_of_one_value(common, tmp_path):
    def cams(flat_ones):
        def of(sample):
            ramp = np.linspace(0, 1, 12).reshape(3, 4)
            return np.stack([np.full((3, 4), 0.5) if sample.image_id in flat_ones else ramp for _ in sample.tags])

        return of

    task = ExtractCams(**common)
    ids = {sample.image_id for sample in task.samples}
    layout = {"dtype": "float32", "fill": float("nan")}
    classifier = re.escape(str(task.required["classifier"].artifact))
    with pytest.raises(QualityError, match=f"CAMs of {classifier} have one value everywhere, so this classifier has"):
        with_result(ExtractCams(**common), tmp_path / "a", **layout, cam=cams(ids)).findings()
    (finding,) = with_result(ExtractCams(**common), tmp_path / "b", **layout, cam=cams(set(list(ids)[:1]))).findings()
    assert "CAMs have one value everywhere: their objects get no seed" in finding
    assert with_result(ExtractCams(**common), tmp_path / "c", **layout, cam=cams(set())).findings() == []


def test_depth_of_the_wrong_unit(common, tmp_path, monkeypatch):
    monkeypatch.setattr(load_depth, "read_surface", lambda stored: (stored.read("depth"), stored.read("valid") > 0))

    def few(sample):
        valid = np.zeros(sample.size)
        valid[:2] = 1
        return valid

    def ramp(sample):
        return np.linspace(1, 2, np.prod(sample.size)).reshape(sample.size)

    def findings(name, valid, depth):
        task = LoadDepth(**common)
        return with_result(task, tmp_path / name, dtype="float32", fill=0, depth=depth, valid=valid).findings()

    (finding,) = findings("few", few, ramp)
    assert "of the pixels have a depth between 0.05 and 20 m; check the unit of the depth files" in finding
    assert findings("good", labels(1), ramp) == []
    assert findings("flat", labels(1), labels(1.0)) == ["10 of 10 depth maps have one value everywhere"]


def test_saliency_without_objects_or_background(common, tmp_path):
    with pytest.raises(QualityError, match="no pixel of 10 images is salient"):
        with_result(RefineSaliency(**common), tmp_path / "a", salient=labels(0)).findings()
    assert (
        "there is no background to learn"
        in with_result(RefineSaliency(**common), tmp_path / "b", salient=labels(1)).findings()[0]
    )


def test_one_superpixel_for_a_whole_image(common, tmp_path):
    task = with_result(DiscoverSuperpixels(**common), tmp_path, count=lambda sample: np.array(1))
    assert task.findings() == ["10 of 10 images are one single superpixel: check --DiscoverSuperpixels-tau"]


def predicted(stage, folder, own, label=seeded_by_tags):
    """PredictMasks with a store: `own` gives the pixels where the network prefers a class to all others."""
    samples = stage.samples
    slots = max(len(sample.tags) for sample in samples)
    size = tuple(map(int, np.max([sample.size for sample in samples], axis=0)))
    specs = {
        "label": ArraySpec(("y", "x"), size, "uint16", UNLABELLED, {}),
        "tag_pixels": ArraySpec(("slot",), (slots,), "int32", -1, {}),
    }
    store = ShardedStore(folder / "result.zarr").create([s.image_id for s in samples], specs, {}, len(samples))
    found = {"label": [label(sample).astype(np.uint16) for sample in samples]}
    found["tag_pixels"] = [np.array([own(tag) for tag in sample.tags], np.int32) for sample in samples]
    store.write_shard(0, found)
    stage.artifact = store
    return stage


def test_pseudo_labels_of_one_class(common, tmp_path):
    task = predicted(PredictMasks(**common), tmp_path, lambda tag: 5, labels(0))
    assert task.findings() == ["every pixel of 10 images has the class background"]


def test_a_class_that_the_network_never_prefers_is_named(common, tmp_path):
    assert predicted(PredictMasks(**common), tmp_path / "all", lambda tag: 5).findings() == []
    task = predicted(PredictMasks(**common), tmp_path / "some", lambda tag: 0 if tag == 2 else 5)
    names, tagged = task.inputs["dataset"].class_names, set().union(*(sample.tags for sample in task.samples))
    assert task.findings() == [
        f"1 of {len(tagged)} tagged classes have no pixel where the network prefers them to all other classes: "
        f"{names[2]}; train longer (--TrainSegmenter-least-steps), or look at their seeds"
    ]


def test_at_most_ten_names():
    assert listed(map(str, range(3))) == "0, 1, 2"
    assert listed(map(str, range(99))).count(",") == NAMED
