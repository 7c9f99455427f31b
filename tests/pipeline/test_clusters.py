"""Clusters on the tiny set by the real command line, beside a finished run of the default method."""

import csv
import re

import numpy as np
import pytest

from data.sample import EVALUATION, TRAIN, UNLABELLED
from data.store.artifact import MARKER
from pipeline.asked import parsed
from pipeline.view.panels import PANELS, Changes, Side, picture, shown_panels, values
from pipeline.view.run import ViewedRun
from pipeline.view.scoring import measure
from tasks.evaluate_masks import MATCHED, MATCHED_WITH_TRUTH
from tasks.runtime.luigi_seam import forget_instances


@pytest.mark.pipeline
def test_clusters_share_the_stages_of_superpixels_and_compare_tables_both(finished):
    first = finished.luigi("RunAll", "--method", "clusters", "--processes", 1)
    assert first.returncode == 0, first.stderr
    started = re.findall(r"(\S+): started", first.stderr)
    assert {"PoolKeys", "LearnClusters", "AssignClusters", "AssignClusters-evaluation"} < set(started)
    assert not {"ExtractKeys", "DiscoverSuperpixels", "TrainClassifier", "TrainSegmenter"} & set(started)
    assert re.search(r"predictions +mIoU [\d.]+ %", first.stderr)
    assert f"EvaluateMasks: {MATCHED_WITH_TRUTH}" in first.stderr
    pages = [path.read_text() for path in (finished.artifacts / "bop/WriteReport").glob("*/report.html")]
    (page,) = (text for text in pages if "<figcaption>clusters</figcaption>" in text)
    for title in ("superpixels", "pseudo-label", "prediction"):
        assert f"<figcaption>{title}</figcaption>" in page
    with parsed("WriteReport", [*finished.flags(), "--method", "clusters"]) as report:
        seen = ViewedRun(report)
        require_panels_of_classes(seen)
        (next((finished.artifacts / "bop/EvaluateMasks").glob(report.required["scores"].identity)) / MARKER).unlink()
        forget_instances()
    with parsed("WriteReport", [*finished.flags(), "--method", "clusters"]) as report:
        seen = ViewedRun(report)  # without the scores, nobody knows what the groups stand for
        reason = "groups that EvaluateMasks has not matched to classes"
        left_out = {(found.split, found.name): found.state for found in seen.left_out}
        assert left_out[TRAIN, "pseudo_labels"] == left_out[EVALUATION, "predictions"] == reason
        assert "prediction" not in shown_panels(seen.image(EVALUATION, 0), Changes())
    both = finished.luigi("Compare", "--methods", "superpixel,clusters", "--seeds", 0, "--images", 1, "--processes", 1)
    assert both.returncode == 0, both.stderr
    assert not {"TrainSegmenter", "LearnClusters"} & set(re.findall(r"(\S+): started", both.stderr))
    (folder,) = (finished.artifacts / "bop/Compare").iterdir()
    with open(folder / "compare.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], row["result"]) for row in rows] == [
        (method, result) for method in ("superpixel", "clusters") for result in ("pseudo_labels", "predictions")
    ]
    assert all(0 < float(row["miou"]) <= 100 for row in rows)
    assert f"clusters: {MATCHED_WITH_TRUTH}" in (folder / "report.html").read_text()


def require_panels_of_classes(seen):
    """All panels of the run can be read; its label maps have the classes that the scores have matched."""
    for split, title in ((TRAIN, "pseudo-label"), (EVALUATION, "prediction")):
        image = seen.image(split, 0)
        titles = shown_panels(image, Changes())
        assert title in titles
        for name in titles:
            assert picture(image, Side(name), Changes()).dtype == np.uint8
        name = PANELS[title].source
        matched, names = seen.scores[name][MATCHED], seen.dataset.class_names
        labels = values(image, Side(title), Changes())
        for group, label in np.unique([image.stored(name).read("cluster").ravel(), labels.ravel()], axis=1).T.tolist():
            assert label == (UNLABELLED if matched[group] is None else names.index(matched[group]))
        assert 0 <= measure(seen, split, "iou", Changes(), None, None)(image) <= 100
