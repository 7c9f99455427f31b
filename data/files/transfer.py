"""Download of single files; an interrupted download continues where it stopped."""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from data.errors import DatasetError
from data.files.archives import DISK_ERRORS

BLOCK = 1 << 20
"""Bytes per read from the connection."""

TIMEOUT = 60.0
"""Seconds without a byte until the download fails."""

NETWORK_ERRORS = (OSError, http.client.HTTPException, ValueError)
"""What urllib raises; ValueError for a redirect to something that is no address."""


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
            headers, length = answer.headers, "Content-Length"
    except urllib.error.HTTPError as error:
        if error.code not in (301, 302, 303, 307, 308):
            raise _failed(download, error) from error
        # Hugging Face gives checksum and size in the redirect. Other redirects have a length of their own.
        headers, length = error.headers, "X-Linked-Size"
    except NETWORK_ERRORS as error:
        raise _failed(download, error) from error
    size = _number(headers.get(length))
    checksum = (headers.get("X-Linked-ETag") or "").strip('"')
    return Offer(size, checksum if re.fullmatch("[0-9a-f]{64}", checksum) else "")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class _SecureRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect from https to an address that somebody between could change."""

    def redirect_request(self, request, *rest):
        found = super().redirect_request(request, *rest)
        if found is not None and request.type == "https" and found.type != "https":
            raise http.client.HTTPException(f"it leads to {found.full_url}, which is not secure, and has no checksum")
        return found


def fetch(
    download: Download,
    target: Path,
    offer: Offer,
    begin: Callable[[int, int | None], Callable[[int], None]],
) -> None:
    """Download a file. An interrupted call leaves ``<target>.partial``, and the next call continues there.

    It continues only while the server has the same version of the file: beside the partial file, its ETag or date is
    kept and sent as If-Range. A server that names neither is asked for the whole file. A target that exists is
    checked and kept.

    Parameters
    ----------
    download : Download
    target : Path
    offer : Offer
    begin : callable
        (bytes of an earlier call, bytes of the whole file or None) -> a function that is called with the number of
        new bytes. It is called once, when the server has answered.

    Raises
    ------
    DatasetError
        If the connection breaks or the disk is full (the partial file is kept), or size or checksum is wrong (the file
        is deleted).
    """
    checksums = download.checksums(offer)
    partial = target.with_name(f"{target.name}.partial")
    note = partial.with_name(f"{partial.name}.json")
    try:
        if target.exists():
            _check(download, target, offer, checksums)
            return
        partial.parent.mkdir(parents=True, exist_ok=True)
        received = partial.stat().st_size if partial.exists() else 0
        if not (checksums and received and received == offer.size):
            _transfer(download, partial, note, offer, begin)
        note.unlink(missing_ok=True)
        _check(download, partial, offer, checksums)
        partial.replace(target)
    except DatasetError:
        raise
    except NETWORK_ERRORS as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise DatasetError(
                f"{error.filename or partial}: cannot be written ({error.strerror}); free space or choose another "
                "--data-root, then run the same command again"
            ) from error
        raise _failed(download, error) from error


def _transfer(download: Download, partial: Path, note: Path, offer: Offer, begin: Callable) -> None:
    """Receive what `partial` lacks, or all of it."""
    answer, start, version = _connect(download, partial, _read_note(note), offer)
    with answer:
        size = version.size
        if None not in (size, offer.size) and size != offer.size:
            raise DatasetError(
                f"{download.url}: the server names two sizes, {offer.size} and {size} bytes; run the same command again"
            )
        if size is not None and size - start > (free := shutil.disk_usage(partial.parent).free):
            raise OSError(errno.ENOSPC, f"{size - start} bytes are needed and {free} are free", str(partial))
        if not start:  # in this order: the note never describes other bytes than those of the partial file
            partial.unlink(missing_ok=True)
            note.write_text(json.dumps(version._asdict()))
        report, position = begin(start, size), start
        with open(partial, "r+b" if start else "wb") as file:
            file.seek(start)
            file.truncate()
            while block := answer.read(BLOCK):
                file.write(block)
                report(len(block))
                position += len(block)
            file.flush()
            os.fsync(file.fileno())
    if size is not None and position != size:
        raise DatasetError(
            f"{download.url}: download failed (the connection ended after {position} of {size} bytes); "
            "run the same command again"
        )


class _Version(NamedTuple):
    """Which version of which file a server sends.

    Attributes
    ----------
    url : str
    validator : str
        As `_validator` returns it.
    size : int or None
        Bytes of the whole file; None if the server does not say.
    """

    url: str
    validator: str
    size: int | None


def _connect(download: Download, partial: Path, known: _Version | None, offer: Offer) -> tuple[Any, int, _Version]:
    """The server's answer, the position of its first byte in the file, and the version of the file."""
    handlers = () if download.checksums(offer) else (_SecureRedirect,)
    opener = urllib.request.build_opener(*handlers)
    received = partial.stat().st_size if partial.exists() else 0
    if received and known and known.url == download.url and known.validator:
        start = received - 1  # with the last byte again, since a server has nothing to send of a whole file
        headers = {"Range": f"bytes={start}-", "If-Range": known.validator}
        try:
            answer = opener.open(urllib.request.Request(download.url, headers=headers), timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
        else:
            if answer.status == http.client.OK:
                return answer, 0, _version(download, answer)
            if _continues(answer, start, known):
                return answer, start, known
            answer.close()
    answer = opener.open(download.url, timeout=TIMEOUT)
    if answer.status not in (None, http.client.OK):  # None: a file:// address
        raise http.client.HTTPException(f"unexpected status {answer.status}")
    return answer, 0, _version(download, answer)


def _version(download: Download, answer: Any) -> _Version:
    return _Version(download.url, _validator(answer), _number(answer.headers.get("Content-Length")))


def _validator(answer: Any) -> str:
    """Strong ETag of the file, or date of its last change; empty if the server names neither."""
    etag = answer.headers.get("ETag", "")
    return etag if etag.startswith('"') else answer.headers.get("Last-Modified", "")


def _continues(answer: Any, start: int, known: _Version) -> bool:
    """True if the answer is the rest of the known version from byte `start`. Some servers do not know If-Range."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", "").strip())
    return (
        answer.status == http.client.PARTIAL_CONTENT
        and found is not None
        and (int(found[1]), int(found[2])) == (start, known.size)
        and _validator(answer) in ("", known.validator)
    )


def _read_note(note: Path) -> _Version | None:
    """The version of the partial file; None if there is no note, or it is damaged."""
    try:
        found = _Version(**json.loads(note.read_text()))
        sound = found.validator.isascii() and found.validator.isprintable() and isinstance(found.size, int)
        return found if sound else None
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


def _check(download: Download, path: Path, offer: Offer, checksums: dict[str, str]) -> None:
    """Delete a file of the wrong size or checksum, and raise a DatasetError."""
    expected = {**({"size": str(offer.size)} if offer.size is not None else {}), **checksums}
    for kind, wanted in expected.items():
        found = str(path.stat().st_size) if kind == "size" else _checksum(path, kind)
        if found != wanted:
            path.unlink()
            raise DatasetError(
                f"{download.url}: {kind} is {found}, not {wanted}; the file was deleted, run the same command again"
            )


def _checksum(path: Path, kind: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _failed(download: Download, error: Exception) -> DatasetError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return DatasetError(
        f"{download.url}: download failed ({reason}); check the connection and run the same command again"
    )
