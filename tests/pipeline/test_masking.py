"""The masking road of the real command line on a tiny set, and Compare on top of it."""

import csv
import re

import pytest


@pytest.mark.pipeline
def test_masking_runs_beside_superpixels_and_compare_tables_both(here):
    first = here.luigi("RunAll", "--method", "masking", "--processes", 1)
    assert first.returncode == 0, first.stderr
    started = re.findall(r"(\S+): started", first.stderr)
    assert {"LoadSaliency", "RefineSaliency", "TrainByMasking"} < set(started)
    assert not {"DiscoverSuperpixels", "GenerateSeeds", "TrainSegmenter"} & set(started)
    assert re.search(r"saliency +mIoU [\d.]+ %", first.stderr)
    (report,) = (here.artifacts / "bop/WriteReport").glob("*/report.html")
    for title in ("saliency", "refined saliency", "erased", "pseudo-label"):
        assert f"<figcaption>{title}</figcaption>" in report.read_text()
    both = here.luigi("Compare", "--seeds", "0", "--images", "2", "--processes", 1)
    assert both.returncode == 0, both.stderr
    started = re.findall(r"(\S+): started", both.stderr)
    assert not {"TrainClassifier", "TrainByMasking"} & set(started)
    assert started.count("TrainSegmenter") == 1
    (folder,) = (here.artifacts / "bop/Compare").iterdir()
    with open(folder / "compare.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], row["result"]) for row in rows] == [
        (method, result)
        for method in ("superpixel", "masking")
        for result in ("cam_seed", "pseudo_labels", "predictions")
    ]
    again = here.luigi("RunAll", "--method", "masking", "--processes", 1)
    assert "nothing was run" in again.stderr
