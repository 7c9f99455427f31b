"""Unpacking of archives that strangers made: every file as the archive has it, or an error and no file."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from data.errors import DatasetError

RATIO = 100
"""How many times its own size an archive may unpack to. The data sets that we know reach 20."""

SMALL = 1_000_000_000
"""Bytes to which any archive may unpack, whatever its size."""

MOST_MEMBERS = 10_000_000
"""Files and folders that an archive may have."""

LONGEST_HEADER = 1 << 20
"""Bytes that a tar header with a long name may have."""

BLOCK = 1 << 20
"""Bytes per read."""

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EMFILE)
"""Error numbers of a disk. With other numbers, or none, the readers of archives report damage and impossible names."""

END_OF_ZIP, END_OF_ZIP64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q")
"""The records at the end of a zip file; the number of entries is their field 4 or 7 (APPNOTE 4.3.14, 4.3.16)."""

ZIP64_LOCATOR = 20
"""Bytes of the record between the two."""

MANY = 0xFFFF
"""Number of entries in `END_OF_ZIP` if the true number is in `END_OF_ZIP64`."""

LONG_NAMES = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
"""Types of tar headers that are read into memory."""

END_OF_TAR: type[Exception] = vars(tarfile)["EOFHeaderError"]
"""What tarfile raises at the block of zeros that ends an archive; it is not in the type stubs."""


class _Member(NamedTuple):
    """One file or folder of an archive; `stream` is None for a folder, `size` is what the header says, in bytes."""

    name: str
    size: int
    stream: IO[bytes] | None


class _Refused(Exception):
    """An archive is not damaged, but it holds what no data set needs."""


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar file. The files appear in `folder` only after all of them have been read without an error.

    A killed call leaves ``<folder>/.<archive>.unpacking``, which the next call removes. Files that are in `folder`
    already are replaced. Access rights and times are not taken from the archive.

    Parameters
    ----------
    archive : Path
        A zip file if its name ends in ``.zip``, else a tar file, compressed or not.
    folder : Path

    Raises
    ------
    DatasetError
        If the archive is damaged, or has a link, a device, an encrypted file or a path that leads out of `folder`, or
        would unpack to more than `RATIO` times its size, or the disk is full.
    """
    temporary = folder / f".{archive.name}.unpacking"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            _unpack(archive, temporary)
        except Exception as error:  # on damaged input, the readers of the standard library raise errors of many kinds
            if isinstance(error, OSError) and error.errno in DISK_ERRORS:
                raise
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DatasetError(
                f"{archive}: cannot be unpacked ({reason}); delete it and run the same command again"
            ) from error
        _move(temporary, folder)
    except OSError as error:
        raise DatasetError(
            f"{error.filename or folder}: {error.strerror} while {archive} was unpacked; check the disk space and the "
            "file permissions, then run the same command again"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unpack(archive: Path, folder: Path) -> None:
    allowance = _Allowance(archive, folder)
    members = _zip_members if archive.suffix.lower() == ".zip" else _tar_members
    for number, member in enumerate(members(archive, allowance)):
        if number >= MOST_MEMBERS:
            raise _Refused(f"it has more than {MOST_MEMBERS} files")
        path = folder / _safe(member.name)
        if member.stream is None:
            path.mkdir(parents=True, exist_ok=True)
            continue
        allowance.require(member.size)
        path.parent.mkdir(parents=True, exist_ok=True)
        written = 0
        with open(path, "wb") as file:
            while block := member.stream.read(BLOCK):
                allowance.take(len(block))
                written += file.write(block)
        if written != member.size:
            raise _Refused(f"{member.name} has {written} bytes, not {member.size}")


def _safe(name: str) -> str:
    parts = name.replace("\\", "/").split("/")
    if not parts[0] or ".." in parts or "\0" in name:
        raise _Refused(f"the path {name!r} leads out of the folder")
    return name


class _Allowance:
    """The bytes that an archive may still unpack to, and that the disk has room for."""

    def __init__(self, archive: Path, folder: Path):
        self.folder = folder
        self.limit = self.left = max(SMALL, RATIO * archive.stat().st_size)

    def require(self, count: int) -> None:
        """Refuse the archive now if `count` more bytes are too many."""
        if count > self.left:
            raise _Refused(f"it would unpack to more than {self.limit} bytes, {RATIO} times its size")
        if count > (free := shutil.disk_usage(self.folder).free):
            raise OSError(errno.ENOSPC, f"{count} bytes are needed and {free} are free", str(self.folder))

    def take(self, count: int) -> None:
        """Count bytes that were unpacked."""
        self.left -= count
        if self.left < 0:
            raise _Refused(f"it would unpack to more than {self.limit} bytes, {RATIO} times its size")


def _zip_members(archive: Path, allowance: _Allowance) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as packed:
        entries = packed.infolist()
        _require_all(archive, len(entries), len(packed.comment))
        allowance.require(sum(entry.file_size for entry in entries))
        for entry in entries:
            if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _Refused(f"{entry.filename} is neither a file nor a folder")
            if "\0" in entry.orig_filename:
                raise _Refused(f"the path {entry.orig_filename!r} has a zero byte")
            if entry.is_dir():
                yield _Member(entry.filename, 0, None)
                continue
            with packed.open(entry) as stream:  # it compares the checksum of the file at its end
                yield _Member(entry.filename, entry.file_size, stream)


def _require_all(archive: Path, entries: int, comment: int) -> None:
    """Compare the number of entries with that at the end of the file: zipfile loses entries of a damaged directory."""
    with open(archive, "rb") as file:
        file.seek(-(END_OF_ZIP.size + comment), os.SEEK_END)
        count = END_OF_ZIP.unpack(file.read(END_OF_ZIP.size))[4]
        if count == MANY and entries != MANY:  # the true number is in the record before it
            file.seek(-(END_OF_ZIP.size + ZIP64_LOCATOR + END_OF_ZIP64.size), os.SEEK_CUR)
            count = END_OF_ZIP64.unpack(file.read(END_OF_ZIP64.size))[7]
    if entries % (MANY + 1) != count % (MANY + 1):  # some programs count only so far
        raise _Refused(f"its directory has {entries} entries, not {count}")


class _TarHeader(tarfile.TarInfo):
    """Header whose damage is an error. Tarfile takes a damaged header for the end, so the files after it are lost."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        found = super().frombuf(buf, encoding, errors)
        if found.size < 0 or (found.type in LONG_NAMES and found.size > LONGEST_HEADER):
            raise tarfile.ReadError(f"a header with the size {found.size}")
        return found

    @classmethod
    def fromtarfile(cls, tarfile_):
        try:
            found = super().fromtarfile(tarfile_)
        except END_OF_TAR:
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"damaged header: {error}") from error
        if found.size < 0:  # a pax header may set it
            raise tarfile.ReadError(f"a member with the size {found.size}")
        return found


def _tar_members(archive: Path, allowance: _Allowance) -> Iterator[_Member]:
    with tarfile.open(archive, tarinfo=_TarHeader) as packed:
        while (entry := packed.next()) is not None:
            vars(packed)["members"].clear()  # tarfile would keep the headers of millions of files
            if entry.isdir():
                yield _Member(entry.name, 0, None)
            elif entry.isreg() and not entry.issparse():
                yield _Member(entry.name, entry.size, packed.extractfile(entry))
            else:
                raise _Refused(f"{entry.name} is neither a plain file nor a folder")
        _require_end(packed, allowance)


def _require_end(packed: tarfile.TarFile, allowance: _Allowance) -> None:
    """Read on to the end of the file: only zeros may follow, and gzip, bzip2 and xz compare their checksums there."""
    assert packed.fileobj is not None
    while block := packed.fileobj.read(BLOCK):
        allowance.take(len(block))
        if block.strip(b"\0"):
            raise _Refused("there is data behind its end")


def _move(source: Path, target: Path) -> None:
    """Move what is in a folder into another one, which may have folders of the same names."""
    for child in sorted(source.iterdir()):
        wanted = target / child.name
        if child.is_dir() and wanted.is_dir():
            _move(child, wanted)
        else:
            child.replace(wanted)
