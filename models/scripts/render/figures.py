"""People on foot, rows of bicycles, rubbish bins. Forward is +y."""

import math
import random

import bpy
from materials import Colour, plain
from shapes import Point, Shape
from vehicles import add_bicycle

SKIN: tuple[Colour, ...] = ((0.55, 0.33, 0.22), (0.48, 0.28, 0.18), (0.62, 0.40, 0.28))
CLOTH: tuple[Colour, ...] = (
    (0.02, 0.03, 0.08),
    (0.35, 0.02, 0.03),
    (0.5, 0.5, 0.48),
    (0.05, 0.12, 0.25),
    (0.03, 0.03, 0.03),
    (0.4, 0.25, 0.05),
    (0.05, 0.2, 0.1),
    (0.3, 0.1, 0.25),
    (0.6, 0.55, 0.4),
    (0.12, 0.12, 0.13),
)


def person(seed: int, *, stride: float = 0.25, seated: bool = False) -> bpy.types.Object:
    shape = Shape()
    add_person(shape, (0, 0, 0), seed, stride=stride, seated=seated)
    return shape.build("person")


def add_person(
    shape: Shape, at: Point, seed: int, *, stride: float = 0.25, seated: bool = False, turn: float = 0.0
) -> None:
    """A clothed figure; `stride` is half the step in metres, `turn` degrees counter-clockwise."""
    r = random.Random(seed)
    tall = r.uniform(1.58, 1.80) / 1.72
    skin, hair = plain(r.choice(SKIN), rough=0.6), plain((0.012, 0.01, 0.01), rough=0.5)
    top, trousers = plain(r.choice(CLOTH), rough=0.8), plain(r.choice(CLOTH[:5]), rough=0.85)
    shoe = plain((0.03, 0.03, 0.03), rough=0.5)
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))

    def p(x: float, y: float, z: float) -> Point:
        return (at[0] + (x * c - y * s) * tall, at[1] + (x * s + y * c) * tall, at[2] + z * tall)

    def limb(points: list[Point], radii: list[float], material: bpy.types.Material) -> None:
        for i in range(len(points) - 1):
            shape.tube(points[i], points[i + 1], radii[i], material, end=radii[i + 1], sides=10)
        for point, radius in zip(points, radii, strict=True):
            shape.ball(point, radius, material, rows=6, sides=10)

    drop = 0.40 if seated else 0.0
    hip = 0.90 - drop
    for side in (-1, 1):
        step = side * stride
        if seated:
            limb(
                [p(side * 0.09, 0, hip), p(side * 0.13, 0.42, hip), p(side * 0.13, 0.42, 0.09)],
                [0.09, 0.075, 0.05],
                trousers,
            )
            foot = (side * 0.13, 0.42)
        else:
            knee = p(side * 0.10, step * 0.55 + 0.05, 0.48)
            limb([p(side * 0.09, 0, hip), knee, p(side * 0.10, step - 0.03, 0.10)], [0.095, 0.072, 0.052], trousers)
            foot = (side * 0.10, step)
        shape.ball(p(foot[0], foot[1] + 0.06, 0.05), (0.05, 0.12, 0.05), shoe, rows=5, sides=8)
        swing = -step * 0.8
        limb(
            [
                p(side * 0.20, 0, 1.40 - drop),
                p(side * 0.25, swing * 0.4 - 0.02, 1.13 - drop),
                p(side * 0.23, swing + 0.08, 0.90 - drop),
            ],
            [0.062, 0.05, 0.04],
            top,
        )
        shape.ball(p(side * 0.23, swing + 0.10, 0.85 - drop), 0.045, skin, rows=5, sides=8)
    rings = []
    for z, wide, deep in (
        (0.84, 0.15, 0.10),
        (0.95, 0.17, 0.115),
        (1.10, 0.155, 0.105),
        (1.28, 0.19, 0.12),
        (1.40, 0.185, 0.105),
        (1.47, 0.09, 0.07),
    ):
        rings.append(
            [p(wide * math.cos(t), deep * math.sin(t), z - drop) for t in (2 * math.pi * k / 14 for k in range(14))]
        )
    shape.loft(rings, top)
    shape.tube(p(0, 0, 1.44 - drop), p(0, 0.02, 1.55 - drop), 0.055, skin, sides=10)
    shape.ball(p(0, 0.02, 1.62 - drop), (0.078, 0.095, 0.115), skin)
    shape.ball(p(0, -0.012, 1.655 - drop), (0.088, 0.10, 0.095), hair)
    kind = r.random()
    if kind < 0.35:  # a rucksack
        shape.ball(p(0, -0.17, 1.22 - drop), (0.14, 0.09, 0.2), plain(r.choice(CLOTH)))
    elif kind < 0.55 and not seated:  # a coat or skirt
        shape.loft(
            [
                [p(w * math.cos(t), w * 0.75 * math.sin(t), z) for t in (2 * math.pi * k / 14 for k in range(14))]
                for z, w in ((0.55, 0.26), (0.98, 0.18))
            ],
            top,
        )


def bicycles(count: int, seed: int) -> bpy.types.Object:
    """A row of parked bicycles, as rental firms leave them, 0.6 m apart along x."""
    r, shape = random.Random(seed), Shape()
    firm = r.choice(((0.75, 0.55, 0.02), (0.02, 0.35, 0.6), (0.02, 0.4, 0.2), (0.6, 0.1, 0.03)))
    for k in range(count):
        add_bicycle(
            shape,
            ((k - (count - 1) / 2) * 0.6, r.uniform(-0.08, 0.08), 0),
            firm if r.random() < 0.8 else r.choice(CLOTH),
        )
    return shape.build("bicycles")


def bin_with_rubbish(seed: int) -> bpy.types.Object:
    r, shape = random.Random(seed), Shape()
    green = plain((0.03, 0.16, 0.06), rough=0.5)
    for s in (-1, 1):
        shape.rounded_box((0.6, 0.65, 1.0), (s * 0.38, 0, 0.06), green, radius=0.06)
        shape.rounded_box((0.66, 0.72, 0.1), (s * 0.38, 0, 1.05), plain((0.02, 0.1, 0.04), rough=0.5), radius=0.05)
    for _ in range(5):
        shape.ball(
            (r.uniform(-0.9, 0.9), r.uniform(0.45, 0.7), 0.18),
            (r.uniform(0.2, 0.3), 0.2, 0.2),
            plain((0.03, 0.03, 0.035), rough=0.35),
        )
    return shape.build("bin")
