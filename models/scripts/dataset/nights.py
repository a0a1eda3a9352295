"""Nights as cheap cameras film them: streets turned dark, fires that overexpose the picture, and lamps that do it and are none.

Everything is drawn by the generator handed in. Colours are BGR; lengths are pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
from effects import Picture, Random, noise

FIRELIGHT = ((60, 90, 255), (110, 170, 255), (170, 215, 255), (225, 235, 255), (255, 240, 235))
"""What a fire makes of its surroundings, from a sensor that keeps its red to one whose white balance took it for a lamp."""
LAMPLIGHT = ((120, 210, 255), (200, 240, 255), (255, 250, 240), (255, 225, 190), (90, 190, 255))
LEAST_BLAZE = 0.07
"""Width of the smallest fire that is taken to overexpose, as a share of the picture's: no lamp here is as wide."""


def by_night(picture: Picture, random: Random) -> Picture:
    """A street by day as its camera might show it at night: dark, of few colours, under sodium lamps or bluish ones."""
    light = (picture.astype(np.float32) / 255) ** random.uniform(1.1, 2.0) * random.uniform(0.2, 0.65)
    grey = light.mean(axis=2, keepdims=True)
    light = grey + (light - grey) * random.uniform(0.2, 0.7)
    tint = ((0.6, 0.85, 1.1), (1.15, 1.0, 0.85), (1.0, 1.0, 1.0))[int(random.integers(3))]
    return (light * np.array(tint, np.float32) * 255 + random.uniform(0, 14)).clip(0, 255).astype(np.uint8)


def overexpose(
    picture: Picture, core: Picture, random: Random, *, colour: tuple[int, int, int], reach: float, strength: float
) -> None:
    """Burn a mask (0..1) out to white in place and let its light spill: near it in the lens, far about onto the street."""
    away = cv2.distanceTransform((core < 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    lens = np.exp(-away / (reach * random.uniform(0.25, 0.6))) * strength
    spill = np.exp(-away / (reach * random.uniform(1.2, 3.5))) * strength * random.uniform(0.15, 0.6)
    dark = picture.astype(np.float32)
    shade = np.array(colour, np.float32) / 255
    lit = dark * (1 + 2.5 * spill[..., None] * shade)  # what the fire shines upon
    lit = 255 - (255 - lit.clip(0, 255)) * (1 - (lens + 0.5 * spill).clip(0, 1)[..., None] * shade)
    white = core[..., None]
    picture[:] = (lit * (1 - white) + (225 + 30 * shade) * white).clip(0, 255).astype(np.uint8)


def blaze(
    picture: Picture, foot: tuple[float, float], span: float, random: Random
) -> tuple[float, float, float, float] | None:
    """Set a fire too bright for the sensor upon a point, `span` wide, in place; its sides, None when it is out of view."""
    height, width = picture.shape[:2]
    core = np.zeros((height, width), np.float32)
    tall = span * random.uniform(0.6, 1.7)
    for index in range(int(random.integers(3, 10))):
        part = random.uniform(0.25, 0.75) if index else random.uniform(0.6, 1.0)
        x = foot[0] + random.normal(0, 0.22) * span * bool(index)
        y = foot[1] - tall * (abs(random.normal(0.15, 0.3)) + part * 0.35)
        axes = max(2, round(span * part * random.uniform(0.3, 0.55))), max(2, round(tall * part * 0.45))
        cv2.ellipse(core, (round(x), round(y)), axes, random.uniform(-40, 40), 0, 360, 1.0, -1)
    soft = cv2.GaussianBlur(core, (0, 0), max(1.0, span * random.uniform(0.05, 0.12)))
    soft += (noise(height, width, random, coarsest=max(4, round(3 * height / tall))) - 0.5) * 0.6 * (soft > 0.02)
    core = cv2.GaussianBlur((soft.clip(0, 1) - 0.3) / 0.35, (0, 0), max(0.8, span * 0.02)).clip(0, 1)
    picture[:] = (picture * random.uniform(0.35, 0.9)).astype(np.uint8)  # the exposure follows the fire
    rows, columns = np.nonzero(core > 0.5)
    if rows.size < 40:
        return None
    colour = FIRELIGHT[int(random.integers(len(FIRELIGHT)))]
    overexpose(
        picture, core, random, colour=colour, reach=span * random.uniform(0.5, 1.1), strength=random.uniform(0.6, 1)
    )
    rim = span * 0.04
    (top, bottom), (left, right) = (np.percentile(line, (0.5, 99.5)) for line in (rows, columns))
    return (
        max(0.0, float(left) - rim),
        max(0.0, float(top) - rim),
        min(float(width), float(right) + 1 + rim),
        min(float(height), float(bottom) + 1 + rim),
    )


def street_lamps(size: tuple[int, int], random: Random) -> Picture:
    """A mask (0..1) of one to five lamps in the upper part of a picture of so many rows and columns."""
    core = np.zeros(size, np.float32)
    for _ in range(int(random.integers(1, 6))):
        at = round(random.uniform(0, size[1])), round(random.uniform(0, 0.6) * size[0])
        cv2.circle(core, at, round(random.uniform(2, 0.022 * size[1])), 1.0, -1)
    return core


def headlights(size: tuple[int, int], random: Random) -> Picture:
    """A mask (0..1) of one to three pairs of headlights."""
    core = np.zeros(size, np.float32)
    for _ in range(int(random.integers(1, 4))):
        radius = random.uniform(2, 0.016 * size[1])
        x, y = random.uniform(0, size[1]), random.uniform(0.35, 0.95) * size[0]
        for side in (0.0, radius * random.uniform(4, 7)):
            cv2.circle(core, (round(x + side), round(y)), round(radius), 1.0, -1)
    return core


def shop_window(size: tuple[int, int], random: Random) -> Picture:
    """A mask (0..1) of a lit pane with straight edges, as wide as a blaze and wider."""
    core = np.zeros(size, np.float32)
    across, tall = random.uniform(0.06, 0.3) * size[1], random.uniform(0.05, 0.18) * size[0]
    left, top = random.uniform(0, size[1] - across), random.uniform(0.1, 0.6) * size[0]
    slant = random.uniform(-0.25, 0.25) * tall
    corners = [(left, top), (left + across, top + slant), (left + across, top + tall), (left, top + tall - slant)]
    cv2.fillPoly(core, [np.round(corners).astype(np.int32)], random.uniform(0.35, 0.95))
    return core * (0.75 + 0.25 * noise(*size, random, coarsest=12))


def dazzle(picture: Picture, random: Random) -> None:
    """Shine light into the lens in place that is no fire: street lamps, headlights or a shop window."""
    kinds = ((street_lamps, (8, 45)), (headlights, (8, 45)), (shop_window, (5, 20)))
    drawn, (nearest, farthest) = kinds[int(random.integers(len(kinds)))]
    core = cv2.GaussianBlur(drawn(picture.shape[:2], random), (0, 0), random.uniform(0.7, 2.0))
    colour = LAMPLIGHT[int(random.integers(len(LAMPLIGHT)))]
    reach, strength = random.uniform(nearest, farthest), random.uniform(0.3, 1.0)
    overexpose(picture, core, random, colour=colour, reach=reach, strength=strength)
