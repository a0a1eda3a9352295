"""Reads what a YOLO head answers: raw scores per anchor, to be thinned out, or finished boxes.

[4 + classes, anchors]   cx, cy, w, h in input pixels, then a score for each class; overlapping answers remain
[answers, 6]             x1, y1, x2, y2 in input pixels, score, class; nothing overlaps (end-to-end heads)
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import numpy as np
import numpy.typing as npt

from citybrain.domain.detection import Detection
from citybrain.domain.geometry import Box

MOST = 300
"""Boxes told of one picture, ultralytics' own limit."""

_CANDIDATES = 1000  # what enters the pairwise comparison: a crowded street has some hundred anchors above .25

_Floats = npt.NDArray[np.float32]
_Indices = npt.NDArray[np.intp]


class Head(Enum):
    RAW = "raw"
    FINISHED = "finished"


def head_of(shape: Sequence[int], *, classes: int) -> Head:
    """Which of the two an output of this shape (without the batch) is. Raises ValueError for neither."""
    if len(shape) == 2 and shape[0] == 4 + classes and shape[1] > shape[0]:
        return Head.RAW
    if len(shape) == 2 and shape[1] == 6:
        return Head.FINISHED
    raise ValueError(f"expected [{4 + classes}, anchors] or [answers, 6] for {classes} classes, got {list(shape)}")


def detections(
    output: _Floats, *, head: Head, classes: Sequence[str], floor: float, width: int, height: int, max_overlap: float
) -> list[Detection]:
    """One picture's output as detections, surest first, boxes 0..1 of the input and clipped to it."""
    if head is Head.RAW:
        boxes, scores, kinds = _raw(output, floor=floor, max_overlap=max_overlap)
    else:
        boxes, scores, kinds = _finished(output, floor=floor, classes=len(classes))
    boxes = np.clip(boxes / np.array([width, height, width, height], np.float32), 0.0, 1.0)
    return [
        Detection(classes[kind], min(1.0, float(score)), Box(*(float(edge) for edge in box)))
        for box, score, kind in zip(boxes, scores, kinds.tolist(), strict=True)
        if box[2] > box[0] and box[3] > box[1]
    ]


def suppress(boxes: _Floats, scores: _Floats, kinds: npt.NDArray[np.integer], *, max_overlap: float) -> _Indices:
    """Indices of the boxes that stay, best first: of two of one kind overlapping by more than `max_overlap`, the surer.

    Greedy non-maximum suppression; all overlaps are computed at once, one kind never touches another.
    """
    order = np.argsort(-scores, kind="stable")
    (x1, y1, x2, y2), sorted_kinds = boxes[order].T, kinds[order]
    width = np.minimum(x2[:, None], x2) - np.maximum(x1[:, None], x1)
    height = np.minimum(y2[:, None], y2) - np.maximum(y1[:, None], y1)
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    areas = np.maximum(x2 - x1, 0) * np.maximum(y2 - y1, 0)
    union = areas[:, None] + areas - shared
    rivals = (shared > max_overlap * union) & (sorted_kinds[:, None] == sorted_kinds)
    alive = np.ones(len(order), bool)
    for index in np.flatnonzero(rivals.sum(axis=1) > 1):  # itself, where it has an area, and another
        if alive[index]:
            alive[index + 1 :] &= ~rivals[index, index + 1 :]
    return order[alive]


def _raw(output: _Floats, *, floor: float, max_overlap: float) -> tuple[_Floats, _Floats, npt.NDArray[np.integer]]:
    scores_by_class = output[4:]
    best = scores_by_class.max(axis=0)
    # A not-a-number compares as false: an anchor that went wrong is no detection.
    above = np.flatnonzero(best >= floor)
    if len(above) > _CANDIDATES:
        above = above[np.argsort(-best[above], kind="stable")[:_CANDIDATES]]
    scores, kinds = best[above], scores_by_class[:, above].argmax(axis=0)
    centre, half = output[:2, above].T, output[2:4, above].T * np.float32(0.5)
    boxes: _Floats = np.concatenate((centre - half, centre + half), axis=1, dtype=np.float32)
    finite = np.isfinite(boxes).all(axis=1)
    boxes, scores, kinds = boxes[finite], scores[finite], kinds[finite]
    kept = suppress(boxes, scores, kinds, max_overlap=max_overlap)[:MOST]
    return boxes[kept], scores[kept], kinds[kept]


def _finished(output: _Floats, *, floor: float, classes: int) -> tuple[_Floats, _Floats, npt.NDArray[np.integer]]:
    good = (output[:, 4] >= floor) & np.isfinite(output).all(axis=1) & (output[:, 5] >= 0) & (output[:, 5] < classes)
    rows = output[good]
    rows = rows[np.argsort(-rows[:, 4], kind="stable")][:MOST]
    return rows[:, :4], rows[:, 4], rows[:, 5].astype(np.intp)
