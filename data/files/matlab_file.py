"""Byte matrices in structures of MATLAB files (version 5 to 7.2), as some data sets keep their label maps.

SciPy's reader is written in C. It may end the process without a word if a file is damaged.
"""

from __future__ import annotations

import math
import struct
import zlib

import numpy as np

HEADER = 128
"""Bytes before the first element. The last two give the order of bytes."""

UINT8, INT32, UINT32, MATRIX, COMPRESSED = 2, 5, 6, 14, 15
"""Types of elements."""

STRUCT_CLASS, UINT8_CLASS = 2, 9
"""Classes of matrices."""

LARGEST = 1 << 28
"""Bytes that a compressed element may have when it is unpacked."""


class _Elements:
    """The elements of a part of a file, one after the other. ValueError if one reaches beyond the end."""

    def __init__(self, content: bytes, order: str):
        self.content, self.order, self.position = content, order, 0

    def take(self, expected: int) -> bytes:
        """Data of the next element, which must have this type."""
        kind, data = self.next()
        if kind != expected:
            raise ValueError(f"an element has type {kind} instead of {expected}")
        return data

    def next(self) -> tuple[int, bytes]:
        """Type and data of the next element. Up to four bytes of data may lie in its tag."""
        kind, size = struct.unpack(f"{self.order}II", self._bytes(8))
        if kind >> 16:
            size, kind = kind >> 16, kind & 0xFFFF
            if size > 4:
                raise ValueError("an element of more than four bytes is said to lie in its tag")
            self.position -= 4
            return kind, self._bytes(4)[:size]
        data = self._bytes(size)
        if kind != COMPRESSED:
            self.position += -size % 8
        return kind, data

    def numbers(self, kind: int) -> tuple[int, ...]:
        """The next element as 32-bit numbers."""
        data = self.take(kind)
        return struct.unpack(f"{self.order}{len(data) // 4}{'i' if kind == INT32 else 'I'}", data[: len(data) // 4 * 4])

    @property
    def is_empty(self) -> bool:
        return self.position >= len(self.content)

    def _bytes(self, size: int) -> bytes:
        found = self.content[self.position : self.position + size]
        if len(found) < size:
            raise ValueError("the file is cut")
        self.position += size
        return found


def read_byte_matrix(content: bytes, variable: str, field: str) -> np.ndarray:
    """A field of a variable that is a structure: a matrix of bytes, (rows, columns) uint8.

    Parameters
    ----------
    content : bytes
        The file.
    variable, field : str

    Raises
    ------
    ValueError
        If the file is damaged, is of another version, or does not hold such a field.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[HEADER - 2 : HEADER])
    if order is None or not content.startswith(b"MATLAB 5.0"):
        raise ValueError("it is no MATLAB file of version 5")
    elements = _Elements(content[HEADER:], order)
    while not elements.is_empty:
        kind, data = elements.next()
        if kind == COMPRESSED:
            data = _Elements(_unpacked(data), order).take(MATRIX)
        elif kind != MATRIX:
            raise ValueError(f"an element has type {kind} instead of {MATRIX}")
        matrix = _Elements(data, order)
        matrix_class, shape, name = _head(matrix)
        if name == variable:
            if matrix_class != STRUCT_CLASS or math.prod(shape) != 1:
                raise ValueError(f"{variable} is no single structure")
            return _field(matrix, field)
    raise ValueError(f"it has no variable {variable}")


def _unpacked(data: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(data, LARGEST)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not unpacker.eof:  # only at the end, zlib compares its checksum
        raise ValueError("its compressed data are cut or too large")
    return found


def _head(matrix: _Elements) -> tuple[int, tuple[int, ...], str]:
    """Class, shape and name of a matrix."""
    flags, shape = matrix.numbers(UINT32), matrix.numbers(INT32)
    if len(flags) != 2 or flags[0] & 0x800 or len(shape) < 2 or min(shape) < 0:
        raise ValueError("a matrix is complex, or has no shape")
    return flags[0] & 0xFF, shape, matrix.next()[1].decode("latin-1")


def _field(structure: _Elements, field: str) -> np.ndarray:
    (length,) = structure.numbers(INT32) or (0,)
    names = structure.next()[1].decode("latin-1")
    if length <= 0 or len(names) % length:
        raise ValueError("the names of the fields are damaged")
    for start in range(0, len(names), length):
        data = structure.take(MATRIX)
        if names[start : start + length].partition("\0")[0] == field:
            matrix = _Elements(data, structure.order)
            matrix_class, shape, _ = _head(matrix)
            values = np.frombuffer(matrix.take(UINT8), np.uint8)
            if matrix_class != UINT8_CLASS or len(shape) != 2 or math.prod(shape) != values.size:
                raise ValueError(f"{field} is no matrix of bytes")
            return values.reshape(shape, order="F")
    raise ValueError(f"it has no field {field}")
