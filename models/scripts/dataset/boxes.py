"""Knows boxes in the form that labels are kept in (class, then 0..1 centre and size) and how they come from masks.

A `Box` is (class index, left, top, right, bottom), all 0..1 of the picture. Files hold one box a line as
`class cx cy w h`, which is what ultralytics reads.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np


class Box(NamedTuple):
    """One labelled thing: class index and its sides, 0..1 of the picture."""

    label: int
    left: float
    top: float
    right: float
    bottom: float


def read(path: Path) -> list[Box]:
    """The boxes of a label file; none where there is no file."""
    if not path.exists():
        return []
    boxes = []
    for line in path.read_text(encoding="utf-8").splitlines():
        label, cx, cy, width, height = (float(part) for part in line.split()[:5])
        boxes.append(Box(int(label), cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2))
    return boxes


def write(path: Path, boxes: Iterable[Box]) -> None:
    """Write a label file, sides cut to the picture; an empty file says that nothing is there."""
    lines = []
    for label, *sides in boxes:
        left, top, right, bottom = (min(1.0, max(0.0, side)) for side in sides)
        lines.append(
            f"{label} {(left + right) / 2:.5f} {(top + bottom) / 2:.5f} {right - left:.5f} {bottom - top:.5f}\n"
        )
    path.write_text("".join(lines), encoding="utf-8")


def iou(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, whatever their classes."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (area(one) + area(other) - shared)


def area(box: Box) -> float:
    """Share of the picture that a box covers."""
    return max(0.0, box.right - box.left) * max(0.0, box.bottom - box.top)


def mask_boxes(mask: np.ndarray[Any, Any], label: int, *, smallest: float = 0.004) -> list[Box]:
    """Boxes around the connected parts of a mask, a slanted part cut into two or three columns.

    The `coverage` rule takes the union of water boxes over a zone, so a box that is mostly dry would overstate the
    water: a part that fills less than 45 % of its box is cut where that makes the union at least a third smaller. A
    detector learns one box around one thing best, so nothing else is cut. Specks below `smallest` (share of the
    picture) and gaps of a few pixels are ignored.
    """
    height, width = mask.shape[:2]
    side = max(3, round(min(height, width) * 0.015)) | 1
    kernel = np.ones((side, side), np.uint8)
    solid = cv2.morphologyEx((mask > 0).astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    solid = cv2.morphologyEx(solid, cv2.MORPH_OPEN, kernel)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    boxes = []
    for part in range(1, count):
        if stats[part, cv2.CC_STAT_AREA] < smallest * height * width:
            continue
        boxes += _columns(parts == part, label)
    return boxes


def _columns(part: np.ndarray[Any, Any], label: int) -> list[Box]:
    whole = _around(part, 0, part.shape[1], label)
    if whole is None:
        return []
    best = [whole]
    filled = float(part.mean()) / max(area(whole), 1e-9)
    if filled >= 0.45 or whole.right - whole.left < 0.25:
        return best
    left, right = round(whole.left * part.shape[1]), round(whole.right * part.shape[1])
    for pieces in (2, 3):
        edges = np.linspace(left, right, pieces + 1).round().astype(int)
        cut = [_around(part, a, b, label) for a, b in itertools.pairwise(edges)]
        found = [box for box in cut if box is not None]
        if sum(map(area, found)) <= 0.65 * sum(map(area, best)):
            best = found
    return best


def _around(part: np.ndarray[Any, Any], start: int, end: int, label: int) -> Box | None:
    height, width = part.shape[:2]
    rows, columns = np.nonzero(part[:, start:end])
    if rows.size == 0:
        return None
    top, bottom = np.percentile(rows, (1, 99)).tolist()  # a thin tongue of water does not make the box taller
    left, right = int(columns.min()) + start, int(columns.max()) + start
    return Box(label, left / width, top / height, (right + 1) / width, (bottom + 1) / height)
