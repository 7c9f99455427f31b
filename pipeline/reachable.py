"""The artifacts to which the present parameters lead: luigi.cfg, the flags, and the defaults in the code."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import pipeline
from data.errors import DepthseedError, MethodError
from data.sample import EVALUATION, TRAIN
from pipeline.asked import parsed
from pipeline.command_line import stage_names
from tasks.index_dataset import IndexDataset
from tasks.methods import METHODS
from tasks.runtime.dag import stages
from tasks.runtime.stage import COMMON


class Reachable(NamedTuple):
    """What the present parameters lead to.

    Attributes
    ----------
    identities : set of str
        Of all artifacts.
    unplanned : dict of stage -> reason
        Stages that a method or split has and that could not be planned with it now, such as those below a folder that
        is missing. Their artifacts may belong to it.
    """

    identities: set[str]
    unplanned: dict[str, str]


def reachable(flags: list[str]) -> Reachable:
    """The artifacts of all stages, for both splits, and for all methods if the flags choose none.

    Parameters
    ----------
    flags : list of str
        The flags of luigi.

    Raises
    ------
    DepthseedError
        If the data set cannot be read.
    """
    identities: set[str] = set()
    unplanned: dict[str, str] = {}
    with parsed("RunAll", flags) as run_all:
        common = {name: getattr(run_all, name) for name in COMMON}
        chosen = any(flag.partition("=")[0] == "--method" for flag in flags)
        methods = [run_all.method] if chosen else list(METHODS)
        identities.add(IndexDataset(**common).identity)
        for name in stage_names(pipeline.__all__):
            stage = getattr(pipeline, name)
            splits = [{"split": TRAIN}, {"split": EVALUATION}] if "split" in dict(stage.get_params()) else [{}]
            for method, split in itertools.product(methods, splits):
                try:
                    identities |= {one.identity for one in stages(stage(**{**common, "method": method, **split}))}
                except MethodError:  # nothing of this stage can have been written with this method
                    continue
                except DepthseedError as error:
                    unplanned.setdefault(name, f"--method {method}: {error}")
    return Reachable(identities, unplanned)
