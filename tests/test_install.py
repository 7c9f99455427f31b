"""make: which installer it takes, where torch comes from, and one line if it cannot be had. Nothing is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FAKE_UV = """\
#!/bin/sh
echo "$*" >> "$UV_SAID"
case "$*" in
  *--index-url*) echo "a traceback of uv" >&2; exit "$INDEX_CODE" ;;
  venv*) mkdir -p .venv/bin && ln -sf "$FAKE_PYTHON" .venv/bin/python ;;
esac
"""

FAKE_PYTHON = """\
#!/bin/sh
case "$2" in
  *torch*) exec {python} -c "import sys, types
torch = types.ModuleType('torch')
torch.__version__, torch.version = '2.9', types.SimpleNamespace(cuda='$CUDA' or None)
sys.modules['torch'] = torch
$2" ;;
  *) exec {python} "$@" ;;
esac
"""


@pytest.fixture
def make(tmp_path):
    """Runs make in a folder with the Makefile alone; the PATH has a stand-in for uv."""
    for name in ("Makefile", "setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in {"uv": FAKE_UV, "python3": FAKE_PYTHON.format(python=sys.executable)}.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)

    def run(*arguments, uv=True, index_code=0, cuda=""):
        if not uv:
            (tools / "uv").unlink()
        environment = {
            "PATH": f"{tools}:/usr/bin:/bin", "UV_SAID": str(tmp_path / "said"), "FAKE_PYTHON": str(tools / "python3"),
            "INDEX_CODE": str(index_code), "CUDA": cuda, "HOME": os.environ.get("HOME", "/"),
        }  # fmt: skip
        result = subprocess.run(
            ["make", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        said = tmp_path / "said"
        return result, said.read_text().splitlines() if said.exists() else []

    return run


def test_uv_is_taken_by_itself_where_it_is_installed(make, tmp_path):
    result, said = make(".venv/.ready")
    assert result.returncode == 0, result.stderr
    assert [line.split()[0] for line in said] == ["venv", "pip"]
    assert said[1].endswith("-e .[test,docs]")
    assert (tmp_path / ".venv" / ".ready").exists()


def test_pip_is_taken_where_there_is_no_uv(make):
    if shutil.which("uv", path="/usr/bin:/bin"):
        pytest.skip("this machine has uv in /usr/bin")
    result, _ = make("-n", "TORCH=cpu", ".venv/.ready-cpu", uv=False)
    assert "python3 -m venv .venv" in result.stdout
    assert "-m pip install -q --index-url https://download.pytorch.org/whl/cpu torch torchvision" in result.stdout
    assert '-m pip install -q -e ".[test,docs]"' in result.stdout
    assert "uv pip" not in result.stdout


def test_torch_comes_first_and_from_the_index_of_its_build(make):
    result, said = make("TORCH=cpu", ".venv/.ready-cpu")
    assert result.returncode == 0, result.stderr
    assert said[1].endswith("--index-url https://download.pytorch.org/whl/cpu torch torchvision")
    assert said[2].endswith("-e .[test,docs]")


def test_an_index_that_cannot_be_reached_is_one_line(make, tmp_path):
    result, said = make("TORCH=cpu", ".venv/.ready-cpu", index_code=1)
    assert result.returncode != 0
    lines = [line for line in (result.stdout + result.stderr).splitlines() if "torch" in line]
    assert lines[-1] == (
        "torch for cpu cannot be installed from https://download.pytorch.org/whl/cpu (see .venv/torch.log); make "
        "without TORCH=cpu takes the build of PyPI"
    )
    assert "traceback" not in result.stdout + result.stderr
    assert "traceback" in (tmp_path / ".venv" / "torch.log").read_text()
    assert len(said) == 2
    assert not list((tmp_path / ".venv").glob(".ready*"))


def test_an_environment_with_cuda_is_not_taken_for_one_without(make, tmp_path):
    result, _ = make("TORCH=cpu", ".venv/.ready-cpu", cuda="13.0")
    assert result.returncode != 0
    assert ".venv has torch 2.9, which brings CUDA; run make clean and this command again" in result.stderr
    assert not list((tmp_path / ".venv").glob(".ready*"))


def test_the_image_installs_by_make():
    text = (ROOT / "Dockerfile").read_text()
    assert "RUN make .venv/.ready\n" in text
    assert "pip install" not in text
