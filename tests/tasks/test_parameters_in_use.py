"""What a stage reads while it works is what `matters` says: nothing else, and all of it.

A stage runs with every parameter that does not matter replaced by something that cannot be used. The reads of the
others are recorded.
"""

import shutil
from pathlib import Path

import luigi
import numpy as np
import pytest
from filelock import FileLock
from PIL import Image
from stage_variants import Variants, write_crops

from data.demo.scenes import render_demo
from data.readers.bop import read_bop
from data.sample import TRAIN
from models.crf_constants import installed_engine
from tasks.assign_clusters import AssignClusters
from tasks.coarsen_masks import CoarsenMasks
from tasks.discover_superpixels import DiscoverSuperpixels
from tasks.estimate_depth import EstimateDepth
from tasks.evaluate_instances import EvaluateInstances
from tasks.evaluate_masks import EvaluateMasks
from tasks.export_instances import ExportInstances
from tasks.export_labels import ExportLabels
from tasks.export_model import ExportModel
from tasks.extract_cams import ExtractCams
from tasks.extract_keys import ExtractKeys
from tasks.generate_seeds import GenerateSeeds
from tasks.index_dataset import IndexDataset
from tasks.learn_clusters import LearnClusters
from tasks.load_depth import LoadDepth
from tasks.load_saliency import LoadSaliency
from tasks.match_objects import MatchObjects
from tasks.methods import METHODS
from tasks.pool_keys import PoolKeys
from tasks.predict_masks import PredictMasks
from tasks.refine_saliency import RefineSaliency
from tasks.runtime.dag import stages
from tasks.runtime.image_stage import ImageStage
from tasks.runtime.parameters import registries_of
from tasks.runtime.stage import StageTask
from tasks.split_instances import SplitInstances
from tasks.train_by_masking import TrainByMasking
from tasks.train_classifier import TrainClassifier
from tasks.train_coarse import TrainCoarse
from tasks.train_segmenter import TrainSegmenter

ELSEWHERE = {
    "dataset",
    "method",
    "settings",
    "precision",
    "cluster",
    "accumulate",
    "proposals",
    "instances",
    "tuning",
    "size",
}
"""What these decide shows in other parameters and in the stages upstream, or is always read."""


class Used(Exception):
    """A parameter that does not matter was used."""


class Unusable:
    """Stands for a parameter; it can be handed on, but every use of its value raises `Used`."""

    def __init__(self, name):
        object.__setattr__(self, "_name", name)

    def __repr__(self):
        return f"<unusable {object.__getattribute__(self, '_name')}>"

    def __getattr__(self, name):
        raise Used(repr(self))


def _use(unusable, *arguments):
    raise Used(repr(unusable))


USES = {name for kind in (int, float, str, tuple, dict) for name in dir(kind) if name.startswith("__")}
COMPARISONS = {"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__", "__str__", "__format__"}
for method in USES - set(dir(object)) | COMPARISONS | {"__matmul__", "__rmatmul__", "__call__", "__enter__"}:
    setattr(Unusable, method, _use)


class Watch:
    """Watches the parameters of one stage."""

    def __init__(self):
        self.task, self.names, self.unusable, self.read = None, set(), set(), set()

    def __call__(self, task, name):
        if task is self.task and name in self.names:
            if name in self.unusable:
                return Unusable(name)
            self.read.add(name)
        return object.__getattribute__(task, name)

    def work(self, task, folder: Path, *unusable: str) -> set[str]:
        """Let the stage work into `folder`; the parameters that it has read of those that are usable."""
        described, usable = task.description(), set(task.parameters()) - set(unusable)
        task = _copy(task)
        task.description = lambda: described  # it reads all parameters
        task.__dict__["artifact"] = task.artifact_type(folder)
        for name in ("scanned", "indexed"):  # IndexDataset: read for the identity, again when it works
            task.__dict__.pop(name, None)
        self.names = {name for name, parameter in task.get_params() if parameter.significant} - ELSEWHERE
        self.unusable, self.read = self.names - usable, set()
        self.task = task
        try:
            task.work()
        finally:
            self.task = None
            shutil.rmtree(folder, ignore_errors=True)
        return set(self.read)


def _copy(task):
    """The same stage; luigi hands out one instance to all who ask."""
    copy = object.__new__(type(task))
    copy.__dict__.update(task.__dict__)
    return copy


@pytest.fixture
def watch(monkeypatch):
    found = Watch()
    monkeypatch.setattr(StageTask, "__getattribute__", lambda task, name: found(task, name), raising=False)
    return found


@pytest.fixture(scope="module")
def folder(shared_folder) -> Path:
    """A set of two images and one, and the artifacts that the tests of this file share."""
    place = shared_folder / "in_use"
    with FileLock(shared_folder / "in_use.lock"):
        if not place.exists():
            render_demo(place / "rendered", {"train_pbr": (1, 2), "test": (1, 1)})
            write_crops(place / "rendered", read_bop(place / "rendered", {TRAIN: "train_pbr"}).class_names)
    return place


@pytest.fixture(scope="module")
def variants(folder, tmp_path_factory):
    return Variants(tmp_path_factory.mktemp("variants"), folder / "rendered")


def open_sized_network() -> bytes:
    """An ONNX network of one convolution that leaves the size of its input open."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "weight"], ["raw"]), helper.make_node("Sigmoid", ["raw"], ["map"])],
        "brightness",
        [helper.make_tensor_value_info("image", kind, [1, 3, "side", "side"])],
        [helper.make_tensor_value_info("map", kind, [1, 1, "side", "side"])],
        [helper.make_tensor("weight", kind, [1, 3, 1, 1], [1 / 3] * 3)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def made(stage, parameters):
    """A stage whose inputs are complete."""
    task = stage(**parameters)
    for above in stages(task):
        if above is not task and not above.complete():
            above.run()
    return task


@pytest.fixture
def check(in_process, watch, variants, folder, tmp_path, monkeypatch):
    """Run a stage from each of its bases, and compare what it reads with what matters."""
    for base in (StageTask, ImageStage):  # what a tiny network makes of two images is of no use to anybody
        monkeypatch.setattr(base, "_write_findings", lambda task: None)

    def check(stage, keep=lambda base: "method" not in base, **further):
        wrong = []
        common = {"dataset": "bop", "data_root": str(folder / "rendered"), "artifacts": str(folder / "artifacts")}
        for base in variants.bases(stage):
            parameters = {**common, "processes": 1, "device": "cpu", **base, **further}
            engine = base.get("crf_engine", "auto")
            if not keep(base) or installed_engine(engine) != engine:
                continue
            try:
                task = made(stage, parameters)
                read = watch.work(task, tmp_path / "result")
            except Exception as error:  # noqa: BLE001, of any kind: what cannot be used may be met in any library
                wrong.append((base, f"{type(error).__name__}: {error}"))
                continue
            if read != (mattering := set(task.parameters()) - ELSEWHERE):
                wrong.append((base, "matters, but is not read", mattering - read))
            wrong += [(base, "is not used", name) for name in unused(stage, parameters, base)]
        assert wrong == []

    def unused(stage, parameters, base):
        """Parameters that a choice lists, that matter, and that its function does not use."""
        task = stage(**parameters)
        for name, registry in registries_of(stage).items():
            listed = registry[getattr(task, name)].parameters
            if not base.keys() <= variants.needed.get(stage.__name__, {}).keys() | {name, *listed}:
                continue  # the function gets the same as from another base
            for entry in set(listed) & set(task.parameters()):
                try:
                    watch.work(task, tmp_path / "result", entry)
                except Exception:  # noqa: BLE001, S112
                    continue
                yield entry

    return check


STAGES = [
    IndexDataset, TrainClassifier, ExtractCams, ExtractKeys, DiscoverSuperpixels, GenerateSeeds, RefineSaliency,
    TrainSegmenter, TrainByMasking, TrainCoarse, EvaluateMasks, SplitInstances, MatchObjects,
    EvaluateInstances, ExportInstances, PoolKeys, LearnClusters, AssignClusters,
]  # fmt: skip


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_what_matters_is_what_is_read(check, stage):
    check(stage)


def test_what_matters_is_what_is_read_by_predictions_of_every_method(check):
    check(PredictMasks, keep=lambda base: METHODS[base.get("method", "superpixel")].trainer)


def test_what_matters_is_what_is_read_by_an_export_of_labels(check):
    check(ExportLabels, keep=lambda base: "method" not in base and base.get("formats") != ("voc",))  # VOC's own


def test_what_matters_is_what_depth_reads(check):
    check(LoadDepth, keep=lambda base: base.get("source") != "estimate" and "method" not in base)


def test_what_matters_is_what_depth_of_a_network_reads(check, tiny_depth_network):
    luigi.configuration.get_config().set("EstimateDepth", "model", str(tiny_depth_network))
    try:
        check(EstimateDepth)
        check(LoadDepth, keep=lambda base: base.get("source") == "estimate")
    finally:
        luigi.configuration.get_config().remove_section("EstimateDepth")


def test_what_matters_is_what_saliency_reads(check, tmp_path):
    (tmp_path / "network.onnx").write_bytes(open_sized_network())
    check(LoadSaliency, model=str(tmp_path / "network.onnx"), model_size=32)


def test_what_matters_is_what_coarse_labels_read(check, tmp_path):
    root = tmp_path / "set"
    for name in ("images", "masks", "coarse"):
        (root / name).mkdir(parents=True)
        Image.fromarray(np.ones((40, 50, 3) if name == "images" else (40, 50), np.uint8)).save(root / name / "0.png")
    (root / "labels.csv").write_text("image,tags,split\n0.png,mug,train\n")
    check(CoarsenMasks, dataset="folder", data_root=str(root))


@pytest.mark.filterwarnings("ignore")  # the exporter speaks of its successor
def test_what_matters_is_what_an_export_reads(check):
    pytest.importorskip("onnxruntime")
    check(ExportModel)
