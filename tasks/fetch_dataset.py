"""Download of a data set from its official address, if that needs no login."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from pathlib import Path

import luigi

from data.errors import SettingError
from data.files.archives import unpack
from data.files.transfer import Download, Offer, ask, fetch
from data.readers.downloads import DOWNLOADS, TERMS
from data.store.artifact import write_json
from tasks.runtime.lock import artifact_lock
from tasks.runtime.progress import Progress

log = logging.getLogger("depthseed")


class FetchDataset(luigi.Task):
    """Downloads a data set and unpacks it into ``--data-root``. A killed run continues where it stopped.

    Licence, addresses, sizes and checksums are logged before the download begins.

    Raises
    ------
    SettingError
        If the data set cannot be downloaded without a login.
    DatasetError
        If a download fails or an archive cannot be unpacked.
    """

    dataset = luigi.Parameter(description=f"data set: {', '.join(DOWNLOADS)}")
    data_root = luigi.Parameter(description="folder that will contain the data set")

    @property
    def marker(self) -> Path:
        """JSON file with the addresses of the downloaded files; written last."""
        return Path(self.data_root) / f".fetched-{self.dataset}.json"

    def complete(self):
        return self.marker.exists()

    @property
    def is_interrupted(self) -> bool:
        """True if a download or its unpacking has begun and has not ended."""
        names = [download.name for download in DOWNLOADS.get(self.dataset, ())]
        found = [name for name in names for end in ("", ".partial") if (self._archives / f"{name}{end}").exists()]
        return bool(found) and not self.complete()

    @property
    def _archives(self) -> Path:
        return Path(self.data_root) / ".downloads"

    def run(self):
        if self.dataset not in DOWNLOADS:
            raise SettingError(
                f"'{self.dataset}' cannot be fetched; {', '.join(DOWNLOADS)} can be. "
                "docs/datasets.md says why, and where to get the others"
            )
        with artifact_lock(Path(self.data_root), "FetchDataset", f"FetchDataset-{self.dataset}"):
            if not self.complete():  # another run may have completed it while this run waited
                self._fetch_all(Path(self.data_root), DOWNLOADS[self.dataset])

    def _fetch_all(self, root: Path, downloads: tuple[Download, ...]) -> None:
        log.info("FetchDataset: %s, licence: %s", self.dataset, TERMS[self.dataset].licence)
        offers = [ask(download) for download in downloads]
        for download, offer in zip(downloads, offers, strict=True):
            size = f"{offer.size / 1e6:.1f} MB" if offer.size is not None else "unknown size"
            checksums = [f"{kind} {checksum}" for kind, checksum in download.checksums(offer).items()]
            log.info("FetchDataset: %s, %s, %s", download.url, size, ", ".join(checksums) or "no checksum")
        for download, offer in zip(downloads, offers, strict=True):
            archive = self._archives / download.name
            _fetch_one(download, offer, archive)
            log.info("FetchDataset: unpacking %s", archive)
            unpack(archive, root / download.folder)
        os.sync()  # after a power failure, the marker must not vouch for files that never reached the disk
        write_json(self.marker, [download.url for download in downloads])
        log.info("FetchDataset: wrote %s; the archives in %s can be deleted", root, self._archives)


def _fetch_one(download: Download, offer: Offer, archive: Path) -> None:
    """Download an archive and show the progress; what an earlier run has received is not counted in the speed."""
    with ExitStack() as stack:

        def begin(received: int, size: int | None):
            bar = Progress(download.name, size, "byte", initial=received, scale=True)
            return stack.enter_context(bar).update

        fetch(download, archive, offer, begin)
