"""The programs of docs/ and benchmarks/ have no command that runs them, so at least what they import must be there."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = [path for folder in ("benchmarks", "docs") for path in sorted((ROOT / folder).glob("*.py"))]
OURS = {"data", "models", "tasks", "pipeline", *(path.stem for path in SCRIPTS)}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_script_imports_is_there(path, monkeypatch):
    monkeypatch.syspath_prepend(path.parent)
    try:
        assert runpy.run_path(str(path), run_name="imported")["__doc__"]
    except ModuleNotFoundError as error:
        if str(error.name).split(".")[0] in OURS:
            raise
        pytest.skip(f"needs {error.name}")
