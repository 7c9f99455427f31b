import dataclasses

import numpy as np
import pytest
from PIL import Image

from data.sample import Sample
from tasks.evaluate_instances import INSTANCES, CountInstances


@dataclasses.dataclass
class Stored:
    """The arrays of one image, as MatchObjects and SplitInstances write them; and the inputs of a shard with it."""

    instance: np.ndarray
    num_classes: int = 1

    def __getitem__(self, name):
        assert name == INSTANCES
        return self

    def read(self, name):
        rows = {"instance_class": [0], "score": [0.5], "box": [[0, 0, 1, 1]], "area": [1]}
        return self.instance if name == "instance" else np.array(rows[name])


@pytest.mark.parametrize("size", [(40, 60), (20, 30)])
def test_instances_are_scored_at_the_size_of_the_files(tmp_path, size):
    numbers = np.zeros((40, 60), np.uint8)
    numbers[10:30, 20:50] = 7
    for folder, content in (("images", np.zeros((40, 60, 3), np.uint8)), ("instances", numbers)):
        (tmp_path / folder).mkdir()
        Image.fromarray(content).save(tmp_path / folder / "1.png")
    half = numbers[:: 40 // size[0], :: 60 // size[1]] > 0
    sample = Sample("1", "evaluation", tmp_path / "images/1.png", (), size=size)
    true, predicted, scores, _, images, left_out = CountInstances(0, False)(sample, Stored(half.astype(np.uint16)))
    assert [item["area"] for item in true] == [600]
    assert predicted[0]["mask"] == true[0]["mask"]
    assert scores.tolist() == pytest.approx([1.0] * len(scores))
    assert (images, left_out) == (1, 0)


def test_instances_that_are_not_measured_do_not_count(tmp_path):
    """A true object without a measured pixel was once an object that nobody had found."""
    numbers, depth = np.zeros((40, 60), np.uint8), np.full((40, 60), 700, np.uint16)
    numbers[5:15, 5:15], numbers[20:30, 20:50], depth[:18] = 1, 2, 0
    for folder, content in (("images", np.zeros((40, 60, 3), np.uint8)), ("instances", numbers), ("depth", depth)):
        (tmp_path / folder).mkdir()
        Image.fromarray(content).save(tmp_path / folder / "1.png")
    sample = Sample("1", "evaluation", tmp_path / "images/1.png", (), depth=tmp_path / "depth/1.png", size=(40, 60))
    for found, predictions in ((numbers == 2, 1), (numbers == 1, 0)):
        stored = Stored(found.astype(np.uint16))
        true, predicted, scores, _, images, left_out = CountInstances(0, True)(sample, stored)
        assert [item["area"] for item in true] == [300]
        assert (len(predicted), images, left_out) == (predictions, 1, 1)
        assert scores[1] == predictions  # recall of the areas
    assert len(CountInstances(0, False)(sample, stored)[0]) == 2
    assert CountInstances(0, True)(dataclasses.replace(sample, depth=None), stored) is None
