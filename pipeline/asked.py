"""The task that a command line asks for."""

from __future__ import annotations

import contextlib
import io
import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import luigi.cmdline_parser

import pipeline
from data.errors import SettingError
from pipeline.command_line import check_command_line, stage_names
from tasks.runtime.dag import stages
from tasks.runtime.parameters import nearest

USAGE = 2
"""Exit code of a wrong flag, as argparse has it."""


def stage_and_flags(given: list[str], default: str) -> tuple[str, list[str]]:
    """The name of the stage in what is given to a command, and the flags.

    argparse would take the first word for the stage, also the value of a flag that it does not know.

    Parameters
    ----------
    given : list of str
        Flags of luigi and, at any place, the name of a stage.
    default : str
        The stage if none is named.

    Examples
    --------
    >>> stage_and_flags(["--dataset", "hope", "GenerateSeeds"], "RunAll")
    ('GenerateSeeds', ['--dataset', 'hope'])
    >>> stage_and_flags(["PredictMasks-train", "--seed=1"], "RunAll"), stage_and_flags(["--seed=1"], "RunAll")
    (('PredictMasks-train', ['--seed=1']), ('RunAll', ['--seed=1']))
    """
    for place, word in enumerate(given):
        if word in pipeline.__all__ or (place == 0 and not word.startswith("-")):
            return word, [*given[:place], *given[place + 1 :]]
    return default, given


def luigi_command(stage: str, flags: Sequence[str]) -> str:
    """The command that runs a stage with these flags of luigi, as the user can type it.

    Examples
    --------
    >>> luigi_command("RunAll", ["--dataset", "hope", "--artifacts", "my artifacts"])
    "luigi --module pipeline RunAll --dataset hope --artifacts 'my artifacts'"
    """
    return f"luigi --module pipeline {stage} {shlex.join(flags)}".rstrip()


def task_of(stage: str, flags: list[str], alone: bool = False) -> Any:
    """The task that ``luigi --module pipeline STAGE flags`` would run, with all stages that it needs.

    Parameters
    ----------
    stage : str
    flags : list of str
        The flags of luigi.
    alone : bool
        Without the stages that it needs: the data set is not looked at.

    Raises
    ------
    DepthseedError
        If there is no such stage, a value is wrong, or the data set is not there.
    SystemExit
        If there is no such flag; a line is printed.
    """
    with parsed(stage, flags) as task:
        if not alone:
            stages(task)  # build all stages now: their flags hold only while luigi's parser is active
        return task


@contextlib.contextmanager
def parsed(stage: str, flags: list[str]) -> Iterator[Any]:
    """The same task without the stages that it needs. The flags of all stages hold in this context.

    Nothing is downloaded: ``--fetch`` has no effect here.
    """
    stages = stage_names(pipeline.__all__)
    if stage not in stages:
        raise SettingError(f"'{stage}' is neither a path nor a stage{nearest(stage, stages)}")
    check_command_line([stage, *flags], pipeline.__all__)
    arguments, said = ["--module", "pipeline", stage, *flags, "--fetch", "false"], io.StringIO()
    with contextlib.ExitStack() as stack:
        try:
            with contextlib.redirect_stderr(said):
                parser = stack.enter_context(luigi.cmdline_parser.CmdlineParser.global_instance(arguments))
        except SystemExit:  # argparse prints the names of all parameters of all stages before its error
            print(f"ERROR: {said.getvalue().strip().rpartition('error: ')[2]}", file=sys.stderr)
            sys.exit(USAGE)
        yield parser.get_task_obj()
