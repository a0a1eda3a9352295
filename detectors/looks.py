"""What a detected thing looked like: a 16×16 luma thumbnail, small enough to travel with every look."""

from __future__ import annotations

import cv2

from citybrain.domain.detection import LOOK_SIDE
from citybrain.domain.geometry import Box
from citybrain.ports import Plane


def look(luma: Plane, box: Box) -> bytes:
    """The box's part of the luma plane as LOOK_SIDE × LOOK_SIDE bytes, row by row; at least one pixel is looked at."""
    height, width = luma.shape
    left, top = min(width - 1, int(box.x1 * width)), min(height - 1, int(box.y1 * height))
    right, bottom = max(left + 1, round(box.x2 * width)), max(top + 1, round(box.y2 * height))
    # INTER_AREA averages all of it: a single bright pixel or a shift by one must not make it another thing.
    small = cv2.resize(luma[top:bottom, left:right], (LOOK_SIDE, LOOK_SIDE), interpolation=cv2.INTER_AREA)
    return small.tobytes()
