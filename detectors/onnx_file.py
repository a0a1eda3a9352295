"""What an ONNX file says of itself, read without any runtime: ultralytics writes the names of the classes into it.

ModelProto, field 14: repeated StringStringEntryProto {1: key, 2: value}. Everything else is stepped over, weights included.
"""

from __future__ import annotations

import ast
import mmap
from collections.abc import Iterator
from pathlib import Path

_METADATA, _KEY, _VALUE = 14, 1, 2
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


def metadata_of(path: Path) -> dict[str, str]:
    """Keys and values of the file's metadata; nothing for a file that is none of ONNX."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found = {}
            for begin, end in _fields(content, 0, len(content), _METADATA):
                texts = [
                    "".join(content[left:right].decode() for left, right in _fields(content, begin, end, number))
                    for number in (_KEY, _VALUE)
                ]
                found[texts[0]] = texts[1]
            return found
    except (OSError, ValueError, IndexError):  # missing, empty, cut off, or something else altogether
        return {}


def classes_of(path: Path) -> tuple[str, ...] | None:
    """The names of the classes by index; None when the file names none."""
    try:
        names = ast.literal_eval(metadata_of(path).get("names", ""))
        return tuple(str(names[index]) for index in range(len(names))) or None
    except (ValueError, SyntaxError, KeyError, TypeError):
        return None


def _fields(content: mmap.mmap, at: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Where each field of that number with a length begins and ends."""
    while at < end:
        tag, at = _varint(content, at)
        kind = tag & 7
        if kind == _VARINT:
            _, at = _varint(content, at)
        elif kind == _LENGTH:
            length, at = _varint(content, at)
            if at + length > end:
                raise ValueError("a field goes beyond the end")
            if tag >> 3 == wanted:
                yield at, at + length
            at += length
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            at += 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"expected a field of protobuf, got wire type {kind}")


def _varint(content: mmap.mmap, at: int) -> tuple[int, int]:
    """The number at the offset in base 128, and what follows it."""
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
