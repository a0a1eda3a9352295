"""Asks a COCO model for the people and vehicles in pictures whose labels tell of other things only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from boxes import Box
from city_head import CLASSES, TRAFFIC
from shipped import Found, suppress

SAME_THING = 0.55
"""Overlap (IoU) above which two answers are the same thing, as `suppress` judges it."""


def merged(answers: Iterable[Found]) -> list[Box]:
    """Each thing once, as the surest answer has it."""
    return [Box(one.label, *one[2:]) for one in suppress(list(answers), iou=SAME_THING)]


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

    def _answers(self, picture: np.ndarray[Any, Any], size: int) -> Iterator[Found]:
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
            yield Found(self._rows[int(row)], float(confidence), *map(float, sides))
