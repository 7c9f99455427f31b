"""Where data sets can be had without a login, and fetching that goes on where it stopped."""

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
TIMEOUT = 60.0  # seconds without a byte


@dataclass(frozen=True)
class Download:
    """A file of a data set.

    Attributes
    ----------
    url : str
    md5 : str
        Empty: not known; then the server's own checksum holds, where it names one (Hugging Face does).
    folder : str
        Where it is unpacked, below ``--data-root``.
    sha256 : str
        Empty: not known.
    """

    url: str
    md5: str = ""
    folder: str = ""
    sha256: str = ""

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]

    def checksums(self, offer: Offer) -> dict[str, str]:
        """Kind -> checksum of what is known: ours come before the server's."""
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
"""Data set -> its files. The others of `data.DATASETS` ask for a login or a form, or (ycbv) come as a split archive."""


@dataclass(frozen=True)
class Offer:
    """What a server says of a file: bytes (None if it does not say), and a SHA-256, empty if it has none."""

    size: int | None
    sha256: str


def ask(download: Download) -> Offer:
    """Size and checksum as the server names them, without fetching.

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
            raise _unreachable(download, error) from error
        headers = error.headers  # Hugging Face names checksum and size where it redirects
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(download, error) from error
    size = headers.get("X-Linked-Size") or headers.get("Content-Length")
    checksum = (headers.get("X-Linked-ETag") or "").strip('"')
    return Offer(int(size) if size else None, checksum if len(checksum) == 64 else "")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def fetch(download: Download, target: Path, offer: Offer, report: Callable[[int], None]) -> None:
    """Fetch a file; what an interrupted call has left in ``<target>.partial`` is not fetched again.

    Parameters
    ----------
    download : Download
    target : Path
    offer : Offer
    report : callable
        Called with the bytes that have come, those that were there already included.

    Raises
    ------
    DatasetError
        If the connection breaks (the same call goes on) or the checksum is wrong (the file is deleted).
    """
    partial = target.with_name(f"{target.name}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    there = partial.stat().st_size if partial.exists() else 0
    if offer.size is None or there != offer.size:
        request = urllib.request.Request(download.url, headers={"Range": f"bytes={there}-"} if there else {})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                goes_on = there and answer.status == http.client.PARTIAL_CONTENT
                there = there if goes_on else 0
                with open(partial, "ab" if goes_on else "wb") as file:
                    report(there)
                    while block := answer.read(BLOCK):
                        file.write(block)
                        report(len(block))
                        there += len(block)
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(download, error) from error
        if offer.size is not None and there != offer.size:
            raise DatasetError(
                f"{download.url}: the connection ended after {there} of {offer.size} bytes; run the same command "
                "again, it goes on from there"
            )
    for kind, expected in download.checksums(offer).items():
        if (found := _checksum(partial, kind)) != expected:
            partial.unlink()
            raise DatasetError(f"{download.url}: {kind} is {found}, not {expected}; run the same command again")
    partial.replace(target)


def _checksum(path: Path, kind: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar file; DatasetError if it is damaged. Members that point outside are refused."""
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


def _unreachable(download: Download, error: Exception) -> DatasetError:
    return DatasetError(
        f"{download.url}: cannot be fetched ({error}); run the same command again where the address can be reached, "
        "what has come stays"
    )
