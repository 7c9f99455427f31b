"""Text files of data sets: tables and lists that people write."""

from __future__ import annotations

import codecs
from pathlib import Path

from data.errors import DatasetError
from data.files.regular_file import read_bytes


def read_text(path: Path) -> str:
    """Content of a text file in UTF-8, or in UTF-16 as spreadsheets save it. A byte order mark is left out.

    Raises
    ------
    DatasetError
        If the file is missing or cannot be read, has another encoding, or holds a NUL byte.
    """
    content = read_bytes(path)
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path}: is not UTF-8 text (byte {error.start} is 0x{content[error.start]:02x}); save the file as UTF-8"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DatasetError(f"{path}: has a NUL byte in line {line}; save the file as UTF-8 text")
    return text
