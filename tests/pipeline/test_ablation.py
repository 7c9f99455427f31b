"""The real command line on a tiny set: a grid of two losses and two seeds, and then of two heads."""

import csv
import re

import pytest

from data.errors import SettingError
from pipeline import Ablation
from pipeline.comparison import markdown_table, table_cells
from tasks.runtime.luigi_seam import forget_instances

GRID = ["--seeds", "0,1", "--results", "cam_seed", "--images", "2", "--processes", "1"]
LOSSES = ["--losses", "none,all", "--heads", "gap"]
HEADS = ["--losses", "none", "--heads", "gap,vit"]


@pytest.mark.pipeline
def test_a_grid_is_computed_once_and_tabled(here):
    first = here.luigi("Ablation", *LOSSES, *GRID)
    assert first.returncode == 0, first.stderr
    started = re.findall(r"(\S+): started", first.stderr)
    assert started.count("IndexDataset") == started.count("LoadDepth") == started.count("Ablation") == 1
    assert started.count("TrainClassifier") == started.count("ExtractCams") == 4
    assert "TrainSegmenter" not in started
    (folder,) = (here.artifacts / "bop/Ablation").iterdir()
    with open(folder / "ablation.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert {(row["losses"], row["head"], row["seed"]) for row in rows} == {
        (loss, "gap", seed) for loss in ("none", "all") for seed in "01"
    }
    assert all(0 <= float(row["miou"]) <= 100 and 0 <= float(row["threshold"]) < 1 for row in rows)
    text = (folder / "ablation.md").read_text()
    assert text in first.stderr.replace("\r", "\n")
    assert len(text.splitlines()) == 2 + 2
    page = (folder / "report.html").read_text()
    assert page.count("<svg") == 2
    assert page.count("data:image/") == 2 * (1 + 2 + 1)
    again = here.luigi("Ablation", *LOSSES, *GRID)
    assert "started" not in again.stderr
    other = here.luigi("Ablation", *HEADS, *GRID)
    assert other.returncode == 0, other.stderr
    assert re.findall(r"(\S+): started", other.stderr).count("TrainClassifier") == 2
    tables = [path.read_text() for path in (here.artifacts / "bop/Ablation").glob("*/ablation.md")]
    assert any("| none, vit |" in table for table in tables)


@pytest.mark.pipeline
def test_variants_of_the_data_set_have_scores_and_no_pictures(here):
    """Their stores were read with the images of the comparison: wrong pictures, or an error after all trainings."""
    vary = ["--losses", "-", "--heads", "-", "--vary", "IndexDataset.size=0,48", "--seeds", "0"]
    result = here.luigi("Ablation", *vary, "--results", "cam_seed", "--images", "2", "--processes", "1")
    assert result.returncode == 0, result.stderr
    assert "Ablation: WARNING: no pictures of 48: their data set is not that of the comparison" in result.stderr
    (folder,) = (here.artifacts / "bop/Ablation").iterdir()
    with open(folder / "ablation.csv", newline="") as file:
        assert all(row["miou"] for row in csv.DictReader(file))
    page = (folder / "report.html").read_text()
    assert page.count("data:image/") == 2 * (1 + 1 + 1)  # image, variant 0, ground truth
    assert "no pictures of 48" in page


def test_mean_and_standard_deviation_over_the_seeds():
    scores = [{"cam_seed": {"miou": value, "boundary_f": None}} for value in (50.0, 54.0)]
    columns, rows = table_cells({"deal": scores, "none": [{"cam_seed": None}]}, ("cam_seed",), ("miou", "boundary_f"))
    assert columns == ["CAM seed mIoU", "CAM seed boundary F"]
    assert rows == [("deal", ["52.0 ± 2.8", "–"]), ("none", ["–", "–"])]
    assert (
        markdown_table({"deal": scores[:1]}, ("cam_seed",), ("miou", "boundary_f")).splitlines()[2]
        == "| deal | 50.0 | – |"
    )


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"losses": "deal", "heads": "gap,vit"}, ["deal, gap", "deal, vit"]),
        ({"losses": "-", "heads": "gap,vit"}, ["gap", "vit"]),
        ({"losses": "-", "heads": "-", "vary": "GenerateSeeds.alpha=0.2,0.4"}, ["0.2", "0.4"]),
        ({"method": "coarse", "vary": "CoarsenMasks.radius=4,8"}, ["4", "8"]),
        ({"method": "coarse"}, ["as set"]),
    ],
)
def test_axes_are_left_out_where_told_and_where_there_is_no_classifier(parameters, names):
    assert [variant.name for variant in Ablation(**parameters).variants] == names


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"losses": "deal,fancy"}, "losses 'fancy' is unknown; use none, isl, deal"),
        ({"heads": "cnn"}, "heads 'cnn' is unknown"),
        ({"seeds": "0;1"}, "--Ablation-seeds is 0;1; set it to different whole numbers"),
        ({"vary": "LoadDepth.nois=1"}, "no parameter 'nois'; did you mean: noise"),
        ({"grid": "none.toml"}, "none.toml: is not a grid"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(in_process, parameters, message):
    with pytest.raises(SettingError, match=message):
        Ablation(**parameters).requires()


def test_an_edited_grid_file_is_another_comparison(in_process, tmp_path):
    """The page shows the names of the axes and the settings, whether or not they change a result."""

    def identity(text: str) -> str:
        path = tmp_path / "grid.toml"
        path.write_text(text)
        forget_instances()
        return Ablation(losses="-", heads="-", seeds="0", grid=str(path)).identity

    grids = [f"[{axis}.high.GenerateSeeds]\n{what}" for axis in ("alpha", "level") for what in ("", "alpha = 0.4")]
    assert len({identity(text) for text in grids}) == 4
    assert identity(grids[0]) == identity(grids[0])
