"""Photographs from phones: what is kept is their pixels, and a file that is none is refused before it costs anything."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citybrain.errors import Unreadable
from citybrain.evidence.photo import LONGEST_SIDE, photo


def picture(width: int, height: int, ending: str = ".jpg") -> bytes:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2] = (0, 0, 255)
    return cv2.imencode(ending, pixels)[1].tobytes()


def with_exif(jpeg: bytes, orientation: int) -> bytes:
    entries = struct.pack("<HHII", 0x0112, 3, 1, orientation)
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + entries + b"\0\0\0\0" + b"GPS 25.0142,102.7411 Phone 13"
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def decoded(jpeg: bytes):
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_a_photograph_is_kept_as_a_jpeg_of_bounded_size(ending):
    made = photo(picture(3200, 1200, ending))
    assert (made.width, made.height) == (LONGEST_SIDE, 600)
    assert decoded(made.jpeg).shape == (600, 1600, 3)
    small = photo(picture(40, 30, ending))
    assert (small.width, small.height) == (40, 30)


def test_where_and_with_what_it_was_taken_is_gone_and_it_stands_upright():
    made = photo(with_exif(picture(64, 32), orientation=6))
    assert b"GPS" not in made.jpeg
    assert b"Exif" not in made.jpeg
    pixels = decoded(made.jpeg)
    assert pixels.shape[:2] == (64, 32)  # turned, so that it needs no word of how to hold it
    assert pixels[5, 16, 2] > 200
    assert pixels[60, 16, 2] < 60


def test_what_hides_behind_the_picture_is_not_kept():
    assert b"<script>" not in photo(picture(64, 32) + b"<script>alert(1)</script>").jpeg


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


def jpeg_that_claims(width: int, height: int) -> bytes:
    honest = picture(64, 32)
    at = honest.index(b"\xff\xc0")
    return honest[: at + 5] + struct.pack(">HH", height, width) + honest[at + 9 :]


@pytest.mark.parametrize("claim", [png_that_claims, jpeg_that_claims])
def test_a_bomb_is_refused_before_it_is_decoded(claim):
    with pytest.raises(Unreadable, match="25 megapixels, got 60000 by 60000"):
        photo(claim(60_000, 60_000))
    with pytest.raises(Unreadable):
        photo(claim(0, 10))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"<svg/>",
        picture(64, 32)[:100],
        png_that_claims(8, 8)[:40],
    ],
)
def test_what_is_no_picture_is_refused(content):
    with pytest.raises(Unreadable):
        photo(content)


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xc0", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"]),
)
def test_no_bytes_at_all_do_more_than_be_refused(content, head):
    try:
        made = photo(head + content)
    except Unreadable:
        return
    assert decoded(made.jpeg) is not None
