"""Makes what cannot be rendered in time: flames, smoke, lamps in the lens, and what a cheap camera does to a picture.

Everything is drawn from noise by the generator handed in. Colours are BGR, patches are BGRA with straight alpha.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

Picture = np.ndarray[Any, Any]
Random = np.random.Generator

FLAME_RAMP = np.array(
    [
        (0.00, 0, 0, 60),
        (0.30, 5, 45, 190),
        (0.55, 20, 120, 250),
        (0.80, 90, 215, 255),
        (1.00, 225, 250, 255),
    ]
)
"""How hot gas looks on a sensor, coolest first: heat, then BGR."""


def noise(height: int, width: int, random: Random, *, coarsest: int = 3, octaves: int = 4) -> Picture:
    """Smooth fractal noise, 0..1, `coarsest` blobs high at its largest scale."""
    total = np.zeros((height, width), np.float32)
    weight, cells = 1.0, coarsest
    for _ in range(octaves):
        columns = max(2, round(cells * width / max(height, 1)) + 1)
        grid = random.random((cells + 1, columns)).astype(np.float32)
        total += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        weight, cells = weight * 0.55, cells * 2
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


def _tongue(height: int, width: int, random: Random) -> Picture:
    """Heat of one tongue of flame standing on the lower edge, 0..1."""
    rise = np.linspace(1, 0, height, dtype=np.float32)[:, None]
    side = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    sway = (noise(height, width, random, coarsest=3) - 0.5) * 1.4 * rise + random.uniform(-0.4, 0.4) * rise**2
    half = np.minimum(1.0, 0.45 + rise * 4) * (1 - rise) ** random.uniform(0.5, 0.9) * random.uniform(0.6, 0.95)
    body = np.clip(1 - np.abs(side + sway) / np.maximum(half, 1e-3), 0, 1)
    lick = noise(height, width, random, coarsest=4)
    return np.clip(body**0.8 * (1.25 - rise * (0.35 + 0.75 * lick)) * (0.55 + 0.75 * lick), 0, 1)


def flames(height: int, width: int, random: Random) -> Picture:
    """A BGRA patch with two to six tongues of flame on its lower edge."""
    heat = np.zeros((height, width), np.float32)
    for index in range(int(random.integers(2, 7))):
        tall = height if index == 0 else max(6, round(height * random.uniform(0.35, 0.9)))
        broad = min(width, max(6, round(width * random.uniform(0.35, 0.75))))
        left = int(random.integers(0, width - broad + 1))
        part = heat[height - tall :, left : left + broad]
        np.maximum(part, _tongue(tall, broad, random), out=part)
    heat = cv2.GaussianBlur(heat, (0, 0), max(0.4, height / 110))
    heat = np.clip(heat * random.uniform(1.0, 1.6), 0, 1)
    patch = np.empty((height, width, 4), np.float32)
    for channel in range(3):
        patch[..., channel] = np.interp(heat, FLAME_RAMP[:, 0], FLAME_RAMP[:, channel + 1])
    patch[..., 3] = np.clip(heat * 2.6 - 0.1, 0, 1) * 255
    return patch.astype(np.uint8)


def cone(height: int, random: Random) -> Picture:
    """A BGRA patch with an orange traffic cone, delineator or barrel, `height` pixels high: the colour of fire, and none."""
    fine = 4
    tall, wide = height * fine, max(2, round(height * random.uniform(0.45, 0.8))) * fine
    patch = np.zeros((tall, wide, 4), np.uint8)
    hue = random.uniform(2, 14), random.uniform(180, 255), random.uniform(170, 255)
    orange = cv2.cvtColor(np.array([[hue]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0].tolist()
    top, foot = random.choice([(0.12, 0.6), (0.35, 0.42), (0.7, 0.8)], p=[0.7, 0.15, 0.15])

    def band(begin: float, end: float, colour: list[int]) -> None:
        halves = [(top + (foot - top) * share) * wide / 2 for share in (begin, end)]
        rows = [begin * tall, end * tall]
        corners = [(wide / 2 - halves[0], rows[0]), (wide / 2 + halves[0], rows[0])]
        corners += [(wide / 2 + halves[1], rows[1]), (wide / 2 - halves[1], rows[1])]
        cv2.fillPoly(patch, [np.round(corners).astype(np.int32)], (*colour, 255))

    band(0.0, 0.92, orange)
    for begin in ((), (0.3,), (0.22, 0.52))[int(random.integers(3))]:
        band(begin, begin + random.uniform(0.1, 0.2), [random.integers(170, 250).item()] * 3)
    cv2.rectangle(patch, (0, round(tall * 0.92)), (wide - 1, tall - 1), (*(np.array(orange) * 0.7).tolist(), 255), -1)
    shade = np.linspace(1.0, random.uniform(0.55, 0.95), wide)[None, :, None]
    patch[..., :3] = (patch[..., :3] * (shade if random.random() < 0.5 else shade[:, ::-1])).astype(np.uint8)
    return cv2.resize(patch, (wide // fine, height), interpolation=cv2.INTER_AREA)


def smoke(height: int, width: int, random: Random, *, shade: float | None = None) -> Picture:
    """A BGRA patch with a plume that rises from the middle of its lower edge, widens, drifts and thins out."""
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    density = np.zeros((height, width), np.float32)
    drift, foot = random.uniform(-0.45, 0.45), random.uniform(0.4, 0.6)
    for _ in range(26):
        rise = random.random()
        radius = width * (0.07 + 0.26 * rise) * random.uniform(0.6, 1.2)
        cx = width * (foot + drift * rise**1.3 + random.normal(0, 0.05 + 0.09 * rise))
        cy = height * (1 - rise * 0.94) - radius * 0.2
        away = ((xs - cx) ** 2 + (ys - cy) ** 2) / (2 * (radius * 0.55) ** 2)
        density += np.exp(-away) * (1.1 - 0.75 * rise)
    grain = noise(height, width, random, coarsest=5, octaves=5)
    density *= 0.25 + 1.5 * grain
    fade = np.minimum(1, np.minimum(xs, width - 1 - xs) / (0.1 * width)) * np.minimum(1, ys / (0.12 * height) + 0.05)
    alpha = (1 - np.exp(-density * random.uniform(0.7, 1.8))) * fade
    tone = random.choice([random.uniform(25, 80), random.uniform(120, 225)]) if shade is None else shade
    light = tone * (0.72 + 0.5 * noise(height, width, random, coarsest=6, octaves=4))
    tint = np.array([random.uniform(0.96, 1.05), 1.0, random.uniform(0.96, 1.03)])
    patch = np.empty((height, width, 4), np.float32)
    patch[..., :3] = (light[..., None] * tint).clip(0, 255)
    patch[..., 3] = alpha * 255
    return patch.astype(np.uint8)


def wall(height: int, width: int, random: Random) -> Picture:
    """A BGRA patch of blank wall or overcast sky between straight edges: grey, mottled and shaded as smoke is, and none."""
    tone = random.uniform(45, 225) * np.linspace(random.uniform(0.8, 1.2), random.uniform(0.8, 1.2), height)[:, None]
    mottled = (noise(height, width, random, coarsest=int(random.integers(2, 8))) - 0.5) * random.uniform(0, 40)
    tint = np.array([random.uniform(0.92, 1.06), 1.0, random.uniform(0.92, 1.06)])
    patch = np.zeros((height, width, 4), np.uint8)
    patch[..., :3] = ((tone + mottled)[..., None] * tint).clip(0, 255).astype(np.uint8)
    left, right = random.uniform(0, 0.2, 2) * width  # a slanting side now and then, as walls have that go away from us
    corners = [(left, 0), (width, 0), (width - right, height), (0, height)]
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], 255)
    patch[..., 3] = mask if random.random() < 0.5 else cv2.GaussianBlur(mask, (0, 0), random.uniform(0.5, 2.5))
    return patch


def seen_part(patch: Picture, *, least: int) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of what is at least `least` opaque; None when nothing is."""
    rows, columns = np.nonzero(patch[..., 3] >= least)
    if rows.size < 12:
        return None
    top, bottom = np.percentile(rows, (0.5, 99.5))
    left, right = np.percentile(columns, (0.5, 99.5))
    return int(left), int(top), int(right) + 1, int(bottom) + 1


def lay(picture: Picture, patch: Picture, left: int, top: int, *, glowing: bool = False) -> None:
    """Blend a BGRA patch into a picture in place, cut at its edges; what glows adds light instead of covering."""
    height, width = picture.shape[:2]
    x1, y1 = max(0, left), max(0, top)
    x2, y2 = min(width, left + patch.shape[1]), min(height, top + patch.shape[0])
    if x1 >= x2 or y1 >= y2:
        return
    part = patch[y1 - top : y2 - top, x1 - left : x2 - left].astype(np.float32)
    below = picture[y1:y2, x1:x2].astype(np.float32)
    alpha = part[..., 3:] / 255
    over = below * (1 - alpha) + part[..., :3] * alpha
    if glowing:
        over = np.maximum(over, 255 - (255 - below) * (255 - part[..., :3] * alpha) / 255)
    picture[y1:y2, x1:x2] = over.clip(0, 255).astype(np.uint8)


def glow(
    picture: Picture, at: tuple[float, float], radius: float, *, colour: tuple[int, int, int], strength: float
) -> None:
    """Add the halo of a light in place: around flames, and around lamps that are none."""
    reach = int(radius * 2.5)
    left, top = int(at[0]) - reach, int(at[1]) - reach
    ys, xs = np.mgrid[0 : 2 * reach, 0 : 2 * reach].astype(np.float32)
    away = ((xs - reach) ** 2 + (ys - reach) ** 2) / (2 * radius**2)
    patch = np.empty((2 * reach, 2 * reach, 4), np.uint8)
    patch[..., :3] = colour
    patch[..., 3] = (np.exp(-away) * 255 * strength).astype(np.uint8)
    lay(picture, patch, left, top)


def as_filmed(picture: Picture, random: Random, *, night: bool = False) -> Picture:
    """What a street camera makes of a scene: exposure, colour cast, blur, haze, sensor noise, JPEG."""
    out = picture.astype(np.float32)
    gamma = random.uniform(0.75, 1.35)
    out = 255 * (out / 255) ** gamma * random.uniform(0.85, 1.1)
    out *= np.array([random.uniform(0.93, 1.07), 1.0, random.uniform(0.93, 1.07)], np.float32)
    if random.random() < 0.25:
        haze = random.uniform(0.05, 0.3)
        out = out * (1 - haze) + random.uniform(140, 220) * haze
    if random.random() < 0.45:
        out = cv2.GaussianBlur(out, (0, 0), random.uniform(0.4, 1.3))
    grain = random.uniform(0, 5) + (random.uniform(0, 8) if night else 0)
    out += random.normal(0, 1, out.shape[:2]).astype(np.float32)[..., None] * grain
    encoded = cv2.imencode(
        ".jpg", out.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(35, 93))]
    )
    decoded = cv2.imdecode(encoded[1], cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded
