"""A labelled set on disk as training reads it, gone on with at every run, and where each picture of it is from.

OUT/mined.csv                   split,source,picture,labelled: a line a picture; the source is `mined-<scene>`; labelled are the
                                classes that were denied, which is all that people said of it: evaluation judges those alone
OUT/mined/<source>-<ref>.jpg    the picture, at most 800 pixels wide
OUT/mined/<source>-<ref>.txt    everything in it but what was rejected: class, centre x and y, width, height; 0..1
OUT/mined/provenance.csv        a line for every picture that was looked at, kept or not, and why it is a negative

Provenance is written first and a line at a time: what else lies there follows from it. It names cases, cameras and instants,
and no person: not who rejected, and of the reason only the wall's own words.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Self

import cv2

from citybrain.domain.detection import Detection
from citybrain.domain.geometry import Box
from citybrain.errors import UsageError
from citybrain.mining.likeness import DUPLICATE, distance
from citybrain.mining.reasons import meant
from detectors.stills import Bgr

PART = "mined"
WIDEST = 800
_QUALITY = 92
_SAME_THING = 0.5


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a picture is from, what was rejected in it, and what was done with it; every value as text, as in the file.

    `box` is what was rejected, `fate` is kept, duplicate or taken back, `things` how many labels the picture has, `unjudged` how
    many of those are of the rejected scene's classes: nobody has said yet whether they are right. `likeness` is the picture's
    perceptual hash.
    """

    ref: str
    case: str
    scene: str
    camera: str
    captured_at: str
    filed_at: str
    reason: str
    label: str
    box: str
    labelled_by: str
    confidence: str
    split: str
    fate: str
    picture: str
    things: str
    unjudged: str
    likeness: str

    @property
    def where(self) -> Box:
        return Box(*(float(side) for side in self.box.split()))

    @property
    def source(self) -> str:
        return f"{PART}-{self.scene}"


_COLUMNS = tuple(each.name for each in fields(Provenance))


class LabelledSet:
    """A set that grows. One process at a time."""

    def __init__(self, out: Path, classes: Sequence[str]) -> None:
        """Raises UsageError for a folder that cannot be written, or holds something else."""
        self._out, self._folder, self._classes = out, out / PART, tuple(classes)
        self._table = out / f"{PART}.csv"
        self._provenance = self._folder / "provenance.csv"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._rows = self._read()
            if not self._rows and self._table.exists():
                raise UsageError(f"--out {out}: holds a {self._table.name} that was not mined; name another folder")
            self._write_table()
        except OSError as error:
            raise UsageError(f"--out {out}: cannot be written ({error.strerror}); name a folder of yours") from None
        self._known = {row.ref for row in self._rows}

    @property
    def rows(self) -> Sequence[Provenance]:
        """Every picture that was looked at, in the order in which it was."""
        return self._rows

    def kept(self) -> list[Provenance]:
        """What training reads: a picture that somebody took out by hand stays out."""
        return [row for row in self._rows if row.fate == "kept" and (self._out / row.picture).exists()]

    def knows(self, ref: str) -> bool:
        """Whether this picture was looked at before, kept or not."""
        return ref in self._known

    def has_alike(self, camera: str, likeness: int, box: Box) -> bool:
        """Whether a picture is kept in which the same camera showed as good as the same, and the same part was rejected."""
        return any(
            row.fate == "kept"
            and row.camera == camera
            and row.where.overlap(box) >= _SAME_THING
            and distance(int(row.likeness, 16), likeness) <= DUPLICATE
            for row in self._rows
        )

    def name_of(self, ref: str, scene: str) -> str:
        """The picture's path below OUT."""
        stem = ref.rpartition(".")[0].replace("/", "-")
        return f"{PART}/{PART}-{scene}-{stem}.jpg"

    def add(self, row: Provenance, picture: Bgr | None = None, things: Iterable[Detection] = ()) -> None:
        """Note a picture; one that is kept is written with its labels."""
        if row.fate == "kept" and picture is not None:
            path = self._out / row.picture
            _write_labels(path.with_suffix(".txt"), things, self._classes)
            _write_picture(path, picture)
        with self._provenance.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, _COLUMNS)
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(asdict(row))
        self._rows.append(row)
        self._known.add(row.ref)

    def take_back(self, cases: Iterable[str]) -> int:
        """Remove the pictures of cases that are no longer rejected: they show what they were said to. How many they were."""
        gone, removed = set(cases), 0
        for index, row in enumerate(self._rows):
            if row.case in gone and row.fate == "kept":
                picture = self._out / row.picture
                for path in (picture, picture.with_suffix(".txt")):
                    path.unlink(missing_ok=True)
                self._rows[index] = replace(row, fate="taken back")
                removed += 1
        if removed:
            arriving = self._provenance.with_suffix(".new")
            with arriving.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, _COLUMNS)
                writer.writeheader()
                writer.writerows(asdict(row) for row in self._rows)
            arriving.replace(self._provenance)
        return removed

    def close(self) -> None:
        """Write the table that training reads."""
        self._write_table()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> list[Provenance]:
        if not self._provenance.exists():
            return []
        with self._provenance.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != _COLUMNS:
                raise UsageError(f"{self._provenance}: expected the columns {', '.join(_COLUMNS)}; name another folder")
            # The last line may have been cut off by a crash: its picture is looked at once more.
            return [Provenance(**row) for row in reader if None not in row.values() and None not in row]

    def _write_table(self) -> None:
        arriving = self._table.with_suffix(".new")
        with arriving.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("split", "source", "picture", "labelled"))
            for row in self.kept():
                denied = meant(row.label, self._classes)
                labelled = " ".join(each for each in self._classes if each in denied)
                writer.writerow((row.split, row.source, row.picture, labelled))
        arriving.replace(self._table)


def _write_picture(path: Path, picture: Bgr) -> None:
    height, width = picture.shape[:2]
    if width > WIDEST:
        picture = cv2.resize(picture, (WIDEST, round(height * WIDEST / width)), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    done, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:  # pragma: no cover  # a valid array always encodes
        raise ValueError("the picture cannot be encoded as JPEG")
    path.write_bytes(jpeg.tobytes())


def _write_labels(path: Path, things: Iterable[Detection], classes: Sequence[str]) -> None:
    lines = []
    for each in things:
        box = each.box
        middle = ((box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2, box.x2 - box.x1, box.y2 - box.y1)
        lines.append(f"{classes.index(each.label)} " + " ".join(f"{value:.5f}" for value in middle) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
