"""Helpers of the tests that run the pipeline: tiny settings, the real command line, comparing artifacts."""

import functools
import json
import logging
import multiprocessing
import os
import runpy
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.retcodes import run_with_retcodes
from luigi.setup_logging import InterfaceLogging
from luigi.task_register import Register

import pipeline
from pipeline.__main__ import main
from pipeline.command_line import check_input
from tasks.runtime.luigi_seam import forget_instances

# Networks of some thousand parameters: what is tested is the pipeline, not what it learns.
TINY_NETWORK = {"backbone": "test_efficientnet", "weights": "random", "epochs": "2", "least_steps": "0"}
AS_IT_IS = {"least_side": "0"}
TINY_SETTINGS = {
    "IndexDataset": {"train_folder": "train_pbr", "evaluation_folder": "test"},
    "LoadDepth": {"shard_size": "4"},
    "TrainClassifier": {**TINY_NETWORK, "batch_size": "4"},
    "PredictTags": {"shard_size": "4"},
    "ExtractCams": {**AS_IT_IS, "scales": "1", "shard_size": "4"},
    "ExtractKeys": {"backbone": "test_efficientnet", "weights": "random", "image_scale": "0.5", "shard_size": "4"},
    "DiscoverSuperpixels": {"shard_size": "4"},
    "GenerateSeeds": {"shard_size": "4"},
    "LoadSaliency": {"shard_size": "4"},
    "RefineSaliency": {"shard_size": "4"},
    "SplitInstances": {"shard_size": "4"},
    "BuildTemplates": {"backbone": "test_efficientnet", "weights": "random", "crop_size": "32"},
    "MatchObjects": {"shard_size": "4"},
    "TrainSegmenter": {**TINY_NETWORK, **AS_IT_IS, "batch_size": "4"},
    "TrainByMasking": {**TINY_NETWORK, **AS_IT_IS, "batch_size": "4"},
    "CoarsenMasks": {"shard_size": "4"},
    "TrainCoarse": {**TINY_NETWORK, "crop_size": "64"},
    "PredictMasks": {"train_scales": "1", "evaluation_scales": "1", "shard_size": "4"},
    "WriteReport": {"images": "2", "evaluation_images": "2"},
}


def tiny_config() -> str:
    """Text of a luigi.cfg with the tiny settings."""
    return "\n".join(
        f"[{stage}]\n" + "".join(f"{name}={value}\n" for name, value in values.items())
        for stage, values in TINY_SETTINGS.items()
    )


def with_hook(folder: Path) -> str:
    """PYTHONPATH of commands that run the ``sitecustomize.py`` of a folder; it keeps what it has of the environment."""
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


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

    def plain(self, task: str, *arguments) -> subprocess.CompletedProcess:
        """A task that knows no data set."""
        return self._run(luigi_command(task, *arguments), None)

    def start(self, stage: str, *arguments, environment=None) -> subprocess.Popen:
        return subprocess.Popen(
            luigi_command(stage, *self.flags(), *arguments),
            cwd=self.folder, env=os.environ | (environment or {}), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def killed(self, hook: Path, stage: str, *arguments, environment) -> subprocess.CompletedProcess:
        """As `luigi`, in a process that first runs the file `hook`. It is a fork of one that has imported everything.

        So it saves the start of Python and torch. Worker processes run the hook by the PYTHONPATH of the environment.
        """
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["pipeline", "torch", "torchvision", "timm", "zarr", "matplotlib.pyplot"])
        log = self.folder / "killed.log"
        command = luigi_command(stage, *self.flags(), *arguments)
        process = context.Process(target=_forked, args=(command, self.folder, environment, hook, log))
        process.start()
        process.join(600)
        return subprocess.CompletedProcess(command, process.exitcode, "", log.read_text())

    def inspect(self, *arguments) -> subprocess.CompletedProcess:
        return self._run([sys.executable, "-m", "pipeline", *map(str, arguments), *self.flags()], None)

    def scores(self) -> dict:
        return json.loads(self.inspect("scores", "--json").stdout)

    def _run(self, command, environment):
        return subprocess.run(
            command, cwd=self.folder, env=os.environ | (environment or {}), capture_output=True, text=True, timeout=600
        )


def _forked(command: list[str], folder: Path, environment: dict[str, str], hook: Path, log: Path) -> None:
    """Run a command as a new process would, which reads luigi.cfg in its folder."""
    os.environ.update(environment)
    os.chdir(folder)
    with open(log, "wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = command
    luigi.configuration.get_config().read("luigi.cfg")
    runpy.run_path(str(hook))
    check_input(command[1:], pipeline.__all__)
    run_with_retcodes(command[1:])


class CommandLineHere(CommandLine):
    """Runs the same commands in this process, through the functions that the scripts call."""

    def __init__(self, folder: Path, data_root: Path, capsys):
        super().__init__(folder, data_root)
        self.capsys = capsys

    def apart(self) -> CommandLine:
        """The same in processes of their own: where luigi.cfg has changed, or for two at once."""
        return CommandLine(self.folder, self.data_root)

    def inspect(self, *arguments) -> subprocess.CompletedProcess:
        forget_instances()
        self.capsys.readouterr()
        code = main([*map(str, arguments), *self.flags()])
        captured = self.capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, captured.out, captured.err)

    def _run(self, command, environment):
        assert environment is None, "a process of its own has an environment of its own: use apart()"
        forget_instances()
        forget_log_of_luigi()
        log = logging.getLogger("depthseed")
        handlers, log.handlers = log.handlers, [logging.StreamHandler(sys.stderr)]
        given, sys.argv = sys.argv, command  # error lines name the flag
        try:
            check_input(command[1:], pipeline.__all__)  # as the import of pipeline does
            with patch.object(CmdlineParser, "_build_parser", staticmethod(kept_parser)):
                run_with_retcodes(command[1:])
            code = 0
        except SystemExit as ended:
            code = ended.code
        except Exception:
            sys.excepthook(*sys.exc_info())
            code = 1
        finally:
            log.handlers, sys.argv = handlers, given
            forget_log_of_luigi()
        captured = self.capsys.readouterr()
        return subprocess.CompletedProcess(command, code, captured.out, captured.err)


class FolderHere(CommandLineHere):
    """The same on a folder of the user's own."""

    def flags(self):
        return ["--dataset", "folder", "--data-root", str(self.data_root), "--artifacts", str(self.artifacts)]


_build_parser = CmdlineParser._build_parser


def kept_parser(root_task=None, help_all=False):
    """luigi's parser of the command line. It builds nine for each command, of a thousand arguments each."""
    return _kept_parser(root_task, help_all, frozenset(Register.task_names()))


@functools.lru_cache(maxsize=64)
def _kept_parser(root_task, help_all, tasks):
    return _build_parser(root_task, help_all)


def forget_log_of_luigi() -> None:
    """Let luigi set up its log anew: its handlers hold the stream of the test that was first to run a task."""
    logging.getLogger("luigi-interface").handlers.clear()
    InterfaceLogging._configured = False


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
