"""What quality is judged by: 160 × 90 luma and 80 × 45 chroma values, taken from the decoder's planes at even steps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from citybrain.ports import Picture, Plane

Floats = npt.NDArray[np.float32]

HEIGHT, WIDTH = 90, 160
ROWS, COLUMNS = 9, 16
"""The grid of cells in which luma is summed up: 10 × 10 values each."""

NEUTRAL = 128


@dataclass(frozen=True, slots=True)
class Sight:
    """One look, small: `luma` (90, 160), `u` and `v` (45, 80), uint8."""

    luma: Plane
    u: Plane
    v: Plane


def sight_of(picture: Picture) -> Sight:
    """Samples of the planes as they are: nothing is converted, and a fine detail stays as sharp as it was."""
    return Sight(
        _sampled(picture.y, HEIGHT, WIDTH),
        _sampled(picture.u, HEIGHT // 2, WIDTH // 2),
        _sampled(picture.v, HEIGHT // 2, WIDTH // 2),
    )


def _sampled(plane: Plane, height: int, width: int) -> Plane:
    return np.ascontiguousarray(plane[_steps(plane.shape[0], height)[:, None], _steps(plane.shape[1], width)])


@lru_cache(maxsize=64)
def _steps(size: int, count: int) -> npt.NDArray[np.intp]:
    return (np.arange(count) * size + size // 2) // count


def cell_means(values: Floats) -> Floats:
    """Means of 9 × 16 cells: by a whole factor, INTER_AREA is the mean."""
    return np.asarray(cv2.resize(values, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA), np.float32)


def cell_deviations(values: Floats, means: Floats) -> Floats:
    """Standard deviation within each of the 9 × 16 cells."""
    squares = cell_means(np.asarray(values * values, np.float32))
    deviations: Floats = np.sqrt(np.maximum(squares - means * means, 0))
    return deviations


def correlation(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size > 0 else 0.0
