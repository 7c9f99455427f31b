"""The folder of a data set: as ``--data-root`` names it, or found in the usual places, or fetched into one of them."""

from __future__ import annotations

import functools
import logging
from pathlib import Path

import luigi.configuration

from data.errors import DatasetError
from data.readers import DATASETS
from data.readers.downloads import DOWNLOADS
from data.readers.places import find_root, places
from tasks.fetch_dataset import FetchDataset

log = logging.getLogger("depthseed")

SECTION, OPTION = "datasets", "folder"
"""Where luigi.cfg names a folder that holds data sets."""


def data_places() -> list[Path]:
    """The folders in which data sets are looked for, in this order; a download goes into the first."""
    return places(luigi.configuration.get_config().get(SECTION, OPTION, ""))


def data_root_of(dataset: str, data_root: str, fetch: bool = False) -> str:
    """What ``--data-root`` is, or would be for the place where the data set was found.

    Parameters
    ----------
    dataset : str
        Name of the data set.
    data_root : str
        Value of ``--data-root``; empty: not given.
    fetch : bool
        Download the data set if it is not there, or if an earlier download was interrupted.

    Returns
    -------
    str
        Empty if no folder is needed or none was found (`tasks.index_dataset.IndexDataset.root` says so then).

    Raises
    ------
    DepthseedError
        If the download fails, or an earlier one was interrupted and `fetch` is not set.
    """
    spec = DATASETS.get(dataset)
    if spec is None or (spec.renderer and not data_root):
        return data_root
    if data_root:
        place, is_there = Path(data_root), (Path(data_root) / spec.folder).is_dir()
    else:
        found = _found(dataset)
        place, is_there = found or data_places()[0], found is not None
    if fetch or dataset in DOWNLOADS:
        is_there = _fetched(FetchDataset(dataset=dataset, data_root=str(place)), is_there, fetch)
    return data_root or (str(place) if is_there else "")


def _fetched(download: FetchDataset, is_there: bool, fetch: bool) -> bool:
    """Download a data set if that is wanted and needed. Returns whether it is there now."""
    if is_there and not download.is_interrupted:
        return True
    if not fetch:
        if is_there:
            raise DatasetError(
                f"{download.data_root}: the download of {download.dataset} has not ended; wait for it, or add --fetch "
                "true to continue it"
            )
        return False
    if download.complete():
        raise DatasetError(
            f"{download.marker} says that {download.dataset} was fetched, but its folder is gone; delete this file to "
            "fetch it again"
        )
    download.run()
    return True


def _found(dataset: str) -> Path | None:
    root = find_root(dataset, data_places())
    if root is not None:
        _tell(dataset, root / DATASETS[dataset].folder)
    return root


@functools.cache  # once in each process, for many stages
def _tell(dataset: str, folder: Path) -> None:
    log.info("data set %s: %s", dataset, folder)
