"""Download of a data set from its official address, if that needs no login."""

from __future__ import annotations

import logging
from pathlib import Path

import luigi

from data.errors import SettingError
from data.readers.downloads import DOWNLOADS, ask, fetch, unpack
from data.store.artifact import write_json
from tasks.runtime.progress import Progress

log = logging.getLogger("depthseed")


class FetchDataset(luigi.Task):
    """Downloads a data set and unpacks it into ``--data-root``. A killed run continues where it stopped.

    Addresses, sizes and checksums are logged before the download begins.

    Raises
    ------
    SettingError
        If the data set cannot be downloaded without a login.
    """

    dataset = luigi.Parameter(description=f"data set: {', '.join(DOWNLOADS)}")
    data_root = luigi.Parameter(description="folder that will contain the data set")

    @property
    def marker(self) -> Path:
        """JSON file with the addresses of the downloaded files; written last."""
        return Path(self.data_root) / f".fetched-{self.dataset}.json"

    def complete(self):
        return self.marker.exists()

    def run(self):
        if self.dataset not in DOWNLOADS:
            raise SettingError(
                f"'{self.dataset}' cannot be fetched; {', '.join(DOWNLOADS)} can be. "
                "docs/datasets.md says why, and where to get the others"
            )
        root, downloads = Path(self.data_root), DOWNLOADS[self.dataset]
        offers = [ask(download) for download in downloads]
        for download, offer in zip(downloads, offers, strict=True):
            size = f"{offer.size / 1e6:.1f} MB" if offer.size is not None else "unknown size"
            checksums = [f"{kind} {checksum}" for kind, checksum in download.checksums(offer).items()]
            log.info("FetchDataset: %s, %s, %s", download.url, size, ", ".join(checksums) or "no checksum")
        for download, offer in zip(downloads, offers, strict=True):
            archive = root / ".downloads" / download.name
            if not archive.exists():
                with Progress(download.name, offer.size, "byte", scale=True) as progress:
                    fetch(download, archive, offer, progress.update)
            log.info("FetchDataset: unpacking %s", archive)
            unpack(archive, root / download.folder)
        write_json(self.marker, [download.url for download in downloads])
        log.info("FetchDataset: wrote %s; the archives in %s can be deleted", root, root / ".downloads")
