"""What DiscoverSuperpixels keeps and tells; what superpixels are is tested with the models."""

import numpy as np
import pytest

from data.errors import ImageError
from data.sample import TRAIN, Sample
from data.store.sharded import ShardedStore
from data.store.tiles import ArraySpec
from models import crf
from tasks import discover_superpixels
from tasks.discover_superpixels import NO_SUPERPIXEL, UNITS, DiscoverSuperpixels
from tasks.index_dataset import IndexDataset
from tasks.runtime.luigi_seam import forget_instances
from tasks.runtime.parameters import Choice


@pytest.fixture
def common(in_process, bop_root, tmp_path):
    common = {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts")}
    IndexDataset(**common).run()
    return common


def superpixels(monkeypatch, common, count):
    """What the stage keeps of an image of `count` superpixels."""
    numbers = np.arange(count).reshape(1, -1)
    monkeypatch.setitem(UNITS, "slic", Choice(lambda sample, inputs, cells: numbers, ("cells",)))
    sample = Sample("a", TRAIN, None, (1,), size=(1, count))
    return DiscoverSuperpixels(**common, units="slic").compute(sample, {})


def test_as_many_superpixels_are_kept_as_have_numbers(monkeypatch, common):
    kept = superpixels(monkeypatch, common, NO_SUPERPIXEL)
    assert kept["superpixel"].max() == NO_SUPERPIXEL - 1
    assert kept["count"] == NO_SUPERPIXEL


def test_more_superpixels_than_numbers_are_refused_and_do_not_wrap(monkeypatch, common):
    line = "a: has 65536 superpixels, at most 65535 can be kept; lower --DiscoverSuperpixels-tau"
    with pytest.raises(ImageError, match=line):
        superpixels(monkeypatch, common, NO_SUPERPIXEL + 1)


@pytest.mark.parametrize(
    ("parameters", "memory", "expected"),
    [
        ({"units": "patches"}, 1e6, 10),
        ({"units": "patches"}, 2e9, 0),
        ({"units": "patches", "refinement": "nearest"}, 1e6, 0),
        ({"units": "cells"}, 1e6, 0),
    ],
)
def test_images_that_the_crf_sees_smaller_are_told(monkeypatch, common, tmp_path, parameters, memory, expected):
    monkeypatch.setattr(crf, "MEMORY", memory)
    stage = DiscoverSuperpixels(**common, **parameters)
    ids = [sample.image_id for sample in stage.samples]
    store = ShardedStore(tmp_path / "result.zarr")
    store.create(ids, {"count": ArraySpec((), (), "uint16", NO_SUPERPIXEL, {})}, {}, len(ids))
    store.write_shard(0, {"count": [np.uint16(300)] * len(ids)})
    stage.artifact = store
    found = stage.findings()
    assert len(found) == (1 if expected else 0)
    if expected:
        assert found[0].startswith("10 of 10 images have too many pixels and superpixels for the memory of the dense")


@pytest.mark.parametrize(
    ("parameters", "differs"),
    [({"units": "patches"}, True), ({"units": "patches", "refinement": "nearest"}, False), ({"units": "cells"}, False)],
)
def test_without_pydensecrf_what_a_crf_refines_is_another_artifact(monkeypatch, common, parameters, differs):
    identities = set()
    for engine in ("pydensecrf", "torch"):
        monkeypatch.setattr(discover_superpixels, "installed_engine", lambda engine=engine: engine)
        forget_instances()
        identities.add(DiscoverSuperpixels(**common, **parameters).identity)
    assert len(identities) == 1 + differs


def test_an_image_of_which_seeds_are_not_possible_is_named(monkeypatch, common):
    monkeypatch.setattr(discover_superpixels, "sample_image", lambda sample: np.zeros((7, 9, 3), np.uint8))
    stage = DiscoverSuperpixels(**common, units="opencv_seeds", cells=100)
    line = "a: SEEDS has no grid of 100 superpixels for an image of 7 x 9 pixels; choose another --DiscoverSuperpixels-"
    with pytest.raises(ImageError, match=line):
        stage.compute(Sample("a", TRAIN, None, (1,), size=(7, 9)), {})


@pytest.mark.parametrize(
    ("units", "name"),
    [("cells", "tau"), ("patches", "tau"), ("slic", "cells"), ("opencv_lsc", "region-size"), ("opencv_seeds", "cells")],
)
def test_of_images_of_one_superpixel_a_parameter_is_named_that_the_units_have(monkeypatch, common, units, name):
    stage = DiscoverSuperpixels(**common, units=units)
    monkeypatch.setattr(stage, "counts", lambda: (3, 0))
    assert stage.findings() == [f"3 of 10 images are one single superpixel: check --DiscoverSuperpixels-{name}"]
