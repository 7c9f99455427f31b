"""Why a stage would run, and how long: on descriptions as stage.json has them."""

import json
import os
from pathlib import Path

import pytest

from pipeline.planning import Made, Step, differences, nearest, read_made, total_seconds, whole_seconds


def made(name="a", label="ExtractCams", version=2, parameters=None, contents=None, **inputs) -> Made:
    parents = {f"{source} {identity}": "digest" for source, identity in inputs.items()}
    described = {
        "stage": label,
        "version": version,
        "parameters": {"flip": True, "scales": [1.0, 2.0]} | (parameters or {}),
        "contents": contents or {},
        "parents": parents,
    }
    return Made.of(described, Path(name))


def test_what_is_the_same_has_no_differences():
    assert differences(made(cams="1"), made("b", cams="1")) == []


@pytest.mark.parametrize(
    ("wanted", "lines"),
    [
        (made(parameters={"deal_weight": 1.0}), ["deal_weight (not used) -> 1.0"]),
        (made(parameters={"flip": False}), ["flip True -> False"]),
        (made(parameters={"scales": [0.5]}), ["scales 1.0,2.0 -> 0.5"]),
        (made(parameters={"scales": []}), ["scales 1.0,2.0 -> (empty)"]),
        (made(version=3), ["version 2 -> 3"]),
        (made(contents={"weights": "x"}), ["the files of 'weights' have changed"]),
        (made(depth="9"), ["input depth is new"]),
        (made(version=1, depth="9"), ["version 2 -> 1", "input depth is new"]),
    ],
)
def test_each_kind_of_difference_is_a_line(wanted, lines):
    assert differences(wanted, made("b")) == lines


def test_what_was_used_and_is_not_any_more_is_named():
    before = made("b", parameters={"crf": "kim"}, contents={"weights": "x"}, depth="9")
    assert differences(made(), before) == [
        "crf kim -> (not used)",
        "the files of 'weights' have changed",
        "input depth is not used any more",
    ]


def test_another_identity_of_an_input_is_a_new_input():
    assert differences(made(cams="1", depth="2"), made("b", cams="1", depth="3")) == ["input depth is new"]


def test_the_nearest_differs_in_the_fewest_points(tmp_path):
    near = made("near", parameters={"flip": False}, cams="1")
    far = made("far", version=1, parameters={"flip": False}, cams="1")
    assert nearest(made(cams="1"), [far, near]) is near
    assert nearest(made(cams="1"), [near, far]) is near


def test_a_new_input_is_nearer_than_another_parameter():
    """The input has its own line further up; of this stage, nothing else is different."""
    inputs, parameter = made("a1", cams="9", depth="9"), made("a2", parameters={"flip": False}, cams="1", depth="2")
    assert nearest(made("a", cams="1", depth="2"), [parameter, inputs]) is inputs


def test_neither_another_label_nor_the_artifact_itself_is_near():
    itself, other = made("a"), made("b", label="PredictMasks-train")
    assert nearest(made("a"), [itself, other]) is None


def test_of_equally_near_ones_the_newest_is_taken(tmp_path):
    found = []
    for name, time in (("old", 1000), ("new", 3000), ("older", 500)):
        path = tmp_path / name
        path.mkdir()
        (path / "stage.json").write_text("{}")
        os.utime(path / "stage.json", (time, time))
        found.append(made(str(path), parameters={"flip": False}))
    assert nearest(made(), found).path.name == "new"


@pytest.mark.parametrize("content", ["", "[]", "{}", "{ cut", '{"stage": 1, "version": 1, "parents": 3}', None])
def test_what_is_no_description_is_passed_over(tmp_path, content):
    if content is not None:
        (tmp_path / "stage.json").write_text(content)
    assert read_made(tmp_path) is None


def test_a_description_is_read_as_it_was_written(tmp_path):
    described = {
        "stage": "S", "version": 1, "parameters": {"a": 1}, "contents": {"w": "h"}, "parents": {"cams 12ab": "d"},
    }  # fmt: skip
    (tmp_path / "stage.json").write_text(json.dumps(described))
    assert read_made(tmp_path) == Made("S", 1, {"a": 1}, {"w": "h"}, {"cams": "12ab"}, tmp_path)


def test_a_run_that_continued_another_counts_as_a_whole_one():
    assert whole_seconds({"seconds": 10.0, "images": 25}, 100) == 40
    assert whole_seconds({"seconds": 10.0, "images": 100}, 100) == 10
    assert whole_seconds({"seconds": 10.0, "images": 0}, 100) == 10
    assert whole_seconds({"seconds": 10.0}, 0) == 10


def test_only_the_first_reasons_are_shown():
    step = Step("S", "missing", [f"p{number} 0 -> 1" for number in range(6)], None)
    assert step.why == "p0 0 -> 1; p1 0 -> 1; p2 0 -> 1; p3 0 -> 1; and 2 more"
    assert Step("S", "missing", ["a", "b"], None).why == "a; b"


def test_the_sum_counts_the_unknown_ones():
    steps = [Step("S", "missing", [], seconds) for seconds in (3.0, None, 4.5)]
    assert total_seconds(steps) == (7.5, 1)
    assert total_seconds([]) == (0, 0)
