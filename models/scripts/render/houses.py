"""Rows of houses along a street: walls, windows, air conditioners, shops with their signs."""

import random
from dataclasses import dataclass
from typing import Protocol

import bpy
from materials import Colour, Material, blocks, glass, grainy, plain
from shapes import Shape

NEAR, FAR = -45.0, 130.0
GROUND, STOREY = 3.6, 3.1


class Lined(Protocol):
    """What of a street the houses go by."""

    light: str
    half: float
    pavement: float


@dataclass(frozen=True)
class _Facade:
    shape: Shape
    r: random.Random
    x: float
    y: float
    width: float
    side: int
    lit: bool
    frame: Material
    pane: Material


WALLS: tuple[Colour, ...] = (
    (0.42, 0.36, 0.28),
    (0.36, 0.32, 0.30),
    (0.48, 0.44, 0.38),
    (0.33, 0.20, 0.15),
    (0.28, 0.30, 0.32),
    (0.50, 0.46, 0.44),
    (0.40, 0.28, 0.20),
    (0.22, 0.24, 0.26),
    (0.46, 0.40, 0.30),
)
SIGNS: tuple[Colour, ...] = (
    (0.5, 0.02, 0.02),
    (0.02, 0.12, 0.45),
    (0.6, 0.35, 0.02),
    (0.02, 0.25, 0.12),
    (0.55, 0.55, 0.52),
    (0.3, 0.02, 0.2),
    (0.02, 0.2, 0.3),
)


def row(street: Lined, side: int, r: random.Random) -> list[bpy.types.Object]:
    out, y = [], NEAR
    face_x = side * (street.half + street.pavement)
    dark = street.light in ("dusk", "night")
    while y < FAR:
        width, floors = r.uniform(9, 17), r.randint(2, 6)
        if r.random() < 0.12:
            y += r.uniform(3, 6)  # a lane between the houses
        out.append(_house(r, (face_x, y), (width, floors), side, lit=dark))
        y += width + (0.05 if r.random() < 0.7 else 1.5)
    return out


def _house(
    r: random.Random, corner: tuple[float, float], size: tuple[float, int], side: int, *, lit: bool
) -> bpy.types.Object:
    (face_x, y), (width, floors) = corner, size
    shape, seed = Shape(), r.randint(0, 80)
    colour = r.choice(WALLS)
    wall = (
        blocks(colour, (0.3, 0.29, 0.28), scale=3, seed=seed)
        if r.random() < 0.35
        else grainy(colour, contrast=0.18, scale=2, rough=0.9, seed=seed)
    )
    height = GROUND + floors * STOREY
    depth = 12.0
    shape.box((depth, width, height + 0.6), (face_x + side * depth / 2, y + width / 2, 0), wall)
    shape.box((0.5, width + 0.1, 0.35), (face_x, y + width / 2, height + 0.35), plain((0.25, 0.24, 0.23), rough=0.9))
    pane, frame = glass(), plain(r.choice(((0.55, 0.55, 0.53), (0.08, 0.08, 0.08), (0.3, 0.2, 0.12))), rough=0.5)
    facade = _Facade(shape, r, face_x, y, width, side, lit, frame, pane)
    _windows(facade, floors, colour)
    shops = max(1, round(width / 5))
    for k in range(shops):
        _shop(facade, y + (k + 0.5) * width / shops, width / shops)
    return shape.build("house")


def _windows(f: _Facade, floors: int, colour: Colour) -> None:
    lamp = [plain((1, 0.72, 0.4), glow=g) for g in (1.2, 2.5)]
    bays = max(2, int(f.width / f.r.uniform(2.4, 3.4)))
    tall, broad = f.r.uniform(1.4, 1.9), f.r.uniform(1.1, 1.7)
    for floor in range(floors):
        for k in range(bays):
            cy, z = f.y + (k + 0.5) * f.width / bays, GROUND + floor * STOREY + 0.8
            f.shape.box((0.10, broad + 0.16, tall + 0.16), (f.x, cy, z - 0.08), f.frame)
            bright = f.lit and f.r.random() < 0.3
            f.shape.box((0.13, broad, tall), (f.x, cy, z), f.r.choice(lamp) if bright else f.pane)
            f.shape.box((0.16, 0.06, tall), (f.x, cy, z), f.frame)
            if f.r.random() < 0.3:
                f.shape.box(
                    (0.4, 0.8, 0.55),
                    (f.x - f.side * 0.25, cy + broad * 0.3, z - 0.75),
                    plain((0.6, 0.6, 0.58), rough=0.6),
                )
            if f.r.random() < 0.12:
                f.shape.box(
                    (0.9, broad + 0.8, 0.9),
                    (f.x - f.side * 0.4, cy, z - 0.7),
                    plain(tuple(c * 0.8 for c in colour), rough=0.8),
                )


def _shop(f: _Facade, cy: float, w: float) -> None:
    kind = f.r.random()
    inside = plain((1, 0.85, 0.65), glow=1.6) if f.lit and kind < 0.7 else f.pane
    if kind < 0.8:
        f.shape.box((0.14, w - 0.5, 2.5), (f.x, cy, 0.25), f.frame)
        f.shape.box((0.18, w - 0.7, 2.3), (f.x, cy, 0.3), inside)
        for bar in range(1, 4):
            f.shape.box((0.22, 0.06, 2.4), (f.x, cy - w / 2 + 0.35 + bar * (w - 0.7) / 4, 0.25), f.frame)
    else:  # a roller shutter
        for row in range(12):
            f.shape.box(
                (0.14 + 0.04 * (row % 2), w - 0.7, 0.21),
                (f.x, cy, 0.2 + row * 0.21),
                plain((0.4, 0.4, 0.42), rough=0.5, metal=0.4),
            )
    _sign(f, cy, w)
    if f.r.random() < 0.25:
        cloth = plain(f.r.choice(SIGNS), rough=0.8)
        top, low = f.x - f.side * 0.1, f.x - f.side * 1.3
        f.shape.face(
            [
                (top, cy - w / 2 + 0.2, 2.8),
                (top, cy + w / 2 - 0.2, 2.8),
                (low, cy + w / 2 - 0.2, 2.35),
                (low, cy - w / 2 + 0.2, 2.35),
            ],
            cloth,
        )


def _sign(f: _Facade, cy: float, w: float) -> None:
    out_x = f.x - f.side * 0.06
    sign = f.r.choice(SIGNS)
    f.shape.box((0.3, w - 0.3, 0.75), (out_x, cy, 2.85), plain(sign, rough=0.5, glow=0.9 if f.lit else 0))
    letters = plain((0.75, 0.7, 0.55) if sum(sign) < 0.9 else (0.4, 0.02, 0.02), glow=1.5 if f.lit else 0)
    count = f.r.randint(3, 6)
    for j in range(count):  # strokes that read as characters from afar
        ly = cy + (j - (count - 1) / 2) * 0.62
        for _ in range(4):
            if f.r.random() < 0.5:
                f.shape.box((0.03, 0.40, 0.06), (out_x - f.side * 0.17, ly, 2.98 + f.r.uniform(0, 0.42)), letters)
            else:
                f.shape.box((0.03, 0.06, 0.44), (out_x - f.side * 0.17, ly + f.r.uniform(-0.18, 0.18), 3.0), letters)
