"""A stage of a few lines over the tiny set, with 1 process: the engine reads, batches, computes and writes."""

import pickle

import luigi
import numpy as np
import pytest
import torch

from data.files.images import read_image
from data.sample import EVALUATION, TRAIN
from data.store.tiles import ArraySpec
from tasks.index_dataset import IndexDataset
from tasks.runtime import executors, network_map, placement
from tasks.runtime.image_stage import ImageStage, OfSplit, SplitStage
from tasks.runtime.layout import image_map
from tasks.runtime.luigi_seam import forget_instances
from tasks.runtime.network_map import BatchNetwork
from tasks.runtime.quality import warnings_of


class MeasureRed(SplitStage):
    """The red channel, and its mean."""

    shard_size = luigi.IntParameter(default=4)
    computed: list = []

    def requires(self):
        return {"dataset": self.upstream(IndexDataset)}

    def arrays(self, samples):
        return {
            "red": image_map(samples, "uint8", 0, "red"),
            "mean": ArraySpec((), (), "float32", float("nan"), {"long_name": "mean of red"}),
        }

    def compute(self, sample, inputs):
        self.computed.append(inputs.index)
        red = read_image(sample.image)[..., 0]
        return {"red": red, "mean": np.float32(red.mean())}


class CountRed(MeasureRed):
    """Counts the pixels of the artifact and the sum of their red."""

    seen: list = []

    def count(self, sample, image, num_classes):
        red = image.read("red")
        self.seen.append(type(image).__name__)
        return np.array([red.size, red.astype(int).sum()])

    def findings(self):
        return [str(self.counts().tolist())]


class CutRed(ImageStage):
    """Where red exceeds its mean; a network has seen each image."""

    shard_size = luigi.IntParameter(default=4)
    batch_size = luigi.IntParameter(default=3, significant=False)
    batches: list = []
    read: list = []

    def requires(self):
        return {"dataset": self.upstream(IndexDataset), "red": self.upstream(MeasureRed)}

    def arrays(self, samples):
        return {"bright": image_map(samples, "bool", False, "red above its mean")}

    def network_inputs(self):
        return {"greeting": "of "}

    def network(self, greeting):
        def infer(images, samples):
            self.batches.append(len(samples))
            return {"image": images}

        def results(found, samples):
            return [greeting + sample.image_id for sample in samples]

        return BatchNetwork(torch.device("cpu"), infer, results)

    def compute(self, sample, inputs):
        assert inputs.inferred == f"of {sample.image_id}"
        red = inputs["red"].read("red")
        self.read.append((red.shape, sample.size, inputs.num_classes, sorted(inputs)))
        return {"bright": red > inputs["red"].read("mean")}


@pytest.fixture
def common(in_process, bop_root, tmp_path):
    for stage in (MeasureRed, CountRed, CutRed):
        for seen in ("computed", "batches", "read", "seen"):
            vars(stage).get(seen, []).clear()
    found = {
        "dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts"), "processes": 1,
    }  # fmt: skip
    IndexDataset(**found).run()
    return found


def test_every_image_is_computed_once(common):
    stage = MeasureRed(**common)
    assert not stage.complete()
    stage.run()
    assert stage.complete()
    assert stage.computed == list(range(10))
    sample = stage.samples[7]
    red = read_image(sample.image)[..., 0]
    assert np.array_equal(stage.artifact.image(7, sample.size).read("red"), red)
    assert stage.artifact.read_image("mean", 7) == np.float32(red.mean())
    assert stage.record()["images"] == 10
    assert stage.artifact.attrs["stage"] == "MeasureRed"
    assert list(stage.artifact.group["class_name"][:]) == list(stage.inputs["dataset"].class_names)


def test_the_workers_are_those_of_the_parameters(common, monkeypatch):
    asked = []

    def this_process(*arguments):
        asked.append(arguments)
        return executors.ThisProcess()

    monkeypatch.setattr(placement, "executor_for", this_process)
    MeasureRed(**common | {"processes": 2, "dask": "slurm", "shard_timeout": 7}).run()
    CutRed(**common | {"processes": 2, "dask": "slurm"}).run()
    assert asked == [(2, 3, "slurm", 7, "cpu"), (2, 3, "slurm", 3600, "gpu")]


def test_missing_shards_alone_are_recomputed(common):
    stage = MeasureRed(**common)
    stage.run()
    digest = stage.artifact.digest()
    stage.computed.clear()
    stage.artifact.reopen_shard(1)
    assert not stage.complete()
    stage.run()
    assert stage.computed == [4, 5, 6, 7]
    assert stage.artifact.digest() == digest
    assert stage.record()["images"] == 4


def test_findings_count_what_was_computed_and_read_only_what_an_earlier_run_left(common):
    stage = CountRed(**common)
    stage.run()
    found = warnings_of(stage.artifact)
    assert stage.seen == ["ComputedImage"] * 10
    forget_instances()
    assert [str(CountRed(**common).counts().tolist())] == found
    assert stage.seen[10:] == ["StoredImage"] * 10
    stage.seen.clear()
    stage.artifact.reopen_shard(1)
    forget_instances()
    CountRed(**common).run()
    assert stage.seen == ["ComputedImage"] * 4 + ["StoredImage"] * 6
    assert warnings_of(stage.artifact) == found


def test_an_interrupted_run_goes_on_where_it_stopped(common, monkeypatch):
    compute = MeasureRed.compute

    def stop_at_six(stage, sample, inputs):
        if inputs.index == 6:
            raise KeyboardInterrupt
        return compute(stage, sample, inputs)

    monkeypatch.setattr(MeasureRed, "compute", stop_at_six)
    with pytest.raises(KeyboardInterrupt):
        MeasureRed(**common).run()
    assert MeasureRed.computed == [0, 1, 2, 3, 4, 5]
    monkeypatch.setattr(MeasureRed, "compute", compute)
    MeasureRed.computed.clear()
    forget_instances()
    MeasureRed(**common).run()
    assert MeasureRed.computed == list(range(4, 10))


def test_what_is_upstream_is_read_without_padding_and_a_network_sees_batches(common):
    MeasureRed(**common).run()
    stage = CutRed(**common)
    stage.run()
    assert stage.batches == [1] * 10  # on the CPU, a batch is one image
    num_classes = stage.inputs["dataset"].num_classes
    assert stage.read == [(sample.size, sample.size, num_classes, ["red"]) for sample in stage.samples]
    sample = stage.samples[3]
    red = read_image(sample.image)[..., 0]
    assert np.array_equal(stage.artifact.image(3, sample.size).read("bright"), red > np.float32(red.mean()))


def test_images_of_two_sizes_are_padded_in_the_artifact_alone(common, bop_root):
    from PIL import Image

    for name in ("rgb/000000.jpg", "depth/000000.png"):
        path = bop_root / "train_pbr/000001" / name
        Image.open(path).crop((0, 0, 100, 60)).save(path)
    forget_instances()
    IndexDataset(**common).run()
    MeasureRed(**common).run()
    stage = CutRed(**common)
    stage.run()
    assert stage.artifact.read_image("bright", 0).shape == (144, 192)
    assert stage.read[0][:2] == ((60, 100), (60, 100))
    assert not stage.artifact.read_image("bright", 0)[60:].any()


def test_where_nothing_is_missing_no_network_is_loaded(common, monkeypatch):
    MeasureRed(**common).run()
    stage = CutRed(**common)
    stage.run()
    stage.artifact.reopen()  # the marker is lost, the shards are there
    monkeypatch.setattr(CutRed, "network", None)
    stage.run()
    assert stage.complete()


def test_a_worker_that_outlives_a_run_loads_the_network_anew_where_anything_of_it_is_another(common, monkeypatch):
    monkeypatch.setattr(network_map, "_KEPT", {})
    MeasureRed(**common).run()

    def source(**values):
        forget_instances()
        return pickle.loads(pickle.dumps(CutRed(**common | values)._network_source()))

    kept = source().kept()
    assert source().kept() is kept
    other = source(batch_size=5).kept()
    assert other is not kept
    assert source(batch_size=5).kept() is other
    above = MeasureRed(**common)
    (above.artifact.path / "another").write_text("content")  # as if it was computed again, by other code
    above.artifact.finish(above.artifact.marker.parents, above.identity)
    again = source(batch_size=5).kept()
    assert again is not other
    assert source(batch_size=5).kept() is again


def test_each_split_has_an_artifact_and_a_label_of_its_own(common):
    train, evaluation = (MeasureRed(**common, split=split) for split in (TRAIN, EVALUATION))
    assert isinstance(train, OfSplit)
    assert (train.label, evaluation.label) == ("MeasureRed", "MeasureRed-evaluation")
    assert train.artifact.path != evaluation.artifact.path
    for stage, count in ((train, 10), (evaluation, 5)):
        stage.run()
        assert stage.artifact.image_ids == [sample.image_id for sample in stage.samples]
        assert len(stage.samples) == count


def test_by_default_the_result_is_what_the_network_computed(common):
    class Inputs:
        inferred = {"bright": 1}  # noqa: RUF012

    assert ImageStage.compute(CutRed(**common), None, Inputs) is Inputs.inferred
    assert ImageStage.network_inputs(CutRed(**common)) is None
