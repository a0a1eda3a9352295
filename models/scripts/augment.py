"""Turns labelled pictures into training canvases of one fixed size: placed at a random scale, sometimes four at once.

All randomness comes from the generator handed in, so one seed gives the same canvases again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

Picture = np.ndarray[Any, Any]
Labels = np.ndarray[Any, Any]
"""(N, 5) float: class, left, top, right, bottom; 0..1 in, pixels of the canvas out."""

GREY = 114
LEAST_SEEN = 0.3
"""A box of which less than this share is left on the canvas is dropped: too little to name."""


def place(
    picture: Picture,
    labels: Labels,
    canvas: Picture,
    *,
    window: tuple[int, int, int, int],
    scale: float,
    shift: tuple[float, float],
) -> Labels:
    """Draw a picture into a window (left, top, right, bottom) of the canvas; its boxes there, in canvas pixels.

    `scale` 1 fits the picture into the window; `shift` (0..1, 0..1) says where it lies when it is smaller than the
    window, or which part of it is seen when it is larger.
    """
    left, top, right, bottom = window
    width, height = right - left, bottom - top
    rows, columns = picture.shape[:2]
    factor = scale * min(width / columns, height / rows)
    new_width, new_height = max(1, round(columns * factor)), max(1, round(rows * factor))
    x, y = round((width - new_width) * shift[0]), round((height - new_height) * shift[1])
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(picture, (new_width, new_height), interpolation=way)
    x1, y1, x2, y2 = max(0, x), max(0, y), min(width, x + new_width), min(height, y + new_height)
    canvas[top + y1 : top + y2, left + x1 : left + x2] = resized[y1 - y : y2 - y, x1 - x : x2 - x]

    moved = labels.copy()
    moved[:, [1, 3]] = labels[:, [1, 3]] * new_width + x
    moved[:, [2, 4]] = labels[:, [2, 4]] * new_height + y
    before = np.prod(moved[:, 3:5] - moved[:, 1:3], axis=1)
    moved[:, [1, 3]] = moved[:, [1, 3]].clip(x1, x2) + left
    moved[:, [2, 4]] = moved[:, [2, 4]].clip(y1, y2) + top
    sides = moved[:, 3:5] - moved[:, 1:3]
    return moved[(sides.min(axis=1) >= 3) & (sides.prod(axis=1) >= LEAST_SEEN * before)]


def recolour(picture: Picture, random: np.random.Generator) -> Picture:
    """Shift brightness, contrast, saturation and a little hue; hue stays near, as orange is what fire is known by."""
    hsv = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + random.uniform(-3, 3)) % 180
    hsv[..., 1] *= random.uniform(0.5, 1.4)
    hsv[..., 2] = (hsv[..., 2] - 128) * random.uniform(0.75, 1.2) + 128 + random.uniform(-28, 28)
    return cv2.cvtColor(hsv.clip(0, 255).astype(np.uint8), cv2.COLOR_HSV2BGR)


def canvas_of(
    draw: Callable[[], tuple[Picture, Labels]], *, size: tuple[int, int], mosaic: float, random: np.random.Generator
) -> tuple[Picture, Labels]:
    """One canvas of `size` (height, width): one drawn picture, or with chance `mosaic` four of them."""
    height, width = size
    canvas = np.full((height, width, 3), GREY, np.uint8)
    if random.random() < mosaic:
        x, y = round(width * random.uniform(0.35, 0.65)), round(height * random.uniform(0.35, 0.65))
        windows = [(0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)]
        scales = random.uniform(1.0, 1.8, 4)
    else:
        windows = [(0, 0, width, height)]
        scales = random.choice([random.uniform(0.6, 1.0), random.uniform(1.0, 1.5), 1.0], 1, p=[0.2, 0.4, 0.4])
    parts = []
    for window, scale in zip(windows, scales, strict=True):
        picture, labels = draw()
        shift = (random.random(), random.random())
        parts.append(place(picture, labels, canvas, window=window, scale=float(scale), shift=shift))
    labels = np.concatenate(parts)
    if random.random() < 0.5:
        canvas = canvas[:, ::-1]
        labels[:, [1, 3]] = width - labels[:, [3, 1]]
    canvas = recolour(np.ascontiguousarray(canvas), random)
    if random.random() < 0.1:
        canvas = cv2.cvtColor(cv2.cvtColor(canvas, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return canvas, labels
