"""A data set from its official address, where that asks for no login."""

from __future__ import annotations

import logging
from pathlib import Path

import luigi

from data.errors import SettingError
from data.readers.downloads import DOWNLOADS, ask, fetch, unpack
from data.store.artifact import write_json

log = logging.getLogger("depthseed")


class FetchDataset(luigi.Task):
    """Fetches and unpacks a data set into ``--data-root``; a killed run goes on where it stopped.

    Sizes and checksums are said before the first byte comes.
    """

    dataset = luigi.Parameter(description=f"data set: {', '.join(DOWNLOADS)}")
    data_root = luigi.Parameter(description="folder for the data set")

    @property
    def marker(self) -> Path:
        """Lists what was fetched; written last."""
        return Path(self.data_root) / f".fetched-{self.dataset}.json"

    def complete(self):
        return self.marker.exists()

    def run(self):
        from tqdm import tqdm

        if self.dataset not in DOWNLOADS:
            raise SettingError(
                f"'{self.dataset}' is not fetched; {', '.join(DOWNLOADS)} are. "
                "docs/datasets.md says why, and where to ask for the others"
            )
        root, downloads = Path(self.data_root), DOWNLOADS[self.dataset]
        offers = [ask(download) for download in downloads]
        for download, offer in zip(downloads, offers, strict=True):
            size = f"{offer.size / 1e6:.1f} MB" if offer.size is not None else "size not told"
            checksums = [f"{kind} {checksum}" for kind, checksum in download.checksums(offer).items()]
            log.info("FetchDataset: %s, %s, %s", download.url, size, ", ".join(checksums) or "no checksum told")
        for download, offer in zip(downloads, offers, strict=True):
            archive = root / ".downloads" / download.name
            if not archive.exists():
                with tqdm(total=offer.size, desc=download.name, unit="B", unit_scale=True, dynamic_ncols=True) as bar:
                    fetch(download, archive, offer, bar.update)
            log.info("FetchDataset: unpacking %s", archive)
            unpack(archive, root / download.folder)
        write_json(self.marker, [download.url for download in downloads])
        log.info("FetchDataset: wrote %s; the archives in %s may go", root, root / ".downloads")
