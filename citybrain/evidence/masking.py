"""Faces and plates made unrecognisable: what is left of them, and what is searched where no detector has looked.

OpenCV's cascades (faces from the front and the side, plates) are slow and find little of what is small. They are for photographs
that people took on the spot; in a camera's picture the detector has looked.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from citybrain.domain.geometry import Box
from citybrain.errors import Unreadable
from citybrain.evidence.regions import HEAD_CELLS, PLATE_CELLS, Masking, Region, Seen, within

Image = npt.NDArray[np.uint8]
"""Height × width × 3, blue green red, as OpenCV has it."""

COARSE_WIDTH: Final = 160
"""What nobody has looked for people in is shown so wide: a face of a tenth of the picture's width is 16 pixels then."""
QUALITY: Final = 85

_SMALLEST_CELL = 6  # pixels
_SEARCHED_WIDTH = 960
_FACE, _PLATE = (24, 24), (36, 12)  # pixels of that


def masked(jpeg: bytes, masking: Masking, seen: Sequence[Seen] | None) -> bytes:
    """The picture with its faces and plates masked. `seen` is None where no detector has looked: then it is searched.

    Raises Unreadable for what is no picture.
    """
    image = _decoded(jpeg)
    pixelate(image, searched(image) if seen is None else masking.regions(seen))
    return _encoded(image)


def pixelate(image: Image, regions: Iterable[Region]) -> None:
    """Leave so few cells of each region that nobody is known again in it."""
    height, width = image.shape[:2]
    for region in regions:
        left, right = int(region.box.x1 * width), int(np.ceil(region.box.x2 * width))
        top, bottom = int(region.box.y1 * height), int(np.ceil(region.box.y2 * height))
        part = image[top:bottom, left:right]
        if not part.size:
            continue
        cell = max(_SMALLEST_CELL, -(-part.shape[1] // region.cells))
        across, down = max(1, part.shape[1] // cell), max(1, part.shape[0] // cell)
        small = cv2.resize(part, (across, down), interpolation=cv2.INTER_AREA)
        part[:] = cv2.resize(small, (part.shape[1], part.shape[0]), interpolation=cv2.INTER_NEAREST)


def coarsen(image: Image) -> None:
    """Leave COARSE_WIDTH pixels of the whole width: what was happening shows, who it was does not."""
    height, width = image.shape[:2]
    if width > COARSE_WIDTH:
        small = cv2.resize(
            image, (COARSE_WIDTH, max(1, round(height * COARSE_WIDTH / width))), interpolation=cv2.INTER_AREA
        )
        image[:] = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)


def searched(image: Image) -> list[Region]:
    """Faces and plates that OpenCV's cascades find."""
    scale = min(1.0, _SEARCHED_WIDTH / image.shape[1])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    grey = np.asarray(cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)), dtype=np.uint8)
    height, width = grey.shape
    found: list[Region] = []
    for name, mirrored, least, cells in (
        ("haarcascade_frontalface_default.xml", False, _FACE, HEAD_CELLS),
        ("haarcascade_profileface.xml", False, _FACE, HEAD_CELLS),
        ("haarcascade_profileface.xml", True, _FACE, HEAD_CELLS),
        ("haarcascade_russian_plate_number.xml", False, _PLATE, PLATE_CELLS),
    ):
        for x, y, w, h in _CASCADES.find(name, cv2.flip(grey, 1) if mirrored else grey, least):
            left = width - x - w if mirrored else x
            found.append(Region(_around(left / width, y / height, (left + w) / width, (y + h) / height), cells))
    return found


class _Cascades(threading.local):
    """Loaded when first needed. A classifier keeps state while it works: each thread has its own."""

    def __init__(self) -> None:
        self._loaded: dict[str, cv2.CascadeClassifier] = {}

    def find(self, name: str, grey: cv2.typing.MatLike, least: tuple[int, int]) -> list[list[int]]:
        if name not in self._loaded:
            self._loaded[name] = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / name))
        found = self._loaded[name].detectMultiScale(grey, scaleFactor=1.15, minNeighbors=4, minSize=least)
        return [[int(each) for each in box] for box in found]


_CASCADES = _Cascades()


def _around(x1: float, y1: float, x2: float, y2: float) -> Box:
    """A cascade's box is the middle of a face, or of a plate: a quarter more on each side."""
    beside, above = (x2 - x1) / 4, (y2 - y1) / 4
    return within(x1 - beside, y1 - above, x2 + beside, y2 + above)


def _decoded(jpeg: bytes) -> Image:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    if image is None:
        raise Unreadable("expected a picture that can be decoded, got something else")
    return np.ascontiguousarray(image, dtype=np.uint8)


def _encoded(image: Image) -> bytes:
    done, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:  # pragma: no cover  # a valid array always encodes
        raise Unreadable("the picture cannot be encoded as JPEG")
    return jpeg.tobytes()
