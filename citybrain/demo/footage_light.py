"""Water, lamps and the sensor: what light does to a demo camera's picture."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np

from citybrain.demo.footage_art import Art, Floats, Picture


def lay_water(frame: Floats, flooded: Picture, rise: Floats, *, level: float, at: float, seed: int) -> None:
    """Covers `frame` in place with the flooded picture as far as the water has risen; its mirror image ripples."""
    if level <= 0:
        return
    height, width = rise.shape
    columns, rows = _grid(height, width)
    phase = at * 2.2 + seed
    near = (rows / height) ** 2
    sway = near * (1.2 * np.sin(rows * 0.35 + phase) + 0.8 * np.sin(columns * 0.06 + rows * 0.21 - phase * 1.3))
    rippled = cv2.remap(flooded, columns + sway, rows + 0.6 * sway, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cover = np.clip((level - rise) / 0.05, 0, 1)[:, :, None]
    frame += (rippled - frame) * cover


def add_headlights(
    frame: Floats, art: Art, place: tuple[float, float, float], heading: float, *, mirror: float
) -> None:
    """The light that a car throws on the wet road before it, and its streak towards the camera."""
    x, y, _ = place
    ahead = (-math.sin(math.radians(heading)), math.cos(math.radians(heading)))
    for side in (-0.65, 0.65):
        lamp = (x + 2.2 * ahead[0] + side * ahead[1], y + 2.2 * ahead[1] - side * ahead[0])
        u, v, depth = art.project((*lamp, 0.0))
        if depth < 2 or not (-50 < u < frame.shape[1] + 50 and -50 < v < frame.shape[0] + 50):
            continue
        towards = art.matrix[2, 0] * ahead[0] + art.matrix[2, 1] * ahead[1] < 0
        size = 640 / depth
        tint = np.array([150, 205, 235] if towards else [25, 25, 170], np.float32)
        _add_spot(frame, (u, v + size * 0.9), (size * 0.35, size * 1.6), tint * mirror * (0.55 if towards else 0.2))
        if towards:
            _add_spot(frame, (u, v - size * 0.75), (size * 1.1, size * 1.1), tint * 0.5)


def add_signal(frame: Floats, art: Art, at: tuple[float, float, float], *, red: bool) -> None:
    """A traffic light: red burns above, green below."""
    u, v, depth = art.project((at[0], at[1], at[2] + (0.28 if red else -0.28)))
    size = 640 / depth
    tint = np.array([40, 40, 255] if red else [120, 255, 60], np.float32)
    _add_spot(frame, (u, v), (size * 0.45, size * 0.45), tint * 0.5)
    _add_spot(frame, (u, v), (max(1.6, size * 0.14),) * 2, tint * 2.2)


def add_grain(frame: Floats, deviation: float, *, number: int, seed: int) -> None:
    """Sensor noise in place, stronger in the shade, another for each frame number."""
    height, width = frame.shape[:2]
    bank = _noise_bank(height, width, seed)
    r = np.random.default_rng((seed, number))
    y, x = int(r.integers(0, bank.shape[0] - height)), int(r.integers(0, bank.shape[1] - width))
    frame += bank[y : y + height, x : x + width] * np.float32(deviation)


@lru_cache(maxsize=4)
def _noise_bank(height: int, width: int, seed: int) -> Floats:
    r = np.random.default_rng(seed)
    luma = r.standard_normal((height * 2, width * 2, 1), np.float32)
    chroma = cv2.GaussianBlur(r.standard_normal((height * 2, width * 2, 3), np.float32), (0, 0), 1.2) * 1.6
    return np.asarray(luma + chroma, np.float32)


@lru_cache(maxsize=2)
def _grid(height: int, width: int) -> tuple[Floats, Floats]:
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    return columns, rows


@lru_cache(maxsize=1)
def _spot() -> Floats:
    v, u = np.mgrid[-1:1:65j, -1:1:65j].astype(np.float32)
    return np.asarray(np.clip(np.exp(-4 * (u * u + v * v)) - math.exp(-4), 0, 1), np.float32)


def _add_spot(frame: Floats, centre: tuple[float, float], radii: tuple[float, float], tint: Floats) -> None:
    height, width = frame.shape[:2]
    left, top = math.floor(centre[0] - radii[0]), math.floor(centre[1] - radii[1])
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(width, math.ceil(centre[0] + radii[0]) + 1), min(height, math.ceil(centre[1] + radii[1]) + 1)
    if x1 <= x0 or y1 <= y0:
        return
    move = (centre[0] - radii[0] - x0, centre[1] - radii[1] - y0)
    shift = np.array([[radii[0] / 32, 0, move[0]], [0, radii[1] / 32, move[1]]], np.float32)
    spot = cv2.warpAffine(_spot(), shift, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    frame[y0:y1, x0:x1] += spot[:, :, None] * tint
