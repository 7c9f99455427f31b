"""The notebook runs on a finished run, opens every artifact of it, and is free of machine paths."""

import json
import re
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "artifacts.ipynb"


@pytest.mark.pipeline
def test_it_runs_and_opens_the_artifact_of_every_stage(finished_once, monkeypatch, tmp_path):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    artifacts = finished_once.artifacts / "bop"
    monkeypatch.setenv("DEPTHSEED_ARTIFACTS", str(artifacts))
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.append(
        nbformat.v4.new_code_cell("print(json.dumps(sorted({path.parent.name for path in stores} | set(files))))")
    )
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=place).execute()
    opened = json.loads(notebook.cells[-1].outputs[0].text)
    assert opened == sorted({marker.parent.parent.name for marker in artifacts.glob("*/*/COMPLETE.json")})
    text = "".join(cell.source for cell in notebook.cells)
    assert [stage for stage in opened if not re.search(rf"\b{stage}\b", text)] == [], "a stage that is not shown"


def test_its_pictures_are_small_and_name_no_machine():
    text = NOTEBOOK.read_text()
    assert len(text) < 1_000_000
    assert not re.search(r"/home/|/tmp/|/work/|Traceback", text)
