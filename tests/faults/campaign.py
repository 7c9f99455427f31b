"""All kinds of faults, in the order of the table, and the command ``python -m tests.faults``."""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import luigi
import numpy as np
from faults import artifact_faults, input_faults, interrupted_runs
from faults.damage import flip_bit, spoil
from faults.finished_run import FinishedRun
from faults.tally import Row, markdown
from support import TINY_SETTINGS, CommandLine, CommandLineHere, tiny_config

from data.demo.scenes import render_demo

Tell = Callable[[str], None]


class Size(NamedTuple):
    """Number of trials of each kind.

    Attributes
    ----------
    flips, spoilt : int
        For each kind of file: flipped bits; cut, emptied, deleted, zeroed or exchanged files.
    healings : int
        How many of the flips a run must mend; of the spoilt files, a quarter of it.
    inputs : int
        JSON files, and as many images.
    archives, commands, interrupted, exchanged, reopened, kills, changed : int
    """

    flips: int
    spoilt: int
    healings: int
    inputs: int
    archives: int
    commands: int
    interrupted: int
    exchanged: int
    reopened: int
    kills: int
    changed: int

    @classmethod
    def of(cls, trials: int) -> Size:
        """The numbers of a campaign of `trials` flipped bits for each kind of file."""
        return cls(
            flips=trials,
            spoilt=trials // 2,
            healings=trials // 25,
            inputs=2 * trials,
            archives=trials // 5,
            commands=trials // 4,
            interrupted=trials // 5,
            exchanged=trials // 10,
            reopened=trials // 12,
            kills=trials // 25,
            changed=trials // 25,
        )


def kinds_of(run: FinishedRun, apart: CommandLine | None, folder: Path, size: Size) -> dict[str, Callable]:
    """Name of a kind of fault -> function (row, generator) that tries it.

    Parameters
    ----------
    run : FinishedRun
    apart : CommandLine or None
        Runs commands in processes of their own; None leaves out those that are killed.
    folder : Path
        For files of the trials.
    size : Size
    """
    stages = {stage.label: stage for stage in run.stages}
    line = run.line
    kinds: dict[str, Callable] = {}

    def of_files(files, damage, trials, healings):
        return lambda row, rng: artifact_faults.try_files(run, row, files, damage, trials, healings, rng)

    for kind, files in artifact_faults.files_by_kind(run).items():
        kinds[f"bit flip: {kind}"] = of_files(files, flip_bit, size.flips, size.healings)
        kinds[f"cut, zeroed, deleted, exchanged: {kind}"] = of_files(files, spoil, size.spoilt, size.healings // 4)
    for label in ("TrainClassifier", "TrainSegmenter"):
        kinds[f"checkpoint of {label}"] = lambda row, rng, label=label: interrupted_runs.try_checkpoints(
            run, row, stages[label], size.flips // 2, size.healings // 2, rng
        )
    for label in ("LoadDepth", "GenerateSeeds"):
        kinds[f"left by an interrupted {label}"] = lambda row, rng, label=label: interrupted_runs.try_left_shards(
            run, row, stages[label], size.interrupted // 2, rng
        )
    kinds |= {
        "cache of hashes": lambda row, rng: input_faults.try_cache_of_hashes(run, row, size.flips, rng),
        "cache of tags": lambda row, rng: input_faults.try_cache_of_tags(folder / "tags", row, size.flips, rng),
        "record of a run": lambda row, rng: input_faults.try_records(run, row, size.flips, rng),
        "an artifact copied over another": lambda row, rng: artifact_faults.exchange_artifacts(
            run, row, size.exchanged, size.healings // 2, rng
        ),
        "damage in an artifact that is reopened": lambda row, rng: artifact_faults.reopen_damaged(
            run, row, size.reopened, rng
        ),
        "input changed and restored while it is read": lambda row, rng: interrupted_runs.try_changed_inputs(
            run, row, size.changed, rng
        ),
        "input replaced, same size and time": lambda row, rng: interrupted_runs.try_replaced_inputs(
            run, row, size.changed, rng
        ),
        "BOP JSON": lambda row, rng: input_faults.try_bop_json(_copy(line, folder / "json"), row, size.inputs, rng),
        "image, depth, mask": lambda row, rng: input_faults.try_images(
            _copy(line, folder / "images"), row, size.inputs, rng
        ),
        "archive": lambda row, rng: input_faults.try_archives(folder / "archives", row, size.archives, rng),
        "odd command line": lambda row, rng: input_faults.try_commands(line, row, size.commands, folder / "odd", rng),
    }
    if apart is not None:
        kinds["kill -9"] = lambda row, rng: interrupted_runs.try_kills(
            apart, run.good, row, size.kills, folder / "kills", rng
        )
    return kinds


def _copy(line: CommandLine, folder: Path) -> Path:
    return Path(shutil.copytree(line.data_root, folder))


def campaign(kinds: dict[str, Callable], seed: int, only: Sequence[str] = (), tell: Tell = lambda text: None) -> list:
    """Try all kinds of faults whose names contain one of `only`. Returns their rows.

    The faults of a kind depend only on the seed and on its name, not on the other kinds.
    """
    rows = []
    for name, try_kind in kinds.items():
        if only and not any(part in name for part in only):
            continue
        start, row = time.monotonic(), Row(name)
        try_kind(row, np.random.default_rng([seed, zlib.crc32(name.encode())]))
        rows.append(row)
        tell(f"{row.line()}  {time.monotonic() - start:.0f} s")
        for problem in row.problems[:5]:
            tell(f"    {problem[-2000:]}")
    return rows


class Streams:
    """What is written to the standard streams of this process, from now on. It has what `CommandLineHere` needs."""

    class Captured(NamedTuple):
        out: str
        err: str

    def __init__(self):
        self.readouterr()

    def readouterr(self) -> Captured:
        """What was written since the last call."""
        captured = self.Captured(
            *(stream.getvalue() if isinstance(stream, io.StringIO) else "" for stream in (sys.stdout, sys.stderr))
        )
        sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
        return captured


@contextmanager
def tiny_run(folder: Path) -> Iterator[tuple[CommandLineHere, CommandLine]]:
    """A rendered tiny set and a finished RunAll in a folder, with the tiny settings in force, for this process too."""
    root = folder / "tiny"
    render_demo(root, {"train_pbr": (2, 5), "test": (1, 5)})
    (folder / "luigi.cfg").write_text(tiny_config())
    config = luigi.configuration.get_config()
    for section, values in TINY_SETTINGS.items():
        for name, value in values.items():
            config.set(section, name, value)
    before = Path.cwd()
    os.chdir(folder)
    try:
        line = CommandLineHere(folder, root, Streams())
        result = line.luigi("RunAll", "--processes", 1)
        if result.returncode:
            sys.exit(f"the undisturbed run failed: {result.stderr}")
        yield line, line.apart()
    finally:
        os.chdir(before)
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign and print its table. Returns the exit code: 1 if there was a failure."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=500, help="flipped bits for each kind of file; others follow")
    parser.add_argument("--only", default="", help="parts of names of kinds, separated by commas")
    parser.add_argument("--folder", type=Path, help="folder for all files, which is kept; default: a temporary one")
    options = parser.parse_args(arguments)

    def tell(text: str) -> None:
        print(text, file=sys.__stderr__, flush=True)

    start = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.resolve()
        with tiny_run(folder) as (line, apart):
            run = FinishedRun(line, folder / "spare")
            kinds = kinds_of(run, apart, folder / "trials", Size.of(options.trials))
            rows = campaign(kinds, options.seed, list(filter(None, options.only.split(","))), tell)
    print(markdown(rows))
    print(f"\nseed {options.seed}, {options.trials} trials, {(time.monotonic() - start) / 60:.0f} minutes")
    return int(any(row.problems for row in rows))
