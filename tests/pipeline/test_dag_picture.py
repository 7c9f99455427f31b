from xml.etree import ElementTree

import pytest

from pipeline.dag_picture import COLOURS, Node, dag_svg, reduced, rows

INPUTS = {"index": [], "depth": ["index"], "keys": ["index"], "cells": ["keys", "depth"], "seeds": ["cells", "index"]}
NODES = {name: Node(name, "done", "3 s") for name in INPUTS}
SVG = "{http://www.w3.org/2000/svg}"


def test_a_stage_stands_below_all_that_it_reads():
    found = rows(INPUTS)
    assert found == [["index"], ["depth", "keys"], ["cells"], ["seeds"]]
    level = {name: number for number, row in enumerate(found) for name in row}
    assert all(level[above] < level[name] for name, names in INPUTS.items() for above in names)


def test_a_stage_stands_near_what_it_reads():
    """Two chains that do not touch do not cross."""
    assert rows({"a": [], "b": [], "of b": ["b"], "of a": ["a"]}) == [["a", "b"], ["of a", "of b"]]


def reachable(inputs, key):
    return {key}.union(*(reachable(inputs, name) for name in inputs[key]))


def test_arrows_that_follow_from_others_are_left_out_and_no_other():
    few = reduced(INPUTS)
    assert few["seeds"] == ["cells"]
    for key in INPUTS:
        assert reachable(few, key) == reachable(INPUTS, key)
        for name in few[key]:
            without = {**few, key: [other for other in few[key] if other != name]}
            assert name not in reachable(without, key)


def test_the_picture_has_a_box_for_each_stage_and_an_arrow_for_each_input():
    tree = ElementTree.fromstring(dag_svg(NODES, INPUTS, "a title"))
    texts = [node.text for node in tree.iter(f"{SVG}text")]
    assert {*INPUTS, "a title", "done, 3 s"} <= set(texts)
    assert len(list(tree.iter(f"{SVG}g"))) == len(INPUTS)
    assert len([path for path in tree.iter(f"{SVG}path") if path.get("marker-end")]) == 5
    boxes = [(float(box.get("x")), float(box.get("y"))) for box in tree.iterfind(f".//{SVG}g/{SVG}rect")]
    assert len(set(boxes)) == len(INPUTS)
    width, height = float(tree.get("width")), float(tree.get("height"))
    assert all(0 <= x <= width - 184 and 0 <= y <= height - 46 for x, y in boxes)


@pytest.mark.parametrize(
    ("state", "colour"), [("done", "done"), ("partial 3/15", "partial"), ("partial", "partial"), ("missing", "missing")]
)
def test_a_box_has_the_colour_of_its_state(state, colour):
    tree = ElementTree.fromstring(dag_svg({"a": Node("a", state, "")}, {"a": []}, "t"))
    (box,) = tree.iterfind(f".//{SVG}g/{SVG}rect")
    assert box.get("fill") == COLOURS[colour]
    assert state in [node.text for node in tree.iter(f"{SVG}text")]


def test_names_are_escaped_and_the_picture_is_the_same_each_time():
    text = dag_svg({"a": Node("<b>", "done", "&")}, {"a": []}, "<i>")
    ElementTree.fromstring(text)
    assert "<b>" not in text
    assert text == dag_svg({"a": Node("<b>", "done", "&")}, {"a": []}, "<i>")
