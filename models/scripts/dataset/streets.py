"""Streets in the making: empty plates with their camera, cut-outs to set down in them, and the scene with its boxes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[2])]

import boxes  # noqa: E402 - scripts are run as files; their folder is put on the path first
from city_head import CLASSES  # noqa: E402

Picture = np.ndarray[Any, Any]
Random = np.random.Generator
SENSOR_MM = 36.0
DARK = ("dusk", "night")
SCENERY = "scenery"
"""The label of cut-outs that are none of the model's classes: bins, sacks. They are drawn and stay unnamed."""
HELD_OUT_PLATES = (5, 11, 16, 17, 20, 23)
"""Plates of the test, by number: two of them (16, 20) have a flooded twin."""
FIRE, SMOKE, WATER = CLASSES.index("fire"), CLASSES.index("smoke"), CLASSES.index("water")


@dataclass(frozen=True)
class Plate:
    """An empty street: its picture, perhaps its flooded twin, and the camera that saw both."""

    name: str
    picture: Picture
    matrix: Picture
    focal: float
    light: str
    half: float
    pavement: float
    flooded: Picture | None = None
    water: Picture | None = None
    rise: Picture | None = None

    def project(self, point: tuple[float, float, float]) -> tuple[float, float, float]:
        """Metres in the street to (x px, y px, distance in metres along the view)."""
        x, y, depth = self.matrix @ np.array([*point, 1.0])
        return float(x / depth), float(y / depth), float(depth)


@dataclass(frozen=True)
class CutOut:
    """A thing cut out of its render with its shadow, and where its body and foot are in that patch."""

    name: str
    """A class of the model, or `SCENERY`."""
    picture: Picture
    body: tuple[float, float, float, float]
    foot: tuple[float, float]
    magnification: float
    """Pixels a metre."""
    at: tuple[float, float, float]
    dark: bool


@dataclass
class Scene:
    """A picture in the making and the boxes in it, pixels, the nearer ones later."""

    picture: Picture
    things: list[tuple[int, tuple[float, float, float, float]]] = field(default_factory=list)

    def note_change(self, label: int, before: Picture, *, least: int = 18) -> None:
        """Label what has visibly changed since `before`: dark smoke before a dark wall is there, but not to be seen."""
        changed = cv2.absdiff(self.picture, before).max(axis=2)
        rows, columns = np.nonzero(cv2.blur(changed, (5, 5)) >= least)
        if rows.size < 60:
            return
        (top, bottom), (left, right) = (np.percentile(line, (1, 99)) for line in (rows, columns))
        self.things.append((label, (float(left), float(top), float(right) + 1, float(bottom) + 1)))

    def labels(self) -> list[boxes.Box]:
        """The boxes, 0..1, without those that nearer things or the picture's edge hide for the greater part."""
        height, width = self.picture.shape[:2]
        found = []
        for index, (label, (x1, y1, x2, y2)) in enumerate(self.things):
            seen = np.zeros((height, width), bool)
            seen[max(0, round(y1)) : round(max(0, y2)), max(0, round(x1)) : round(max(0, x2))] = True
            for other, (a1, b1, a2, b2) in self.things[index + 1 :]:
                if label < FIRE and other < FIRE:  # smoke and water hide nothing that has a box
                    seen[max(0, round(b1)) : round(max(0, b2)), max(0, round(a1)) : round(max(0, a2))] = False
            if seen.sum() < 0.4 * (x2 - x1) * (y2 - y1) or min(x2 - x1, y2 - y1) < 5:
                continue
            sides = (max(0.0, x1) / width, max(0.0, y1) / height, min(width, x2) / width, min(height, y2) / height)
            found.append(boxes.Box(label, *sides))
        return found


def held_out_plate(name: str) -> bool:
    """Whether a plate, and all that was rendered on it, belongs to the test."""
    return int(name.rsplit("_", 1)[1]) in HELD_OUT_PLATES


def load_plates(folder: Path, skipped: set[str]) -> dict[str, Plate]:
    """Every plate of an art folder by name."""
    plates = {}
    for note in sorted(folder.glob("plate_*.json")):
        if note.stem in skipped:
            continue
        record = json.loads(note.read_text(encoding="utf-8"))
        layers = {
            kind: cv2.imread(str(note.with_name(f"{note.stem}_{kind}.png")), how)
            for kind, how in (("flooded", cv2.IMREAD_COLOR), ("water", 0), ("rise", 0))
            if record["flooded"]
        }
        picture = cv2.imread(str(note.with_suffix(".png")), cv2.IMREAD_COLOR)
        assert picture is not None, note
        plates[note.stem] = Plate(
            name=note.stem,
            picture=picture,
            matrix=np.array(record["matrix"]),
            focal=record["camera"]["lens"] / SENSOR_MM * picture.shape[1],
            light=record["light"],
            half=record["road_half_m"],
            pavement=record["pavement_m"],
            **layers,
        )
    return plates


def load_cut_outs(folder: Path, focal: dict[str, float]) -> dict[str, list[CutOut]]:
    """The cut-outs by the plate that they were rendered on; `focal` gives that plate's focal length in pixels."""
    found: dict[str, list[CutOut]] = {}
    for note in sorted(folder.glob("*.json")):
        record = json.loads(note.read_text(encoding="utf-8"))
        picture = cv2.imread(str(note.with_suffix(".png")), cv2.IMREAD_UNCHANGED)
        if picture is None or record["label"] not in (*CLASSES, SCENERY) or record["plate"] not in focal:
            continue
        cut = CutOut(
            name=record["label"],
            picture=picture,
            body=within(record["box_px"], picture),
            foot=tuple(record["foot_px"]),
            magnification=focal[record["plate"]] / record["depth_m"],
            at=tuple(record["at_m"]),
            dark=record["light"] in DARK,
        )
        found.setdefault(record["plate"], []).append(cut)
    return found


def within(box: Sequence[float], picture: Picture) -> tuple[float, float, float, float]:
    """The part of a box that its patch shows: a render that its plate's edge cut off shows less than the whole thing."""
    height, width = picture.shape[:2]
    left, top, right, bottom = box
    return max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom)
