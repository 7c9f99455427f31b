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
    true, predicted, scores, _, images = CountInstances(0, False)(sample, Stored(half.astype(np.uint16)))
    assert [item["area"] for item in true] == [600]
    assert predicted[0]["mask"] == true[0]["mask"]
    assert scores.tolist() == pytest.approx([1.0] * len(scores))
    assert images == 1
