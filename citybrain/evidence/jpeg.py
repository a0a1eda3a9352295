"""A decoded picture as JPEG, no wider than asked for; and what was seen in it, written into the file itself.

What was seen stands in a comment of the JPEG (COM, behind SOI), so that whoever masks the picture later knows where people and
vehicles are: one file, one hash, and nothing beside it that could be lost or belong to another picture.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from citybrain.domain.geometry import Box
from citybrain.evidence.masking import Image
from citybrain.evidence.regions import Seen
from citybrain.ports import Picture, Plane

_SOI, _COM, _SOS = b"\xff\xd8", 0xFE, 0xDA
_MARK = b"citybrain seen 1 "
_LONGEST = 65_533


def encode(picture: Picture, *, width: int, quality: int, mask: Callable[[Image], None] | None = None) -> bytes:
    """JPEG bytes of the picture, scaled down to `width` pixels when it is wider; quality 1..100. `mask` changes its pixels first.

    The planes are scaled before they become colours: a quarter of the work for a large picture.
    """
    scale = min(1.0, width / picture.width)
    # I420 wants even sides; a row or column more or less is not seen.
    out_width, out_height = (max(2, round(side * scale) // 2 * 2) for side in (picture.width, picture.height))
    planes = [_fit(picture.y, out_width, out_height)]
    planes += [_fit(plane, out_width // 2, out_height // 2) for plane in (picture.u, picture.v)]
    i420 = np.concatenate([plane.reshape(-1) for plane in planes]).reshape(out_height * 3 // 2, out_width)
    image: Image = cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420)  # type: ignore[assignment]  # eight bits in, eight bits out
    if mask is not None:
        mask(image)
    done, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:  # pragma: no cover  # a valid array always encodes
        raise ValueError("the picture cannot be encoded as JPEG")
    return jpeg.tobytes()


def telling(image: bytes, seen: Sequence[Seen]) -> bytes:
    """The JPEG with a comment that says what was seen in it. Its pixels are untouched."""
    written = [[each.label, [round(side, 4) for side in each.box.as_list()]] for each in seen]
    comment = _MARK + json.dumps(written, ensure_ascii=True, separators=(",", ":")).encode()
    if len(comment) > _LONGEST:  # some 1,400 boxes: the picture is one of a crowd, and its largest boxes count
        largest = sorted(seen, key=lambda each: -each.box.area)
        return telling(image, largest[: len(largest) // 2])
    return image[:2] + struct.pack(">BBH", 0xFF, _COM, len(comment) + 2) + comment + image[2:]


def told(image: bytes) -> list[Seen] | None:
    """What the JPEG says was seen in it; None when it says nothing, which is not the same as nothing."""
    at = len(_SOI)
    while image[:2] == _SOI and len(image) >= at + 4 and image[at] == 0xFF:
        marker, length = image[at + 1], int.from_bytes(image[at + 2 : at + 4])
        comment = image[at + 4 : at + 2 + length]
        if marker == _COM and comment.startswith(_MARK):
            return _read(comment.removeprefix(_MARK))
        if marker == _SOS or length < 2:
            return None
        at += 2 + length
    return None


def _read(written: bytes) -> list[Seen] | None:
    try:
        return [Seen(str(label), Box(*map(float, box))) for label, box in json.loads(written)]
    except (ValueError, TypeError):
        return None


def _fit(plane: Plane, width: int, height: int) -> Plane:
    if plane.shape == (height, width):
        return np.ascontiguousarray(plane)
    fitted: Plane = cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return fitted
