from types import SimpleNamespace

import numpy as np
import pytest

from data.errors import ImageError
from data.sample import Sample
from models.instance_table import instance_table
from tasks.baseline_masks import BaselineMasks
from tasks.runtime.instance_arrays import MOST, stored_instances

SAMPLE = Sample("train/a", "train", None, (), size=(30, 40))


def instances_of(count):
    """So many instances of one pixel each, and their table."""
    instances = np.arange(1200).reshape(30, 40)
    instances[instances > count] = 0
    return instances, instance_table(instances, np.zeros(count, np.int64), np.ones(count))


def line(finder):
    return f"train/a: has {MOST + 1} instances, at most {MOST} can be kept; raise --{finder}-smallest"


def test_too_many_instances_name_the_flag_of_the_stage_that_found_them():
    assert (stored_instances(SAMPLE, *instances_of(MOST), "SplitInstances")["area"] == 1).all()
    with pytest.raises(ImageError, match=line("SplitInstances")):
        stored_instances(SAMPLE, *instances_of(MOST + 1), "SplitInstances")


def test_baseline_masks_names_its_own_flag(monkeypatch):
    masks = [(1.0, np.arange(1200).reshape(30, 40) == place) for place in range(MOST + 1)]
    monkeypatch.setattr(BaselineMasks, "files", SimpleNamespace(read=lambda sample: masks))
    stage = object.__new__(BaselineMasks)  # a whole one would need a data set
    stage.__dict__.update(least_score=0.0, visible=0.5, smallest=0.0)
    with pytest.raises(ImageError, match=line("BaselineMasks")):
        stage.compute(SAMPLE, None)
