import pytest
from jinja2 import UndefinedError

from pipeline.report.charts import bars_svg, confusion_shares, curves_svg
from pipeline.report.page import render_page

EVIL = "<script>alert('x')</script>"


def content(**changes):
    score = {
        "miou": 50.0,
        "boundary_f": 30.0,
        "miou_of_labelled": 60.0,
        "labelled": 40.0,
        "images": 3,
        "per_class": {EVIL: 50.0},
    }
    stage = {"label": EVIL, "identity": "abc", "record": {}, "files": 1, "megabytes": 0.1, "parameters": {EVIL: EVIL}}
    strip = {"image_id": EVIL, "tags": [EVIL], "panels": [(EVIL, "data:image/png;base64,")]}
    return {
        "dataset": EVIL, "profile": "small", "seed": 0, "has_depth": True, "train_count": 1, "evaluation_count": 1,
        "class_names": [EVIL], "unlisted_classes": 0, "legend": [(EVIL, "#000000")],
        "tags": {"map": 81.25, "f1_micro": 70.0, "f1_macro": 60.0, "images": 7},
        "results": [{"title": "CAM seed", "score": score}],
        "per_class": [{"name": EVIL, "ious": [50.0, None]}],
        "confusion": {"title": "predictions", "rows": [{"name": EVIL, "shares": [100.0]}]},
        "training": [strip], "evaluation": [strip], "growing": [strip], "curves": [],
        "warnings": [{"label": EVIL, "lines": [EVIL]}], "stages": [stage],
    } | changes  # fmt: skip


def test_names_are_escaped_everywhere():
    page = render_page(content())
    assert EVIL not in page
    assert page.count("&lt;script&gt;") >= 10


def test_without_ground_truth_there_is_a_page_without_scores():
    page = render_page(
        content(results=[{"title": "CAM seed", "score": None}], per_class=[], confusion=None, evaluation=[])
    )
    assert "no ground truth, no score" in page


def test_scores_that_are_not_defined_are_dashes():
    """Ground truth that is ignored everywhere; a result without a labelled pixel."""
    empty = content()["results"][0]["score"] | {"miou_of_labelled": None, "labelled": 0.0, "miou": 0.0}
    ignored = {**dict.fromkeys(empty), "images": 3, "per_class": {}}
    page = render_page(content(results=[{"title": "a", "score": empty}, {"title": "b", "score": ignored}]))
    assert "0 % of the pixels are labelled, their mIoU is –" in page
    assert "no ground truth, no score" in page


def test_the_classifier_is_scored_on_held_out_tags():
    page = " ".join(render_page(content()).split())
    assert "<b>81.2 %</b> <span>mAP on the tags of 7 evaluation images, F1 70.0 %" in page
    assert "evaluation images, F1" not in render_page(content(tags=None))


def test_a_page_of_many_classes_says_what_it_leaves_out():
    assert "classes with the most images" not in render_page(content())
    page = render_page(content(class_names=["road", *map(str, range(1203))], unlisted_classes=1104, confusion=None))
    assert "list road and the 99 classes with the most images" in page
    assert "There is no confusion matrix of so many classes." in page


def test_findings_of_the_stages_stand_in_the_page():
    page = render_page(content(warnings=[{"label": "GenerateSeeds", "lines": ["1 of 3 tagged classes"]}]))
    assert "<b>GenerateSeeds</b>: 1 of 3 tagged classes" in page
    assert "Warnings" not in render_page(content(warnings=[]))


def test_a_variable_that_is_missing_is_an_error():
    incomplete = content()
    del incomplete["stages"]
    with pytest.raises(UndefinedError):
        render_page(incomplete)


def test_curves_are_the_same_bytes_each_time():
    history = [{"loss": 1.0, "deal": -0.2}, {"loss": 0.5, "deal": -0.4}]
    svg = curves_svg(history)
    assert svg.startswith("<svg")
    assert svg == curves_svg(history)


def test_shares_of_an_empty_class_are_zero():
    assert confusion_shares([[3, 1], [0, 0]]) == [[75.0, 25.0], [0.0, 0.0]]


def test_the_comparison_page_escapes_names_too():
    content = {
        "title": EVIL, "pictures_title": EVIL,
        "dataset": EVIL, "profile": "small", "seeds": [0, 1], "columns": [EVIL], "rows": [(EVIL, ["50.0 ± 1.0"])],
        "charts": [{"title": EVIL, "svg": bars_svg({EVIL: [50.0, 52.0]}, "%")}],
        "strips": [{"image_id": EVIL, "panels": [(EVIL, "data:image/png;base64,")]}], "settings": [(EVIL, EVIL)],
        "notes": [EVIL],
    }  # fmt: skip
    page = render_page(content, "comparison.html")
    assert EVIL not in page
    assert "50.0 ± 1.0" in page


def test_bars_show_the_mean_and_survive_a_name_without_values():
    svg = bars_svg({"none": [40.0, 60.0], "deal": []}, "%")
    assert r"a$\frac{$" in bars_svg({r"a$\frac{$": [40.0]}, "%")  # no formula
    assert ">50.0<" in svg
    assert svg == bars_svg({"none": [40.0, 60.0], "deal": []}, "%")
