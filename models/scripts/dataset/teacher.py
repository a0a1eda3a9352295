"""Asks a COCO model for the people and vehicles in pictures whose labels tell of other things only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from boxes import Box
from city_head import CLASSES, TRAFFIC


class Teacher:
    """A YOLO model trained on COCO, asked for `TRAFFIC` alone."""

    def __init__(self, weights: Path, *, confidence: float = 0.4, size: int = 640) -> None:
        from ultralytics import YOLO

        self._model = YOLO(str(weights))
        names = self._model.names
        self._rows = {row: CLASSES.index(name) for row, name in names.items() if name in TRAFFIC}
        self._confidence, self._size = confidence, size

    def label(self, picture: np.ndarray[Any, Any]) -> list[Box]:
        """The people and vehicles of one BGR picture."""
        return next(self.label_all([picture]))

    def label_all(self, pictures: Sequence[np.ndarray[Any, Any]]) -> Iterator[list[Box]]:
        """The people and vehicles of each BGR picture in turn."""
        for picture in pictures:
            answer = self._model.predict(
                picture,
                imgsz=self._size,
                conf=self._confidence,
                iou=0.6,
                classes=list(self._rows),
                agnostic_nms=True,  # a van that is both car and truck is one thing
                verbose=False,
            )[0].boxes
            yield [
                Box(self._rows[int(row)], *map(float, sides))
                for row, sides in zip(answer.cls.tolist(), answer.xyxyn.tolist(), strict=True)
            ]
