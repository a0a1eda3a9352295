"""What street vendors set out: umbrellas, tables, crates, racks, awnings, and whole stalls of them. Customers at +y."""

import math
import random

import bpy
from figures import CLOTH, add_person
from materials import Colour, plain
from shapes import Point, Shape
from vehicles import add_tricycle

Stripes = tuple[Colour, Colour]
FRUIT: tuple[Colour, ...] = (
    (0.6, 0.05, 0.02),
    (0.75, 0.35, 0.02),
    (0.35, 0.45, 0.05),
    (0.65, 0.55, 0.05),
    (0.1, 0.25, 0.03),
    (0.25, 0.05, 0.15),
)


def add_umbrella(
    shape: Shape, at: Point, colours: tuple[Colour, Colour], *, span: float = 1.3, height: float = 2.3
) -> None:
    x, y, z = at
    shape.tube(at, (x, y, z + height + 0.1), 0.025, plain((0.6, 0.6, 0.6), rough=0.4, metal=0.4), sides=8)
    shape.tube(at, (x, y, z + 0.08), 0.25, plain((0.2, 0.2, 0.2)), sides=12)
    count = 8
    for k in range(count):
        a, b = 2 * math.pi * k / count, 2 * math.pi * (k + 1) / count
        cloth = plain(colours[k % 2], rough=0.75)
        for (r0, h0), (r1, h1) in (((0.05, 0.0), (0.55, 0.16)), ((0.55, 0.16), (1.0, 0.46))):
            shape.face(
                [
                    (x + span * r * math.cos(t), y + span * r * math.sin(t), z + height - h)
                    for r, h, t in ((r0, h0, a), (r1, h1, a), (r1, h1, b), (r0, h0, b))
                ],
                cloth,
            )
        shape.face(
            [
                (x + span * math.cos(t), y + span * math.sin(t), z + height - h)
                for t, h in ((a, 0.46), (a, 0.62), (b, 0.62), (b, 0.46))
            ],
            plain(colours[(k + 1) % 2], rough=0.75),
        )


def add_table(shape: Shape, at: Point, size: tuple[float, float], cloth: Colour, *, covered: bool = True) -> None:
    x, y, z = at
    w, d = size
    shape.box((w, d, 0.04), (x, y, z + 0.72), plain(cloth, rough=0.8))
    if covered:
        for s in (-1, 1):
            shape.box((w, 0.01, 0.5), (x, y + s * d / 2, z + 0.24), plain(cloth, rough=0.85))
            shape.box((0.01, d, 0.5), (x + s * w / 2, y, z + 0.24), plain(cloth, rough=0.85))
    for sx in (-1, 1):
        for sy in (-1, 1):
            shape.tube(
                (x + sx * (w / 2 - 0.05), y + sy * (d / 2 - 0.05), z),
                (x + sx * (w / 2 - 0.05), y + sy * (d / 2 - 0.05), z + 0.72),
                0.02,
                plain((0.3, 0.3, 0.3), metal=0.5),
                sides=6,
            )


def add_goods(shape: Shape, at: Point, size: tuple[float, float], r: random.Random, *, heap: float = 0.12) -> None:
    """Heaps of fruit, vegetables or small boxes over a rectangle."""
    x, y, z = at
    cells = max(1, round(size[0] / 0.4))
    for k in range(cells):
        colour, boxed = r.choice(FRUIT), r.random() < 0.25
        for _ in range(12 if not boxed else 6):
            px = x - size[0] / 2 + (k + r.uniform(0.12, 0.88)) * size[0] / cells
            py = y + r.uniform(-0.42, 0.42) * size[1]
            if boxed:
                shape.box((0.14, 0.12, r.uniform(0.08, 0.22)), (px, py, z), plain(r.choice(CLOTH + FRUIT), rough=0.5))
            else:
                shape.ball(
                    (px, py, z + r.uniform(0.02, heap)),
                    r.uniform(0.045, 0.075),
                    plain(colour, rough=0.45),
                    rows=5,
                    sides=7,
                )


def add_crate(shape: Shape, at: Point, r: random.Random, *, full: bool = True) -> None:
    colour = r.choice(((0.05, 0.2, 0.45), (0.5, 0.06, 0.04), (0.05, 0.3, 0.12), (0.35, 0.22, 0.1), (0.4, 0.3, 0.18)))
    x, y, z = at
    wall = plain(colour, rough=0.6)
    for s in (-1, 1):
        shape.box((0.55, 0.03, 0.28), (x, y + s * 0.19, z), wall)
        shape.box((0.03, 0.40, 0.28), (x + s * 0.26, y, z), wall)
    shape.box((0.5, 0.36, 0.2), (x, y, z), plain((0.04, 0.03, 0.03)))
    if full:
        add_goods(shape, (x, y, z + 0.2), (0.46, 0.32), r, heap=0.14)


def add_clothes_rack(shape: Shape, at: Point, r: random.Random, *, length: float = 1.8) -> None:
    x, y, z = at
    pole = plain((0.55, 0.55, 0.55), metal=0.7, rough=0.3)
    for s in (-1, 1):
        shape.tube((x + s * length / 2, y, z), (x + s * length / 2, y, z + 1.6), 0.02, pole, sides=8)
    shape.tube((x - length / 2, y, z + 1.6), (x + length / 2, y, z + 1.6), 0.02, pole, sides=8)
    for k in range(int(length / 0.13)):
        drop = r.uniform(0.7, 1.1)
        shape.box(
            (0.07, 0.42, drop),
            (x - length / 2 + 0.1 + k * 0.13, y, z + 1.58 - drop),
            plain(r.choice(CLOTH + FRUIT), rough=0.9),
        )


def add_awning(
    shape: Shape, at: Point, colours: tuple[Colour, Colour], *, width: float = 3.0, depth: float = 2.0
) -> None:
    x, y, z = at
    pole = plain((0.6, 0.6, 0.6), metal=0.5, rough=0.4)
    for sx in (-1, 1):
        for sy, h in ((-1, 2.35), (1, 2.05)):
            shape.tube(
                (x + sx * width / 2, y + sy * depth / 2, z),
                (x + sx * width / 2, y + sy * depth / 2, z + h),
                0.025,
                pole,
                sides=8,
            )
    strips = 8
    for k in range(strips):
        a, b = x - width / 2 + k * width / strips, x - width / 2 + (k + 1) * width / strips
        cloth = plain(colours[k % 2], rough=0.8)
        back, front = y - depth / 2 - 0.1, y + depth / 2 + 0.2
        shape.face([(a, back, z + 2.4), (b, back, z + 2.4), (b, front, z + 2.05), (a, front, z + 2.05)], cloth)
        shape.face([(a, front, z + 2.05), (b, front, z + 2.05), (b, front, z + 1.82), (a, front, z + 1.82)], cloth)


def _umbrella_stall(shape: Shape, r: random.Random, bright: Stripes, cloth: Colour, *, covered: bool) -> None:
    add_umbrella(shape, (0, -0.1, 0), bright, span=r.uniform(1.25, 1.6), height=r.uniform(2.1, 2.5))
    add_table(shape, (0, 0.1, 0), (2.0, 0.85), cloth, covered=covered or r.random() < 0.5)
    add_goods(shape, (0, 0.1, 0.76), (1.9, 0.75), r)
    for k in range(r.randint(3, 5)):
        add_crate(shape, (-1.1 + k * 0.6, 0.85 + r.uniform(-0.1, 0.1), 0), r)
    for k in range(r.randint(1, 3)):
        add_crate(shape, (1.4, -0.5, 0.29 * k), r, full=k > 0)


def _tricycle_stall(shape: Shape, r: random.Random, bright: Stripes) -> None:
    add_tricycle(shape, (0, 0, 0), r.choice(((0.02, 0.15, 0.4), (0.4, 0.03, 0.03), (0.03, 0.25, 0.1))))
    add_goods(shape, (0, -0.35, 0.72), (0.95, 1.3), r, heap=0.4)
    if r.random() < 0.7:
        add_umbrella(shape, (0.2, -0.5, 0.3), bright, span=1.2, height=2.0)
    for k in range(3):
        add_crate(shape, (1.0, -0.9 + k * 0.5, 0), r)


def _awning_stall(shape: Shape, r: random.Random, bright: Stripes, cloth: Colour) -> None:
    add_awning(shape, (0, -0.2, 0), bright)
    add_table(shape, (0, 0.2, 0), (2.6, 0.8), cloth)
    add_goods(shape, (0, 0.2, 0.76), (2.5, 0.7), r)
    for k in range(5):
        add_crate(shape, (-1.3 + k * 0.62, 0.95, 0), r)


def _diner(shape: Shape, r: random.Random, bright: Stripes, seed: int) -> None:
    for sx in (-0.9, 0.9):
        top = r.choice(((0.7, 0.7, 0.68), (0.45, 0.2, 0.08), (0.5, 0.03, 0.03)))
        add_table(shape, (sx, 0, 0), (0.8, 0.8), top, covered=False)
        for a in range(4):
            x, y = sx + 0.62 * math.cos(a * math.pi / 2), 0.62 * math.sin(a * math.pi / 2)
            shape.tube((x, y, 0), (x, y, 0.44), 0.15, plain(bright[0], rough=0.5))
    add_umbrella(shape, (0, -0.2, 0), bright, span=1.5, height=2.4)
    shape.rounded_box((1.1, 0.6, 0.9), (0, -1.1, 0), plain((0.6, 0.6, 0.6), metal=0.6, rough=0.35), radius=0.05)
    add_person(shape, (-0.9, -0.62, 0), seed + 5, seated=True, stride=0)


def _spread(shape: Shape, r: random.Random, cloth: Colour) -> None:
    shape.box((2.4, 1.5, 0.02), (0, 0, 0), plain(cloth, rough=0.9))
    for row in range(3):
        add_goods(shape, (0, -0.5 + row * 0.5, 0.02), (2.2, 0.4), r)
    for k in range(4):
        add_crate(shape, (-1.0 + k * 0.65, -1.0, 0), r)


STALLS = ("fruit", "umbrella", "tricycle", "awning", "clothes", "diner", "spread")


def stall(kind: str, seed: int, *, vendor: bool = True) -> bpy.types.Object:
    """A whole arrangement, about 3 by 2 m, centred; customers stand at +y."""
    r, shape = random.Random(seed), Shape()
    bright = r.choice(
        (
            ((0.55, 0.02, 0.02), (0.75, 0.72, 0.68)),
            ((0.02, 0.12, 0.5), (0.75, 0.72, 0.68)),
            ((0.02, 0.3, 0.1), (0.75, 0.7, 0.1)),
            ((0.7, 0.25, 0.02), (0.7, 0.25, 0.02)),
            ((0.5, 0.02, 0.02), (0.5, 0.02, 0.02)),
            ((0.02, 0.1, 0.45), (0.02, 0.1, 0.45)),
        )
    )
    cloth = r.choice(CLOTH + FRUIT)
    match kind:
        case "fruit" | "umbrella":
            _umbrella_stall(shape, r, bright, cloth, covered=kind == "umbrella")
        case "tricycle":
            _tricycle_stall(shape, r, bright)
        case "awning":
            _awning_stall(shape, r, bright, cloth)
        case "clothes":
            for k in range(r.randint(2, 3)):
                add_clothes_rack(shape, (0, -0.6 + 0.7 * k, 0), r, length=r.uniform(1.6, 2.4))
        case "diner":
            _diner(shape, r, bright, seed)
        case "spread":
            _spread(shape, r, cloth)
        case _:
            raise ValueError(f"stall must be one of {', '.join(STALLS)}, got {kind!r}")
    if vendor:
        add_person(shape, (r.uniform(-0.6, 0.6), -1.0, 0), seed + 1, stride=0.06)
    return shape.build("stall")
