import dataclasses

import numpy as np
import pytest

from data.bop import read_bop
from data.errors import ImageError
from data.sample import TRAIN
from tasks.load_depth import load_depth


@pytest.fixture
def sample(bop_root):
    return dataclasses.replace(read_bop(bop_root, {TRAIN: "train_pbr"}).samples[0], size=(144, 192))


def test_depth_validity_and_edges(sample):
    loaded = load_depth(sample, 0.05, 20.0, 3)
    assert loaded["depth"].shape == loaded["valid"].shape == (144, 192)
    assert np.isfinite(loaded["depth"]).all()
    assert 0.7 < loaded["valid"].mean() < 1
    assert loaded["depth_edge"].shape == (72, 96)
    edges = loaded["depth_edge"][np.isfinite(loaded["depth_edge"])]
    assert edges.max() == 1
    assert (edges == 0).mean() > 0.5  # the table is a plane, however it is tilted


def test_without_a_depth_file_nothing_is_valid(sample):
    loaded = load_depth(dataclasses.replace(sample, depth=None), 0.05, 20.0, 3)
    assert np.isnan(loaded["depth"]).all()
    assert not loaded["valid"].any()


def test_a_range_that_holds_nothing_is_named(sample):
    with pytest.raises(
        ImageError, match=r"no depth of train_pbr/000001/000000 lies between 50 and 60 m.*--LoadDepth-near"
    ):
        load_depth(sample, 50, 60, 3)
