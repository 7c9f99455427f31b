"""Opening of regular files only: reading a pipe would wait for ever, and a device may never end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from data.errors import DatasetError

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_regular(path: Path) -> None:
    """Check that a path is a regular file, or a link to one. Call this before a file is opened.

    Raises
    ------
    OSError
        If it is missing or anything else.
    """
    kind = stat.S_IFMT(os.stat(path).st_mode)
    if kind != stat.S_IFREG:
        raise OSError(errno.EINVAL, f"it is {KINDS.get(kind, 'something else')}, not a regular file", str(path))


def read_bytes(path: Path) -> bytes:
    """Content of a file.

    Raises
    ------
    DatasetError
        If the file is missing, is no regular file or cannot be read.
    """
    try:
        check_regular(path)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: file is missing; restore it or check --data-root") from error
    except OSError as error:
        raise DatasetError(
            f"{path}: cannot be read ({error.strerror}); replace it or correct its permissions"
        ) from error
    except ValueError as error:  # a NUL byte or half a character in the name
        raise DatasetError(f"{path}: is no name of a file ({error}); correct the name") from error
