"""The method ``clusters`` on the tiny set: what it learns, what it assigns, and how it is scored and shown."""

import pickle

import numpy as np
import pytest

from data.errors import QualityError, SettingError
from data.files.labels import read_truth
from models.metrics import confusion_matrix, mean_iou
from tasks.assign_clusters import AssignClusters
from tasks.evaluate_masks import MATCHED, EvaluateMasks
from tasks.export_labels import ExportLabels
from tasks.learn_clusters import LearnClusters
from tasks.runtime.dag import stages


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """The artifacts that the tests of this file share."""
    return tmp_path_factory.mktemp("clusters")


@pytest.fixture
def common(in_process, rendered, artifacts):
    return {
        "dataset": "bop", "data_root": str(rendered), "artifacts": str(artifacts), "processes": 1, "device": "cpu",
        "method": "clusters",
    }  # fmt: skip


def finished(task):
    for stage in stages(task):
        if not stage.complete():
            stage.run()
    return task


def test_each_superpixel_gets_the_cluster_with_the_nearest_centre(common):
    task = finished(AssignClusters(**common, split="evaluation"))
    mean, centres = task.clusters
    assert len(centres) == 6  # five classes and the background
    keys, superpixels = (task.required[name].artifact for name in ("keys", "superpixels"))
    for index, sample in enumerate(task.samples):
        found, own = (store.image(index, sample.size) for store in (task.artifact, superpixels))
        clusters, labels = found.read("cluster"), own.read("superpixel")
        values = keys.read_image("key", index).astype(np.float32)
        for number in range(int(own.read("count"))):
            assert np.linalg.norm(values[number]) == pytest.approx(1, abs=1e-2)  # kept in 16 bits
            different = values[number] - mean
            distances = np.linalg.norm(centres - different / np.linalg.norm(different), axis=1)
            assert set(clusters[labels == number].tolist()) == {int(distances.argmin())}


def test_a_worker_process_gets_the_clusters(common):
    task = finished(AssignClusters(**common))
    sent = pickle.loads(pickle.dumps(task))  # noqa: S301
    assert np.array_equal(vars(sent)["clusters"].centres, task.clusters.centres)
    assert "clusters" not in vars(pickle.loads(pickle.dumps(AssignClusters(**common, shard_size=1))))  # noqa: S301


def test_clusters_of_both_splits_are_scored_by_the_best_matching_of_the_split(common):
    task = finished(EvaluateMasks(**common))
    scores, dataset = task.read(), task.required["dataset"].read_with_truth()
    numbers = {name: number for number, name in enumerate(dataset.class_names)}
    for name, split, images in (("pseudo_labels", "train", 10), ("predictions", "evaluation", 5)):
        classes = np.array([numbers.get(found, 65535) for found in scores[name][MATCHED]], np.uint16)
        store = task.required[name].artifact
        confusion = sum(
            confusion_matrix(read_truth(sample, 5), classes[store.read_image("cluster", index, sample.size)], 6)
            for index, sample in enumerate(dataset.split(split))
        )
        assert scores[name]["miou"] == pytest.approx(100 * mean_iou(confusion), abs=0.01)
        assert scores[name]["images"] == images
        others = (classes[np.random.default_rng(seed).permutation(6)] for seed in range(5))
        for other in others:  # any other matching is not better
            rows = sum(
                confusion_matrix(read_truth(sample, 5), other[store.read_image("cluster", index, sample.size)], 6)
                for index, sample in enumerate(dataset.split(split))
            )
            assert mean_iou(rows) <= mean_iou(confusion) + 1e-9


def test_k_means_sees_no_more_superpixels_than_it_may(common, monkeypatch):
    seen = []

    def watched(features, *settings):
        seen.append(features)
        return features[0], features[: settings[0]]

    monkeypatch.setattr("models.clusters.learn_clusters", watched)
    task = LearnClusters(**common)
    finished(task.required["keys"])
    store = task.required["keys"].artifact
    for most in (7, 10**6):
        LearnClusters(**common, most=most).work()
    whole = [store.read_image("key", index).astype(np.float32) for index in range(store.num_images())]
    whole = np.concatenate([keys[~np.isnan(keys[:, 0])] for keys in whole])
    assert len(whole) > 14
    few, every = seen
    assert np.array_equal(every, whole)
    assert len(few) == 7
    places = [int(np.flatnonzero((whole == key).all(1))[0]) for key in few]
    assert places == sorted(set(places))
    assert places != list(range(7))


def test_more_clusters_than_superpixels_are_refused(common):
    task = LearnClusters(**common, clusters=5000)
    finished(task.required["keys"])
    with pytest.raises(QualityError, match=r"cannot be 5000 clusters; .* in 10 training images: lower --LearnClu"):
        task.run()


def test_groups_without_names_are_not_exported_as_classes(common):
    with pytest.raises(SettingError, match="--method clusters finds groups without class names.*choose superpixel"):
        _ = ExportLabels(**common).identity
