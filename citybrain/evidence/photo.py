"""A photograph as it comes from a phone, made a JPEG of our own: its pixels and nothing else.

What the file says beside its pixels (where, when, with which phone, a thumbnail of what was cropped away) is gone, except which
way is up, by which it is turned. A file that claims more pixels than a phone takes is refused before it is decoded.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import cv2
import numpy as np

from citybrain.errors import Unreadable

MOST_PIXELS = 25_000_000
LONGEST_SIDE = 1600
QUALITY = 85

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # SOF0..SOF15 without DHT, JPG and DAC
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # TEM and RST0..RST7 have no length


@dataclass(frozen=True, slots=True)
class Photo:
    """A JPEG that we encoded ourselves."""

    jpeg: bytes
    width: int
    height: int


def photo(content: bytes) -> Photo:
    """The photograph, at most LONGEST_SIDE pixels long. Raises Unreadable with what is wrong with it."""
    width, height = _size(content)
    if width * height > MOST_PIXELS:
        raise Unreadable(f"a picture of at most {MOST_PIXELS // 1_000_000} megapixels, got {width} by {height}")
    if not width or not height:
        raise Unreadable("a picture with pixels, got none")
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise Unreadable("a picture that can be decoded, got a damaged one")
    scale = min(1.0, LONGEST_SIDE / max(picture.shape[:2]))
    if scale < 1:
        size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    done, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:  # pragma: no cover  # a valid array always encodes
        raise Unreadable("a picture that can be encoded as JPEG")
    return Photo(jpeg.tobytes(), picture.shape[1], picture.shape[0])


def _size(content: bytes) -> tuple[int, int]:
    """Width and height as the file's head says them."""
    if content.startswith(_PNG) and content[12:16] == b"IHDR" and len(content) >= 24:
        width, height = struct.unpack(">II", content[16:24])
        return width, height
    if content.startswith(_JPEG):
        return _size_of_jpeg(content)
    raise Unreadable("a JPEG or PNG picture, got something else")


def _size_of_jpeg(content: bytes) -> tuple[int, int]:
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        kind = content[at + 1]
        if kind == 0xFF:  # fill
            at += 1
        elif kind in _ALONE:
            at += 2
        elif kind in _FRAMES and at + 9 <= len(content):
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        else:
            at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    raise Unreadable("a JPEG that says its size, got a damaged one")
