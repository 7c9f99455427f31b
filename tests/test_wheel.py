"""The wheel holds every file of the packages, and runs in an environment and a folder where nothing of the tree is."""

import configparser
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from filelock import FileLock

import pipeline

ROOT = Path(__file__).parent.parent
ROOMS = ("data", "models", "pipeline", "tasks")


def run(*command, **options):
    result = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=600, check=False, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result


def files_of_the_tree() -> set[str]:
    """The files of the packages; a file that git ignores does not count."""
    found = run("git", "ls-files", "--cached", "--others", "--exclude-standard", *ROOMS, cwd=ROOT).stdout.splitlines()
    return {name for name in found if (ROOT / name).exists()}


@pytest.fixture(scope="module")
def built(shared_folder) -> Path:
    """Folder of the wheel and the source archive, built by ``python -m build`` from a copy of the tree."""
    source, target = shared_folder / "source", shared_folder / "dist"
    with FileLock(shared_folder / "dist.lock"):
        if not target.exists():
            for name in {*files_of_the_tree(), "setup.cfg", "pyproject.toml", "README.md", "LICENSE"}:
                (source / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, source / name)
            run(sys.executable, "-m", "build", "--no-isolation", "--outdir", target, source)
    return target


def test_the_wheel_holds_every_file_of_the_packages(built):
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if ".dist-info/" not in name} == files_of_the_tree()
    assert {f"{room}/py.typed" for room in ROOMS} <= names
    assert any(name.endswith(".html") for name in names)


def test_the_source_archive_holds_them_too(built):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert files_of_the_tree() | {"LICENSE", "README.md"} <= names


@pytest.fixture(scope="module")
def elsewhere(built, tmp_path_factory) -> Path:
    """Python of a fresh environment that has the wheel, and the libraries of this one, but not its depthseed."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    (wheel,) = built.glob("*.whl")
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip())
    # A plain line of a .pth file: no .pth of that folder is read, so nothing there leads to this tree.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.mark.pipeline
def test_it_runs_in_a_fresh_environment_and_an_empty_folder(elsewhere, rendered, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    where = run(elsewhere, "-c", "import pipeline; print(pipeline.__file__)", cwd=tmp_path, env=environment).stdout
    assert Path(where.strip()).is_relative_to(elsewhere.parent.parent)
    arguments = ["--module", "pipeline", "IndexDataset", "--dataset", "bop", "--data-root", rendered]
    folders = ["--train-folder", "train_pbr", "--evaluation-folder", "test"]
    run(elsewhere, "-m", "luigi", *arguments, *folders, cwd=tmp_path, env=environment)
    assert list((tmp_path / "artifacts" / "bop" / "IndexDataset").glob("*/COMPLETE.json"))
    text = run(elsewhere, "-m", "pipeline", "config", cwd=tmp_path, env=environment).stdout
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(text)
    assert set(pipeline.__all__) <= set(config.sections())
    (metadata,) = elsewhere.parent.parent.rglob("depthseed-*.dist-info")
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    assert metadata.name == f"depthseed-{setup['metadata']['version']}.dist-info"
