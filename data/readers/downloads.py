"""Data sets that can be downloaded without a login; an interrupted download continues where it stopped."""

from __future__ import annotations

import hashlib
import http.client
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data.errors import DatasetError

BLOCK = 1 << 20
"""Bytes per read from the connection."""

TIMEOUT = 60.0
"""Seconds without a byte until the download fails."""


@dataclass(frozen=True)
class Download:
    """A file of a data set.

    Attributes
    ----------
    url : str
    md5 : str
        Empty if it is not known. The server's own checksum is used then, if it gives one (Hugging Face does).
    folder : str
        Folder below ``--data-root`` into which the file is unpacked.
    sha256 : str
        Empty if it is not known.
    """

    url: str
    md5: str = ""
    folder: str = ""
    sha256: str = ""

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]

    def checksums(self, offer: Offer) -> dict[str, str]:
        """Kind -> known checksum. A checksum given here takes precedence over the server's."""
        known = {"md5": self.md5, "sha256": self.sha256 or offer.sha256}
        return {kind: checksum for kind, checksum in known.items() if checksum}


COCO = "http://images.cocodataset.org"
BOP = "https://huggingface.co/datasets/bop-benchmark"
PANNUKE = "https://warwick.ac.uk/fac/cross_fac/tia/data/pannuke"

DOWNLOADS: dict[str, tuple[Download, ...]] = {
    "voc": (
        Download(
            "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
            "6cd6e144f989b92b3379bac3b3de84fd",
        ),
        Download(
            "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",
            "82b4d87ceb2ed10f6038a1cba92111cb",
        ),
    ),
    "coco": (
        Download(f"{COCO}/zips/train2014.zip", "0da8c0bd3d6becc4dcb32757491aca88", "coco"),
        Download(f"{COCO}/zips/val2014.zip", "a3d79f5ed8d289b7a7554ce06a5782b3", "coco"),
        Download(f"{COCO}/annotations/annotations_trainval2014.zip", "0a379cfc70b0e71301e0f377548639bd", "coco"),
    ),
    "hope": (
        Download(f"{BOP}/hope/resolve/main/hope_base.zip"),
        Download(f"{BOP}/hope/resolve/main/hope_onboarding_static.zip", folder="hope"),
        Download(f"{BOP}/hope/resolve/main/hope_val_realsense.zip", folder="hope"),
    ),
    "lmo": (
        Download(f"{BOP}/lmo/resolve/main/lmo_base.zip"),
        Download(f"{BOP}/lmo/resolve/main/lmo_train_pbr.zip", folder="lmo"),
        Download(f"{BOP}/lmo/resolve/main/lmo_test_all.zip", folder="lmo"),
    ),
    "tless": (
        Download(f"{BOP}/tless/resolve/main/tless_base.zip"),
        Download(f"{BOP}/tless/resolve/main/tless_train_primesense.zip", folder="tless"),
        Download(f"{BOP}/tless/resolve/main/tless_test_primesense_all.zip", folder="tless"),
    ),
    "pannuke": tuple(
        Download(f"{PANNUKE}/fold_{fold}.zip", folder="pannuke", sha256=checksum)
        for fold, checksum in (
            (1, "6e19ad380300e8ce9480f9ab6a14cc91fa4b6a511609b40e3d70bdf9c881ed0b"),
            (2, "5bc540cc509f64b5f5a274d6e5a245527dbd3e6d3155d43555115c5d54709b07"),
            (3, "c14d372981c42f611ebc80afad01702b89cad8c1b3089daa31931cf5a4b1a39d"),
        )
    ),
}
"""Data set -> its files.

The others of `data.readers.DATASETS` need a login or a form, or (ycbv) are published as a split archive.
"""


@dataclass(frozen=True)
class Offer:
    """What a server reports about a file.

    Attributes
    ----------
    size : int or None
        Bytes; None if the server does not say.
    sha256 : str
        Empty if the server gives none.
    """

    size: int | None
    sha256: str


def ask(download: Download) -> Offer:
    """Size and checksum as the server reports them, without a download.

    Raises
    ------
    DatasetError
        If the server cannot be reached or does not have the file.
    """
    request = urllib.request.Request(download.url, method="HEAD")
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT) as answer:
            headers = answer.headers
    except urllib.error.HTTPError as error:
        if error.code not in (301, 302, 303, 307, 308):
            raise _failed(download, error) from error
        headers = error.headers  # Hugging Face gives checksum and size in the redirect
    except (OSError, http.client.HTTPException) as error:
        raise _failed(download, error) from error
    size = headers.get("X-Linked-Size") or headers.get("Content-Length")
    checksum = (headers.get("X-Linked-ETag") or "").strip('"')
    return Offer(int(size) if size else None, checksum if len(checksum) == 64 else "")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def fetch(download: Download, target: Path, offer: Offer, report: Callable[[int], None]) -> None:
    """Download a file; an interrupted call leaves ``<target>.partial``, and the next call continues there.

    Parameters
    ----------
    download : Download
    target : Path
    offer : Offer
    report : callable
        Called with the number of new bytes; the first call counts the bytes of an earlier download.

    Raises
    ------
    DatasetError
        If the connection breaks (the partial file is kept) or the checksum is wrong (the file is deleted).
    """
    partial = target.with_name(f"{target.name}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    received = partial.stat().st_size if partial.exists() else 0
    if offer.size is None or received != offer.size:
        request = urllib.request.Request(download.url, headers={"Range": f"bytes={received}-"} if received else {})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                resumed = received and answer.status == http.client.PARTIAL_CONTENT
                received = received if resumed else 0
                with open(partial, "ab" if resumed else "wb") as file:
                    report(received)
                    while block := answer.read(BLOCK):
                        file.write(block)
                        report(len(block))
                        received += len(block)
        except (OSError, http.client.HTTPException) as error:
            raise _failed(download, error) from error
        if offer.size is not None and received != offer.size:
            raise DatasetError(
                f"{download.url}: download failed (the connection ended after {received} of {offer.size} bytes); "
                "run the same command again to continue"
            )
    for kind, expected in download.checksums(offer).items():
        if (found := _checksum(partial, kind)) != expected:
            partial.unlink()
            raise DatasetError(
                f"{download.url}: {kind} is {found}, not {expected}; the file was deleted, run the same command again"
            )
    partial.replace(target)


def _checksum(path: Path, kind: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar file; members that point outside `folder` are refused.

    Raises
    ------
    DatasetError
        If the archive is damaged.
    """
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(folder)
        else:
            with tarfile.open(archive) as packed_tar:
                packed_tar.extractall(folder, filter="data")
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise DatasetError(
            f"{archive}: cannot be unpacked ({error}); delete it and run the same command again"
        ) from error


def _failed(download: Download, error: Exception) -> DatasetError:
    return DatasetError(
        f"{download.url}: download failed ({error}); check the connection and run the same command again to continue"
    )
