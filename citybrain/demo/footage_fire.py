"""Flames and smoke as functions of time alone: turbulence rising through a flame's shape, puffs that grow and drift."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np

from citybrain.demo.footage_art import Floats

# Colour of a flame by heat (BGR): soot-dark red, orange, yellow, near white; after the look of burning rubbish.
_HEAT = np.array([[0, 0, 0], [2, 12, 70], [6, 55, 190], [18, 120, 250], [60, 190, 255], [170, 238, 255]], np.float32)


def add_flames(
    frame: Floats, foot: tuple[float, float], size: tuple[float, float], *, at: float, strength: float, seed: int
) -> tuple[float, float, float, float] | None:
    """Adds light to `frame` (BGR 0..255) in place; `size` is the full fire's width and height in pixels.

    Answers the flames' box in pixels, or None when nothing can be seen.
    """
    if strength <= 0.02:
        return None
    flicker = 1 + 0.10 * math.sin(at * 9.1 + seed) + 0.07 * math.sin(at * 14.3 + 1.3)
    width, height = size[0] * (0.45 + 0.55 * strength), size[1] * strength**0.7 * flicker
    heat = _flame(at, seed, max(6, round(width * 1.8)), max(8, round(height * 1.25)))
    rows, columns = heat.shape
    x0, y0 = round(foot[0] - columns / 2), round(foot[1] - rows * 0.97)
    _glow(frame, foot, width, height, strength * flicker)
    view = _window(frame, x0, y0, columns, rows)
    if view is None:
        return None
    target, part = view
    hot = heat[part]
    ramp = hot * (len(_HEAT) - 1)
    low = np.clip(ramp.astype(np.int32), 0, len(_HEAT) - 2)
    colour = _HEAT[low] + (_HEAT[low + 1] - _HEAT[low]) * (ramp - low)[:, :, None]
    cover = np.clip(hot * 2.6, 0, 0.92)[:, :, None]
    target[:] = target * (1 - cover) + colour * np.maximum(cover, 0.35)
    seen = np.argwhere(heat > 0.22)
    if not len(seen):
        return None
    (top, left), (bottom, right) = seen.min(0), seen.max(0)
    return float(x0 + left), float(y0 + top), float(x0 + right + 1), float(y0 + bottom + 1)


def add_smoke(
    frame: Floats,
    foot: tuple[float, float],
    height: float,
    *,
    at: float,
    strength: float,
    started: float,
    grey: float,
    wind: float,
    seed: int,
) -> tuple[float, float, float, float] | None:
    """Lays puffs over `frame` in place, rising `height` pixels; answers their box in pixels."""
    life, rate = 7.0, 6.0
    boxes = []
    last = math.floor(at * rate)
    for number in range(max(math.ceil(started * rate), last - int(life * rate)), last + 1):
        r = np.random.default_rng((seed, number))
        age = at - number / rate
        u = age / life
        if not 0 <= u < 1:
            continue
        sway, speed, spin, shade = r.normal(0, 1), r.uniform(0.8, 1.2), r.uniform(0, 360), r.normal(0, 0.05)
        x = foot[0] + height * (wind * u**1.4 + 0.05 * sway * (0.3 + u))
        y = foot[1] - height * speed * (1 - (1 - u) ** 1.5)
        radius = height * (0.07 + 0.24 * u) * (0.7 + 0.3 * strength)
        alpha = strength * 0.9 * min(1, age / 0.4) * (1 - u) ** 1.1
        if alpha < 0.01:
            continue
        tone = 255 * min(1, max(0, grey + shade + 0.22 * u))
        _puff(frame, (x, y), radius, turn=spin + age * 14 * sway, alpha=alpha, tone=tone, kind=int(r.integers(0, 6)))
        if alpha > 0.06:
            boxes.append((x - radius * 0.75, y - radius * 0.75, x + radius * 0.75, y + radius * 0.75))
    if not boxes:
        return None
    low, high = np.min(boxes, 0), np.max(boxes, 0)
    return float(low[0]), float(low[1]), float(high[2]), float(high[3])


@lru_cache(maxsize=32)
def _turbulence(seed: int, cells: int) -> Floats:
    """256x256 noise 0..1 that tiles."""
    grid = np.random.default_rng((seed, cells)).random((cells, cells), dtype=np.float32)
    tiled = np.tile(grid, (3, 3))
    wide = cv2.resize(tiled, (768, 768), interpolation=cv2.INTER_CUBIC)
    return np.clip(wide[256:512, 256:512], 0, 1)


def _rising(seed: int, cells: int, shift: float, drift: float) -> Floats:
    move = np.array([[1, 0, drift % 256], [0, 1, -(shift % 256)]], np.float32)
    field = cv2.warpAffine(_turbulence(seed, cells), move, (256, 256), borderMode=cv2.BORDER_WRAP)
    return np.asarray(field, np.float32)


def _flame(at: float, seed: int, columns: int, rows: int) -> Floats:
    """Heat 0..1: a cone of tongues whose edge and middle are torn by noise that rises faster than it changes."""
    n = 128
    broad = _rising(seed, 5, at * 150, 9 * math.sin(at * 1.7))[:n, :n]
    fine = _rising(seed + 1, 11, at * 260, 14 * math.sin(at * 2.3))[:n, :n]
    finest = _rising(seed + 2, 23, at * 330, 0)[:n, :n]
    v, u = np.meshgrid(np.linspace(1, 0, n, dtype=np.float32), np.linspace(-1, 1, n, dtype=np.float32), indexing="ij")
    sway = (broad - 0.5) * 0.9 * v + 0.12 * math.sin(at * 3.1) * v**2
    lean = u + sway
    # Each tongue has a height of its own, which wanders; between tongues the fire is low.
    tongues = 0.5 + 0.3 * np.sin(lean * 7 + 2.2 * math.sin(at * 2.1 + seed)) + 0.2 * np.sin(lean * 13 - at * 5.3)
    tall = np.clip((1 - lean**2) * (0.30 + 0.75 * tongues), 0.04, 1)
    body = 1 - (v / tall) ** 1.15 - np.clip(np.abs(lean) - 0.55, 0, 1) * 1.5
    heat = body * 1.05 + (fine - 0.5) * (0.5 + 1.0 * v) + (finest - 0.5) * 0.5
    heat = (
        np.clip(heat, 0, 1)
        * np.clip((1 - v) * 7, 0, 1)
        * np.clip((v - 0.15 * lean**2 + 0.06 * (broad - 0.5)) * 16, 0, 1)
    )
    resized = cv2.resize(cv2.GaussianBlur(heat, (0, 0), 1.0), (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.float32)


def _glow(frame: Floats, foot: tuple[float, float], width: float, height: float, strength: float) -> None:
    radius = 1.6 * max(width, height)
    side = round(2 * radius)
    view = _window(frame, round(foot[0] - radius), round(foot[1] - height * 0.4 - radius), side, side)
    if view is None:
        return
    target, part = view
    halo = cv2.resize(_blob(), (side, side), interpolation=cv2.INTER_LINEAR)[part][:, :, None]
    target *= 1 + halo * strength * np.array([0.05, 0.35, 0.75], np.float32)
    target += halo**2 * strength * np.array([4, 22, 50], np.float32)


@lru_cache(maxsize=1)
def _blob() -> Floats:
    v, u = np.mgrid[-1:1:64j, -1:1:64j].astype(np.float32)
    return np.asarray(np.clip(1 - np.hypot(u, v), 0, 1) ** 2, np.float32)


@lru_cache(maxsize=8)
def _puff_shape(kind: int) -> Floats:
    v, u = np.mgrid[-1:1:96j, -1:1:96j].astype(np.float32)
    octaves = ((0.5, 40, 4), (0.3, 50, 9), (0.2, 60, 21))
    noise = sum(share * _turbulence(seed + kind, cells)[:96, :96] for share, seed, cells in octaves)
    return np.asarray(np.clip((1 - np.hypot(u, v)) * 1.6 + (noise - 0.50) * 1.7, 0, 1), np.float32)


def _puff(
    frame: Floats, centre: tuple[float, float], radius: float, *, turn: float, alpha: float, tone: float, kind: int
) -> None:
    x, y = centre
    side = max(4, math.ceil(2 * radius))
    x0, y0 = math.floor(x - radius), math.floor(y - radius)
    view = _window(frame, x0, y0, side, side)
    if view is None:
        return
    target, part = view
    place = cv2.getRotationMatrix2D((47.5, 47.5), turn, 1.0)
    scale = side / 96
    place = np.array([[scale, 0, x - radius - x0], [0, scale, y - radius - y0]]) @ np.vstack([place, [0, 0, 1]])
    shape = cv2.warpAffine(_puff_shape(kind), place, (side, side), flags=cv2.INTER_LINEAR)[part]
    cover = (shape * alpha)[:, :, None]
    lit = tone * (0.80 + 0.35 * shape[:, :, None])
    target += (lit - target) * cover


def _window(frame: Floats, x: int, y: int, columns: int, rows: int) -> tuple[Floats, tuple[slice, slice]] | None:
    """The part of `frame` under a rectangle, and the part of the rectangle inside the frame."""
    height, width = frame.shape[:2]
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + columns, width), min(y + rows, height)
    if right <= left or bottom <= top:
        return None
    return frame[top:bottom, left:right], (slice(top - y, bottom - y), slice(left - x, right - x))
