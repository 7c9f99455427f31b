"""The artifacts to which the present parameters lead: luigi.cfg, the flags, and the defaults in the code."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import luigi

import pipeline
from data.errors import DepthseedError
from data.sample import EVALUATION, TRAIN
from pipeline.command_line import stage_names
from pipeline.commands.asked import task_of
from pipeline.dag import stages
from tasks.methods import METHODS


class Reachable(NamedTuple):
    """What the present parameters lead to.

    Attributes
    ----------
    identities : set of str
        Of all artifacts.
    unplanned : dict of stage -> reason
        Stages that could not be planned in any way, so that nothing is known about their artifacts.
    """

    identities: set[str]
    unplanned: dict[str, str]


def reachable(flags: list[str]) -> Reachable:
    """The artifacts of all stages, with all methods and both splits, if the flags do not choose one.

    Parameters
    ----------
    flags : list of str
        The flags of luigi.

    Raises
    ------
    DepthseedError
        If the data set cannot be read.
    """
    identities = {task_of("IndexDataset", flags).identity}
    unplanned = {}
    for name in stage_names(pipeline.__all__):
        reason, planned = "", False
        for more in _variants(name, flags):
            try:
                identities |= {stage.identity for stage in stages(task_of(name, [*flags, *more]))}
                planned = True
            except (DepthseedError, luigi.parameter.ParameterException) as error:
                reason = reason or str(error)
        if not planned:
            unplanned[name] = reason
    return Reachable(identities, unplanned)


def _variants(name: str, flags: list[str]) -> Iterator[list[str]]:
    """Flags that choose a method and a split, where none is chosen."""
    given = {flag.partition("=")[0] for flag in flags}
    methods = [[]] if "--method" in given else [["--method", method] for method in METHODS]
    has_split = "split" in dict(getattr(pipeline, name).get_params()) and "--split" not in given
    splits = [["--split", split] for split in (TRAIN, EVALUATION)] if has_split else [[]]
    for method, split in itertools.product(methods, splits):
        yield [*method, *split]
