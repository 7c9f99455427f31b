import numpy as np
import pytest
import torch

from data.files.images import read_image
from data.sample import EVALUATION, Sample
from data.store.sharded import ShardedStore
from data.store.tiles import ArraySpec
from tasks.predict_tags import PredictTags, tag_scores
from tasks.runtime.dag import stages
from tasks.runtime.tensors import rgb_tensor
from tasks.train_classifier import TrainClassifier


def test_the_logits_of_held_out_images_are_those_of_the_classifier(in_process, bop_root, tmp_path):
    common = {
        "dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts"), "processes": 1,
        "device": "cpu", "settings": {"TrainClassifier": {"deal_weight": 0.0, "epochs": 1}},
    }  # fmt: skip
    stage = PredictTags(split=EVALUATION, **common)
    assert stage.label == "PredictTags-evaluation"
    for above in stages(stage):
        above.run()
    dataset = stage.inputs["dataset"]
    samples = dataset.split(EVALUATION)
    model = TrainClassifier(**common).load(torch.device("cpu"))
    for index in (0, len(samples) - 1):
        with torch.inference_mode():
            seen = model.normalise(rgb_tensor(read_image(samples[index].image))[None])
            expected = model.network(seen).scores[0].numpy()
        assert stage.artifact.read_image("logit", index) == pytest.approx(expected, abs=1e-4)
    scores = tag_scores(stage.open(), samples, dataset.num_classes)
    assert scores["images"] == len(samples)
    assert 0 <= scores["f1_micro"] <= 100
    assert 0 < scores["map"] <= 100


def test_scores_are_those_of_the_tags_in_percent(tmp_path):
    samples = [Sample(f"e/{n}", EVALUATION, tmp_path, tags) for n, tags in enumerate([(1,), (2,), (), (1, 2)])]
    spec = {"logit": ArraySpec(("tag",), (3,), "float32", float("nan"), {})}
    store = ShardedStore(tmp_path / "a.zarr").create([s.image_id for s in samples], spec, {}, 4)
    logits = np.array([[1, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, -1, -1]], np.float32)
    store.write_shard(0, {"logit": logits})
    found = tag_scores(ShardedStore(store.path), samples, 3)
    # class 1: both found; class 2: one of two, the other at the same score as two wrong images; class 3: nowhere
    assert found == {"map": 87.5, "f1_micro": 75.0, "f1_macro": 83.33, "images": 4}
    assert tag_scores(store, samples[2:3], 3) is None
