"""Asks a COCO model for the people and vehicles in pictures whose labels tell of other things only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import boxes
import numpy as np
from boxes import Box
from city_head import CLASSES, TRAFFIC

VEHICLES = tuple(CLASSES.index(name) for name in ("car", "bus", "truck"))
SAME_THING = 0.55
"""Overlap (IoU) above which two answers of one class are the same thing; `VEHICLES` count as one class."""


class Answer(NamedTuple):
    """One thing the teacher named, and how sure it was."""

    confidence: float
    box: Box


def merged(answers: Iterable[Answer]) -> list[Box]:
    """Each thing once, as the surest answer has it."""
    kept: list[Box] = []
    for _, box in sorted(answers, key=lambda answer: -answer.confidence):
        if all(_kind(box) != _kind(other) or boxes.iou(box, other) <= SAME_THING for other in kept):
            kept.append(box)
    return kept


def _kind(box: Box) -> int:
    return VEHICLES[0] if box.label in VEHICLES else box.label


class Teacher:
    """A YOLO model trained on COCO, asked for `TRAFFIC` alone, at several sizes: far vehicles show in the larger one."""

    def __init__(self, weights: Path, *, confidence: float = 0.4, sizes: Sequence[int] = (640, 960)) -> None:
        from ultralytics import YOLO

        self._model = YOLO(str(weights))
        names = self._model.names
        self._rows = {row: CLASSES.index(name) for row, name in names.items() if name in TRAFFIC}
        self._confidence, self._sizes = confidence, tuple(sizes)

    def label(self, picture: np.ndarray[Any, Any]) -> list[Box]:
        """The people and vehicles of one BGR picture."""
        return merged(answer for size in self._sizes for answer in self._answers(picture, size))

    def _answers(self, picture: np.ndarray[Any, Any], size: int) -> Iterator[Answer]:
        found = self._model.predict(
            picture,
            imgsz=size,
            conf=self._confidence,
            iou=0.6,
            classes=list(self._rows),
            agnostic_nms=True,  # a van that is both car and truck is one thing
            verbose=False,
        )[0].boxes
        for row, confidence, sides in zip(found.cls.tolist(), found.conf.tolist(), found.xyxyn.tolist(), strict=True):
            yield Answer(float(confidence), Box(self._rows[int(row)], *map(float, sides)))
