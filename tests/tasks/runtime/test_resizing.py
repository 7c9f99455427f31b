"""Sizes, and that stages see images at another size while their results keep that of the images."""

import numpy as np
import pytest
import torch

from data.sample import EVALUATION
from tasks.discover_superpixels import DiscoverSuperpixels
from tasks.extract_cams import ExtractCams
from tasks.extract_keys import ExtractKeys
from tasks.predict_masks import PredictMasks
from tasks.predict_tags import PredictTags
from tasks.runtime.dag import stages
from tasks.runtime.resizing import (
    at_size,
    enlarged_size,
    nearest_at_size,
    resized,
    resized_picture,
    resized_size,
)


@pytest.mark.parametrize(
    ("size", "side", "length", "expected"),
    [
        ((1080, 1920), "long", 768, (432, 768)),
        ((1920, 1080), "long", 768, (768, 432)),
        ((100, 60), "short", 90, (150, 90)),
        ((2000, 3), "long", 100, (100, 1)),
        ((7, 5), "none", 90, (7, 5)),
    ],
)
def test_the_named_side_gets_the_length(size, side, length, expected):
    assert resized_size(size, side, length) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [((144, 192), (240, 320)), ((192, 144), (320, 240)), ((240, 320), (240, 320)), ((1, 3), (107, 320))],
)
def test_small_images_are_enlarged_and_others_are_not(size, expected):
    assert enlarged_size(size, 320) == expected
    assert enlarged_size(size, 0) == size


def test_what_has_the_size_is_not_touched_and_all_else_is_resized():
    image, maps = np.full((4, 6, 3), 9, np.uint8), np.random.default_rng(0).random((2, 4, 6)).astype(np.float32)
    assert resized_picture(image, (4, 6)) is image
    assert resized_picture(image, (2, 3)).tolist() == [[[9] * 3] * 3] * 2
    assert at_size(maps, (8, 12)).shape == (2, 8, 12)
    assert at_size(np.ones((1, 2, 2), np.float32), (3, 5)) == pytest.approx(np.ones((1, 3, 5)))
    assert nearest_at_size(np.array([[3, 5], [7, 9]]), (4, 2)).tolist() == [[3, 5], [3, 5], [7, 9], [7, 9]]
    assert resized(torch.ones(1, 3, 8, 8), (4, 2)).shape == (1, 3, 4, 2)


@pytest.fixture
def common(in_process, bop_root, tmp_path):
    return {
        "dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts"), "processes": 1,
        "device": "cpu", "settings": {
            "TrainClassifier": {"deal_weight": 0.0, "epochs": 1}, "TrainSegmenter": {"epochs": 1, "crop_size": 64},
            "ExtractKeys": {"resize_side": "long", "resize_to": 96, "image_scale": 1.0, "stride": 16},
            "DiscoverSuperpixels": {"units": "patches", "resize_side": "long", "resize_to": 96, "crf": "default"},
        },
    }  # fmt: skip


def run(stage):
    for above in stages(stage):
        if not above.complete():
            above.run()
    return stage


def test_networks_see_the_length_and_results_have_the_size_of_the_images(common, monkeypatch):
    seen = []
    predictions = run(PredictMasks(split=EVALUATION, resize_side="long", resize_to=96, **common))
    sample = predictions.samples[0]
    assert max(sample.size) == 192
    assert predictions.artifact.read_image("label", 0, sample.size).shape == sample.size
    assert predictions.seen_size(sample.size) == (72, 96)
    rows, columns = predictions_keys(common)
    assert (rows, columns) == (-(-72 // 16), 96 // 16)
    superpixels = DiscoverSuperpixels(**common)
    assert superpixels.artifact.read_image("superpixel", 0, sample.size).shape == sample.size

    cams = ExtractCams(resize_side="long", resize_to=96, **common)
    tags = PredictTags(split=EVALUATION, resize_side="short", resize_to=36, **common)
    original = torch.nn.functional.interpolate
    monkeypatch.setattr(
        torch.nn.functional, "interpolate", lambda *a, **k: seen.append(k.get("size")) or original(*a, **k)
    )
    run(cams), run(tags)
    assert (72, 96) in seen
    assert (36, 48) in seen
    assert cams.artifact.read_image("cam", 0, sample.size).shape[1:] == (36, 48)  # cells of 4 pixels of the image


def predictions_keys(common):
    keys = ExtractKeys(**common)
    return tuple(int(value) for value in keys.artifact.read_image("grid", 0))


def test_the_length_matters_only_with_a_side(common):
    plain = PredictMasks(**common)
    assert "resize_to" not in plain.parameters()
    assert plain.seen_size((1080, 1920)) == (1080, 1920)
    assert PredictMasks(resize_side="short", **common).identity != plain.identity


def test_a_small_image_is_enlarged_unless_a_side_gets_a_length(common):
    assert ExtractCams(least_side=320, **common).seen_size((144, 192)) == (240, 320)
    assert ExtractCams(least_side=320, **common).seen_size((480, 640)) == (480, 640)
    sized = ExtractCams(least_side=320, resize_side="long", resize_to=96, **common)
    assert sized.seen_size((144, 192)) == (72, 96)
    assert "least_side" not in sized.parameters()
    assert PredictMasks(**common).seen_size((144, 192)) == (144, 192)
    cams = run(ExtractCams(least_side=256, **common))
    assert cams.artifact.read_image("cam", 0, cams.samples[0].size).shape[1:] == (36, 48)  # as of the image itself
