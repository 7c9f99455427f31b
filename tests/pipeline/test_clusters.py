"""Clusters on the tiny set by the real command line, beside a finished run of the default method."""

import csv
import re

import pytest


@pytest.mark.pipeline
def test_clusters_share_the_stages_of_superpixels_and_compare_tables_both(finished):
    first = finished.luigi("RunAll", "--method", "clusters", "--processes", 1)
    assert first.returncode == 0, first.stderr
    started = re.findall(r"(\S+): started", first.stderr)
    assert {"PoolKeys", "LearnClusters", "AssignClusters", "AssignClusters-evaluation"} < set(started)
    assert not {"ExtractKeys", "DiscoverSuperpixels", "TrainClassifier", "TrainSegmenter"} & set(started)
    assert re.search(r"predictions +mIoU [\d.]+ %", first.stderr)
    pages = [path.read_text() for path in (finished.artifacts / "bop/WriteReport").glob("*/report.html")]
    (page,) = (text for text in pages if "<figcaption>clusters</figcaption>" in text)
    for title in ("superpixels", "pseudo-label", "prediction"):
        assert f"<figcaption>{title}</figcaption>" in page
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
