"""A tiny RGB-D set and the real command line, for all tests."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import luigi
import pytest

from data.synthetic import render_demo

REPOSITORY = Path(__file__).parent.parent

# Networks of some thousand parameters: what is tested is the pipeline, not what it learns.
TINY_SETTINGS = {
    "IndexDataset": {"train_folder": "train_pbr", "evaluation_folder": "test"},
    "LoadDepth": {"shard_size": "4"},
    "TrainClassifier": {"backbone": "test_efficientnet", "weights": "random", "epochs": "2", "batch_size": "4"},
    "ExtractCams": {"scales": "1", "shard_size": "4"},
    "ExtractKeys": {"backbone": "test_efficientnet", "weights": "random", "image_scale": "0.5", "shard_size": "4"},
    "DiscoverSuperpixels": {"shard_size": "4"},
    "GenerateSeeds": {"shard_size": "4"},
    "TrainSegmenter": {"backbone": "test_efficientnet", "weights": "random", "epochs": "2", "batch_size": "4"},
    "PredictMasks": {"scales": "1", "shard_size": "4"},
    "WriteReport": {"images": "2", "evaluation_images": "2"},
}


@pytest.fixture(scope="session")
def rendered(tmp_path_factory) -> Path:
    """10 training and 5 evaluation frames in BOP layout, rendered once. Not to be changed."""
    root = tmp_path_factory.mktemp("rendered") / "tiny"
    render_demo(root, {"train_pbr": (2, 5), "test": (1, 5)})
    return root


@pytest.fixture
def bop_root(rendered, tmp_path) -> Path:
    """A copy of the tiny set that a test may spoil."""
    return Path(shutil.copytree(rendered, tmp_path / "tiny"))


@pytest.fixture
def tiny_settings(tmp_path, monkeypatch) -> Path:
    """A working directory whose luigi.cfg makes every stage tiny; the path of that file."""
    folder = tmp_path / "work"
    folder.mkdir()
    path = folder / "luigi.cfg"
    sections = (
        f"[{stage}]\n" + "".join(f"{name}={value}\n" for name, value in values.items())
        for stage, values in TINY_SETTINGS.items()
    )
    path.write_text("\n".join(sections))
    monkeypatch.chdir(folder)
    return path


@pytest.fixture
def in_process(tiny_settings):
    """The tiny settings for tasks made in the test's own process."""
    config = luigi.configuration.get_config()
    for section, values in TINY_SETTINGS.items():
        for name, value in values.items():
            config.set(section, name, value)
    luigi.task_register.Register.clear_instance_cache()
    yield
    for section in TINY_SETTINGS:
        config.remove_section(section)
    luigi.task_register.Register.clear_instance_cache()


def luigi_command(*arguments) -> list[str]:
    return [str(Path(sys.executable).with_name("luigi")), "--module", "pipeline", *map(str, arguments)]


class CommandLine:
    """Runs the real commands in the folder of the tiny settings."""

    def __init__(self, folder: Path, data_root: Path):
        self.folder, self.data_root = folder, data_root
        self.artifacts = folder / "artifacts"

    def flags(self) -> list[str]:
        return ["--dataset", "bop", "--data-root", str(self.data_root), "--artifacts", str(self.artifacts)]

    def luigi(self, stage: str, *arguments, environment=None) -> subprocess.CompletedProcess:
        return self._run(luigi_command(stage, *self.flags(), *arguments), environment)

    def start(self, stage: str, *arguments, environment=None) -> subprocess.Popen:
        return subprocess.Popen(
            luigi_command(stage, *self.flags(), *arguments),
            cwd=self.folder, env=os.environ | (environment or {}), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def inspect(self, *arguments) -> subprocess.CompletedProcess:
        return self._run([sys.executable, "-m", "pipeline", *map(str, arguments), *self.flags()], None)

    def scores(self) -> dict:
        return json.loads(self.inspect("scores", "--json").stdout)

    def _run(self, command, environment):
        return subprocess.run(
            command, cwd=self.folder, env=os.environ | (environment or {}), capture_output=True, text=True, timeout=600
        )


@pytest.fixture
def command_line(tiny_settings, bop_root) -> CommandLine:
    return CommandLine(tiny_settings.parent, bop_root)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of all artifacts; the report without the timings, which no two runs share."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or name.split("/")[1:2] in ([".runs"], [".locks"], [".hashes.json"], ["data"]):
            continue
        if "/WriteReport/" in f"/{name}":
            if path.name != "report.html":
                continue
            before, _, rest = path.read_text().partition('<section id="timings">')
            found[name] = (before + rest.partition("</section>")[2]).encode()
        else:
            found[name] = path.read_bytes()
    return found
