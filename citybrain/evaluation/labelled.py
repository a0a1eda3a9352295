"""Reads pictures that people (or a renderer) labelled: our evaluation sets, and the tables that training reads.

A set is a folder:

    sources.yaml      by key: where the pictures are from; only the keys and titles are read here
    pictures.csv      picture,source,labelled: a path below pictures/, a key, the labels of which every instance has a box
    boxes.csv         picture,label,left,top,right,bottom: 0..1 of the picture; the label `ignore` marks where nothing is judged
    questions.yaml    groups, and what must hold; may be left out

A table is what models/scripts/dataset/manifest.py writes: split,source,picture, and beside each picture a .txt with a box
a line, `class cx cy width height`, the class an index into the model's. All classes are labelled in it, unless a column
`labelled` says which. A picture without a .txt has nothing in it.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from citybrain.configuration import did_you_mean, read
from citybrain.domain.geometry import Box
from citybrain.errors import Fault
from citybrain.evaluation.matching import Thing, Truth
from ingest.footage import IMAGE_CODECS

IGNORE = "ignore"
SOURCES, PICTURES, BOXES, FOLDER = "sources.yaml", "pictures.csv", "boxes.csv", "pictures"
_TOLERANCE = 0.002
"""Sides are written rounded: by so much of the picture they may lie beyond it."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One picture and what is in it; `name` is how its table calls it."""

    name: str
    path: Path
    source: str
    truth: Truth


def read_set(folder: Path, *, faults: list[Fault]) -> list[Labelled]:
    """The pictures of a set, in its order; what is wrong is added to the faults."""
    if not folder.is_dir():
        faults.append(Fault(str(folder), "", "there is no such folder.", f"A set holds {PICTURES} and {BOXES}."))
        return []
    before = len(faults)
    sources = read(folder / SOURCES, faults=faults)
    known = _keys(sources)
    listed: dict[str, tuple[str, frozenset[str]]] = {}
    pictures = _rows(folder / PICTURES, ("picture", "source", "labelled"), faults)
    for where, row in pictures:
        name, labels = row["picture"], frozenset(row["labelled"].split())
        if name in listed:
            faults.append(Fault(*where, f"{name} is listed twice.", "Remove one of the lines."))
        if known is not None and row["source"] not in known:
            faults.append(
                Fault(*where, f"{row['source']!r} is no source of {SOURCES}.", did_you_mean(row["source"], known))
            )
        if not labels:
            faults.append(Fault(*where, f"{name} is labelled for nothing.", "Name its classes in `labelled`."))
        _check_picture(where, folder / FOLDER / name, faults)
        listed[name] = row["source"], labels
    things: dict[str, list[Thing]] = defaultdict(list)
    ignored: dict[str, list[Box]] = defaultdict(list)
    for where, row in _rows(folder / BOXES, ("picture", "label", "left", "top", "right", "bottom"), faults):
        name, label = row["picture"], row["label"]
        if name not in listed:
            faults.append(Fault(*where, f"{name} is not in {PICTURES}.", did_you_mean(name, listed)))
            continue
        labels = listed[name][1]
        if label != IGNORE and label not in labels:
            remedy = did_you_mean(label, [*labels, IGNORE])
            faults.append(Fault(*where, f"{label!r} is not among what is labelled in {name}.", remedy))
        box = _box([row[side] for side in ("left", "top", "right", "bottom")], where, faults)
        if box is not None and label == IGNORE:
            ignored[name].append(box)
        elif box is not None:
            things[name].append(Thing(label, box))
    if not listed and len(faults) == before:
        faults.append(Fault(str(folder / PICTURES), "", "lists no picture.", "Add a line for each."))
    return [
        Labelled(name, folder / FOLDER / name, source, Truth(labels, tuple(things[name]), tuple(ignored[name])))
        for name, (source, labels) in listed.items()
    ]


def read_table(table: Path, classes: Sequence[str], *, split: str, faults: list[Fault]) -> list[Labelled]:
    """The pictures of one split of a training table; what is wrong is added to the faults."""
    found = []
    for where, row in _rows(table, ("split", "source", "picture"), faults, optional=("labelled",)):
        if row["split"] != split:
            continue
        path = table.parent / row["picture"]
        if not _check_picture(where, path, faults):
            continue
        labels = frozenset((row.get("labelled") or "").split()) or frozenset(classes)
        things = tuple(_yolo(path.with_suffix(".txt"), classes, faults))
        found.append(Labelled(row["picture"], path, row["source"], Truth(labels, things)))
    return found


def _yolo(path: Path, classes: Sequence[str], faults: list[Fault]) -> Iterator[Thing]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        faults.append(Fault(str(path), "", f"cannot be read ({error}).", "It must be text, a box a line."))
        return
    for number, line in enumerate(lines, start=1):
        where = (str(path), f"line {number}")
        words = line.split()
        if not words:
            continue
        if len(words) < 5 or not words[0].isdigit():
            faults.append(Fault(*where, f"expected `class cx cy width height`, got {line!r}.", "Correct the line."))
        elif int(words[0]) >= len(classes):
            known = ", ".join(f"{index} {name}" for index, name in enumerate(classes))
            faults.append(Fault(*where, f"there is no class {words[0]}.", f"Known: {known}."))
        else:
            try:
                cx, cy, width, height = (float(word) for word in words[1:5])
            except ValueError:
                faults.append(
                    Fault(*where, f"expected four numbers after the class, got {line!r}.", "Correct the line.")
                )
                continue
            sides = [cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2]
            box = _box([str(side) for side in sides], where, faults)
            if box is not None:
                yield Thing(classes[int(words[0])], box)


def _rows(
    path: Path, columns: Sequence[str], faults: list[Fault], *, optional: Sequence[str] = ()
) -> list[tuple[tuple[str, str], dict[str, str]]]:
    """Each line with where it stands."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = tuple(reader.fieldnames or ())
            if not set(columns) <= set(header) <= {*columns, *optional}:
                faults.append(Fault(str(path), "line 1", f"expected {','.join(columns)}, got {','.join(header)}."))
                return []
            rows = []
            for row in reader:
                where = (str(path), f"line {reader.line_num}")
                if None in row or None in row.values():
                    faults.append(Fault(*where, f"expected {len(header)} fields, as in the first line."))
                else:
                    rows.append((where, {key: value.strip() for key, value in row.items()}))
            return rows
    except FileNotFoundError:
        faults.append(Fault(str(path), "", "there is no such file.", f"It must begin with {','.join(columns)}."))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        faults.append(Fault(str(path), "", f"cannot be read ({error}).", "It must be a table in UTF-8."))
    return []


def _check_picture(where: tuple[str, str], path: Path, faults: list[Fault]) -> bool:
    if path.suffix.lower() not in IMAGE_CODECS:
        faults.append(Fault(*where, f"{path.name} is no picture.", f"Known: {', '.join(IMAGE_CODECS)}."))
    elif not path.is_file():
        faults.append(Fault(*where, f"there is no picture {path}.", "Fetch it, or remove the line."))
    else:
        return True
    return False


def _box(sides: Sequence[str], where: tuple[str, str], faults: list[Fault]) -> Box | None:
    shown = ", ".join(sides)
    try:
        left, top, right, bottom = (float(side) for side in sides)
    except ValueError:
        faults.append(Fault(*where, f"expected four numbers left, top, right, bottom, got {shown}."))
        return None
    if not all(math.isfinite(side) and -_TOLERANCE <= side <= 1 + _TOLERANCE for side in (left, top, right, bottom)):
        faults.append(Fault(*where, f"the box {shown} lies outside the picture.", "Sides are 0..1 of it."))
        return None
    left, top, right, bottom = (min(1.0, max(0.0, side)) for side in (left, top, right, bottom))
    if right <= left or bottom <= top:
        faults.append(Fault(*where, f"the box {shown} holds nothing.", "It must be left, top, right, bottom."))
        return None
    return Box(left, top, right, bottom)


def _keys(sources: Any) -> Mapping[str, Any] | None:
    """By key, written at the top of the file or below `sources`."""
    if not isinstance(sources, Mapping):
        return None
    inner = sources.get("sources")
    return inner if isinstance(inner, Mapping) else sources
