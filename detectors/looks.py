"""What a detected thing looked like: a 16×16 luma thumbnail, small enough to travel with every look."""

from __future__ import annotations

import cv2
import numpy as np

from citybrain.domain.detection import LOOK_SIDE
from citybrain.domain.geometry import Box
from citybrain.ports import Plane

_NEAR = 4 * LOOK_SIDE


def look(luma: Plane, box: Box) -> bytes:
    """The box's part of the luma plane as LOOK_SIDE × LOOK_SIDE bytes, row by row; at least one pixel is looked at."""
    height, width = luma.shape
    left, top = min(width - 1, int(box.x1 * width)), min(height - 1, int(box.y1 * height))
    right, bottom = max(left + 1, round(box.x2 * width)), max(top + 1, round(box.y2 * height))
    # INTER_AREA averages all of it: a single bright pixel or a shift by one must not make it another thing. By whole
    # factors it is quick, so a large box is first brought near the size (less the few pixels left over), then to it.
    by_x, by_y = max(1, (right - left) // _NEAR), max(1, (bottom - top) // _NEAR)
    width, height = (right - left) // by_x, (bottom - top) // by_y
    seen: Plane = luma[top : top + height * by_y, left : left + width * by_x]
    for size in ((width, height), (LOOK_SIDE, LOOK_SIDE)):
        seen = np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_AREA), np.uint8)
    return seen.tobytes()
