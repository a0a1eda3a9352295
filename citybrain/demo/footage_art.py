"""The rendered art of one demo camera: its empty street, its water, its cut-outs and its camera matrix."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from citybrain.errors import Unreadable

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class CutOut:
    """One render of a thing: premultiplied colour and alpha (0..1), placed by its foot."""

    colour: Floats
    alpha: Floats
    foot: tuple[float, float]
    """Pixels from the picture's corner to where the thing's origin touches the ground."""
    box: tuple[float, float, float, float]
    """The body alone, without its shadow, in pixels from the corner."""
    depth: float
    along: float

    @property
    def whole(self) -> bool:
        """False where the edge of the picture cut the render off."""
        rows, columns = self.alpha.shape[:2]
        x0, y0, x1, y1 = self.box
        return x0 > -2 and y0 > -2 and x1 < columns + 2 and y1 < rows + 2


@dataclass(frozen=True)
class Art:
    plate: Picture
    matrix: Matrix
    flooded: Picture | None
    rise: Floats | None
    """Where water can stand, 0..1: how high it must be to cover the pixel; above 1 where it never does."""
    cut_outs: dict[str, list[CutOut]]

    def project(self, at: tuple[float, float, float]) -> tuple[float, float, float]:
        """Metres to pixels and the distance along the camera's axis."""
        x, y, w = self.matrix @ np.array([*at, 1.0])
        return float(x / w), float(y / w), float(w)


@dataclass(frozen=True)
class Track:
    points: tuple[tuple[float, float], ...]

    def at(self, metres: float) -> tuple[float, float, float]:
        """x, y and heading (degrees counter-clockwise from +y) after so many metres, the ends prolonged."""
        if len(self.points) == 1:
            return (*self.points[0], 0.0)
        left = metres
        for a, b in pairwise(self.points):
            length = math.dist(a, b)
            if left <= length or b is self.points[-1]:
                f = left / length
                return (
                    a[0] + f * (b[0] - a[0]),
                    a[1] + f * (b[1] - a[1]),
                    math.degrees(math.atan2(a[0] - b[0], b[1] - a[1])),
                )
            left -= length
        raise AssertionError("a track has a last stretch")


@lru_cache(maxsize=4)
def read(folder: Path) -> Art:
    """Reads a camera's art folder; raises Unreadable naming the file that is missing or damaged."""
    described = _described(folder / "art.json")
    plate = _picture(folder / "plate.jpg")
    flooded = rise = None
    if described["flooded"]:
        flooded = _picture(folder / "flooded.jpg")
        grey = _picture(folder / "rise.png", cv2.IMREAD_GRAYSCALE).astype(np.float32)
        rise = np.where(grey >= 255, np.float32(9), grey / 254).astype(np.float32)
    cut_outs = {}
    for name, renders in described["cut_outs"].items():
        atlas = _picture(folder / f"{name}.webp", cv2.IMREAD_UNCHANGED)
        if atlas.shape[2] == 3:  # WebP drops an alpha that is opaque throughout
            atlas = np.asarray(cv2.cvtColor(atlas, cv2.COLOR_BGR2BGRA), np.uint8)
        cut_outs[name] = [_cut(atlas, render) for render in renders]
    return Art(plate, np.array(described["matrix"], np.float64), flooded, rise, cut_outs)


def _cut(atlas: Picture, render: dict[str, Any]) -> CutOut:
    x, y, w, h = render["atlas"]
    piece = atlas[y : y + h, x : x + w].astype(np.float32)
    alpha = np.asarray(piece[:, :, 3:] / 255, np.float32)
    colour = np.asarray(piece[:, :, :3] * alpha, np.float32)
    return CutOut(colour, alpha, tuple(render["foot"]), tuple(render["box"]), render["depth"], render["along"])


def _described(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as problem:
        raise Unreadable(f"{path}: expected the description of a camera's art, {problem}") from problem


def _picture(path: Path, how: int = cv2.IMREAD_COLOR) -> Picture:
    picture = cv2.imread(str(path), how)
    if picture is None:
        raise Unreadable(f"{path}: expected a picture, found none that can be read")
    return np.asarray(picture, np.uint8)
