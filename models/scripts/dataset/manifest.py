"""Knows how a training set lies on disk: pictures, label files, and a table that says where each came from.

OUT/<part>.csv                          split,source,picture: one line a picture, paths below OUT
OUT/<part>/<source>-<name>.jpg          the picture, at most 800 pixels wide
OUT/<part>/<source>-<name>.txt          its boxes
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import boxes
import cv2
import numpy as np
from city_head import CLASSES

Split = Literal["train", "test"]
WIDEST = 800


class Entry(NamedTuple):
    """One picture of a training set; `picture` is absolute once read."""

    split: str
    source: str
    picture: Path

    @property
    def labels(self) -> Path:
        """Its label file."""
        return self.picture.with_suffix(".txt")


class Part:
    """One table under construction, with its folder of pictures."""

    def __init__(self, out: Path, name: str) -> None:
        self._out, self._name = out, name
        (out / name).mkdir(parents=True, exist_ok=True)
        self._rows: list[tuple[str, str, str]] = []
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def add(
        self, picture: np.ndarray[Any, Any], labels: Iterable[boxes.Box], *, split: Split, source: str, name: str
    ) -> None:
        """Keep one BGR picture with its boxes."""
        labels = list(labels)
        height, width = picture.shape[:2]
        if width > WIDEST:
            picture = cv2.resize(picture, (WIDEST, round(height * WIDEST / width)), interpolation=cv2.INTER_AREA)
        path = self._out / self._name / f"{source}-{name}.jpg"
        cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 92])
        boxes.write(path.with_suffix(".txt"), labels)
        self._rows.append((split, source, str(path.relative_to(self._out))))
        self._counts[split, source, "pictures"] += 1
        for box in labels:
            self._counts[split, source, CLASSES[box.label]] += 1

    def close(self) -> None:
        """Write the table and print what it holds."""
        with (self._out / f"{self._name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("split", "source", "picture"))
            writer.writerows(self._rows)
        for (split, source, what), count in sorted(self._counts.items()):
            print(f"{split:6} {source:24} {what:12} {count}")


def read(tables: Iterable[Path]) -> list[Entry]:
    """Every picture of the tables, in their order."""
    entries = []
    for table in tables:
        with table.open(newline="", encoding="utf-8") as file:
            entries += [
                Entry(row["split"], row["source"], table.parent / row["picture"]) for row in csv.DictReader(file)
            ]
    return entries
