"""Vehicles by measure: saloons, hatchbacks, SUVs, vans, lorries, buses, cargo tricycles, bicycles. Forward is +y."""

import math
from dataclasses import dataclass

import bpy
from materials import Colour, Material, glass, paint, plain
from shapes import Shape

PAINTS: dict[str, Colour] = {
    "white": (0.75, 0.75, 0.74),
    "silver": (0.42, 0.43, 0.45),
    "grey": (0.12, 0.125, 0.13),
    "black": (0.012, 0.012, 0.014),
    "red": (0.42, 0.012, 0.015),
    "blue": (0.02, 0.07, 0.30),
    "yellow": (0.75, 0.42, 0.02),
    "green": (0.02, 0.16, 0.07),
    "brown": (0.12, 0.06, 0.03),
    "teal": (0.02, 0.22, 0.25),
    "orange": (0.7, 0.18, 0.01),
    "beige": (0.5, 0.42, 0.3),
}


@dataclass(frozen=True)
class Body:
    """A car's side view: (y, top) of the lower body, then where the cabin's glass begins and ends, in metres."""

    width: float
    line: tuple[tuple[float, float], ...]  # rear to front: y, height of bonnet, belt or boot
    cabin: tuple[float, float, float, float]  # y of: rear glass foot, roof rear, roof front, windscreen foot
    belt: float
    roof: float
    wheel: float  # radius
    axles: tuple[float, float]
    blank: bool = False  # rear sides without windows (a delivery van)


BODIES: dict[str, Body] = {
    "saloon": Body(
        1.82,
        ((-2.35, 0.72), (-2.25, 0.98), (-1.6, 1.02), (-0.6, 0.97), (0.9, 0.95), (1.5, 0.90), (2.1, 0.78), (2.35, 0.58)),
        (-1.85, -1.0, 0.12, 1.05),
        0.95,
        1.46,
        0.33,
        (-1.38, 1.38),
    ),
    "hatch": Body(
        1.76,
        ((-1.95, 0.75), (-1.9, 1.0), (-1.3, 1.02), (-0.4, 0.98), (0.8, 0.97), (1.3, 0.92), (1.8, 0.8), (2.0, 0.6)),
        (-1.9, -1.6, 0.1, 1.05),
        0.97,
        1.50,
        0.32,
        (-1.2, 1.25),
    ),
    "suv": Body(
        1.92,
        ((-2.3, 0.85), (-2.25, 1.12), (-1.6, 1.15), (-0.4, 1.1), (0.9, 1.1), (1.5, 1.06), (2.1, 0.98), (2.35, 0.7)),
        (-2.22, -1.95, 0.25, 1.1),
        1.1,
        1.74,
        0.38,
        (-1.4, 1.42),
    ),
    "minivan": Body(
        1.85,
        ((-2.3, 0.85), (-2.25, 1.08), (-1.2, 1.1), (0, 1.1), (1.2, 1.1), (1.75, 1.02), (2.15, 0.85), (2.3, 0.6)),
        (-2.27, -2.1, 0.75, 1.7),
        1.08,
        1.88,
        0.33,
        (-1.4, 1.5),
    ),
    "van": Body(
        2.0,
        ((-2.75, 0.9), (-2.72, 1.25), (-1.2, 1.25), (0, 1.25), (1.6, 1.22), (2.15, 1.12), (2.6, 0.95), (2.75, 0.65)),
        (-2.74, -2.65, 1.3, 2.2),
        1.25,
        2.35,
        0.36,
        (-1.75, 1.75),
        blank=True,
    ),
}


def car(body: str, colour: Colour, *, lit: bool = False, taxi: bool = False) -> bpy.types.Object:
    b, shape, skin = BODIES[body], Shape(), paint(colour)
    dark, trim, window = plain((0.012, 0.012, 0.012), rough=0.7), plain((0.03, 0.03, 0.03), rough=0.4), glass()
    half, rear, front = b.width / 2, b.line[0][0], b.line[-1][0]
    rings = []
    for y, top in b.line:
        edge = min(y - rear, front - y)
        w = half * (0.86 + 0.14 * min(1, edge / 0.55) ** 0.6)
        low = 0.24 + 0.10 * max(0, 1 - edge / 0.25)
        side = [
            (0, low),
            (w * 0.88, low),
            (w * 0.97, low + 0.08),
            (w, low + 0.40 * (top - low)),
            (w * 0.985, low + 0.7 * (top - low)),
            (w * 0.93, top - 0.035),
            (w * 0.84, top),
            (w * 0.4, top + 0.025),
        ]
        rings.append([(x, y, z) for x, z in side] + [(0, y, top + 0.03)] + [(-x, y, z) for x, z in reversed(side[1:])])
    shape.loft(rings, skin)
    _cabin(shape, b, skin, window)
    for y in b.axles:
        for s in (-1, 1):
            _wheel(shape, (s * (half - 0.10), y, b.wheel), b.wheel, dark, s)
            shape.tube(
                (s * (half - 0.25), y, b.wheel + 0.02),
                (s * (half + 0.004), y, b.wheel + 0.02),
                b.wheel * 1.17,
                dark,
                sides=22,
            )
    lamp = plain((1, 0.93, 0.8), rough=0.1, glow=14.0 if lit else 0)
    tail = plain((0.55, 0.01, 0.01), rough=0.25, glow=5.0 if lit else 0)
    nose, back = b.line[-2][1], b.line[1][1]
    for s in (-1, 1):
        shape.ball((s * half * 0.70, front - 0.17, nose - 0.11), (0.21, 0.16, 0.085), lamp, rows=5, sides=10)
        shape.ball((s * half * 0.76, rear + 0.10, back - 0.14), (0.17, 0.13, 0.10), tail, rows=5, sides=10)
        shape.rounded_box((0.16, 0.10, 0.14), (s * (half + 0.06), b.cabin[3] - 0.28, b.belt + 0.02), skin, radius=0.04)
        for y in (-0.35, 0.55):  # door handles and the gap between doors
            shape.box((0.02, 0.16, 0.025), (s * half * 0.985, y - 0.12, b.belt - 0.17), trim)
            shape.box((0.012, 0.012, b.belt - 0.42), (s * half * 0.992, y - 0.5, 0.36), dark)
    shape.rounded_box((b.width * 0.62, 0.08, 0.16), (0, front - 0.05, 0.46), trim, radius=0.03)
    shape.rounded_box((b.width * 0.86, 0.12, 0.14), (0, front - 0.08, 0.24), trim, radius=0.04)
    shape.rounded_box((b.width * 0.86, 0.12, 0.16), (0, rear + 0.06, 0.28), trim, radius=0.04)
    number = plain((0.02, 0.08, 0.45), rough=0.5)
    shape.box((0.44, 0.02, 0.14), (0, front + 0.01, 0.40), number)
    shape.box((0.44, 0.02, 0.14), (0, rear - 0.02, 0.62), number)
    if taxi:
        shape.rounded_box(
            (0.5, 0.2, 0.16),
            (0, (b.cabin[1] + b.cabin[2]) / 2, b.roof + 0.01),
            plain((0.9, 0.85, 0.6), glow=0.6 if lit else 0),
            radius=0.04,
        )
        for s in (-1, 1):
            shape.box((0.01, 3.0, 0.16), (s * half * 0.998, 0, 0.62), plain((0.75, 0.75, 0.74)))
    return shape.build(body)


def _cabin(shape: Shape, b: Body, skin: Material, window: Material) -> None:
    foot_rear, roof_rear, roof_front, foot_front = b.cabin
    wide, narrow = b.width / 2 * 0.93, b.width / 2 * (0.74 if b.roof < 2 else 0.86)
    span = roof_front - roof_rear
    posts = [roof_rear + span * f for f in (0.04, 0.12, 0.50, 0.545, 0.96)]
    stations = [foot_rear, roof_rear, *posts, roof_front, foot_front]
    rings, kinds = [], []
    for y in stations:
        if y in (foot_rear, foot_front):
            w, t, z = wide * 0.95, wide * 0.88, b.belt - 0.02
        else:
            bow = 0.035 * (1 - ((y - (roof_rear + roof_front) / 2) / (span / 2 + 0.01)) ** 2)
            w, t, z = wide, narrow, b.roof - 0.035 + bow
        rings.append(
            [
                (-w, y, b.belt - 0.05),
                (-t, y, max(z - 0.07, b.belt - 0.03)),
                (-t * 0.86, y, z),
                (t * 0.86, y, z),
                (t, y, max(z - 0.07, b.belt - 0.03)),
                (w, y, b.belt - 0.05),
            ]
        )
    for i in range(len(stations) - 1):
        ends = i == 0 or i == len(stations) - 2
        pane = window if i in (2 - 1, 3, 5) or ends else skin
        if b.blank and i < 4:
            pane = skin
        if i in (1, 2, 4):
            pane = skin
        if i == 3 and not b.blank:
            pane = window
        top = window if ends and not (b.blank and i == 0) else skin
        kinds.append([pane, skin if not ends else top, top, skin if not ends else top, pane, skin])
    shape.loft(rings, kinds, smooth=False)


def _wheel(shape: Shape, at: tuple[float, float, float], radius: float, tyre: Material, side: float) -> None:
    x, y, z = at
    rim, hub = plain((0.5, 0.5, 0.52), rough=0.3, metal=0.8), plain((0.06, 0.06, 0.065), rough=0.4)
    shape.tube((x - 0.10, y, z), (x + 0.10 + 0.03 * (side > 0), y, z), radius, tyre, sides=24)
    outer = x + side * 0.125
    shape.tube((x, y, z), (outer, y, z), radius * 0.68, rim, sides=20)
    shape.tube((x, y, z), (outer + side * 0.006, y, z), radius * 0.56, hub, sides=20)
    for k in range(5):
        a = 2 * math.pi * k / 5
        shape.tube(
            (outer + side * 0.008, y, z),
            (outer + side * 0.008, y + radius * 0.6 * math.cos(a), z + radius * 0.6 * math.sin(a)),
            0.035,
            rim,
            sides=6,
        )


def lorry(colour: Colour, cargo: Colour, *, lit: bool = False, length: float = 6.2) -> bpy.types.Object:
    """A box lorry: cab in front, closed body behind."""
    shape, skin, dark = Shape(), paint(colour), plain((0.012, 0.012, 0.012), rough=0.7)
    front = length / 2
    shape.rounded_box((2.1, 1.75, 1.0), (0, front - 0.9, 0.5), skin, radius=0.12)
    rings = []
    for z, back, ahead, w in (
        (1.5, front - 1.72, front - 0.04, 1.04),
        (2.15, front - 1.72, front - 0.28, 0.98),
        (2.3, front - 1.65, front - 0.42, 0.9),
    ):
        rings.append([(-w, back, z), (w, back, z), (w, ahead, z), (-w, ahead, z)])
    pane = glass()
    shape.loft(rings, [[skin, pane, pane, pane], [skin] * 4], smooth=False, cap_material=skin)
    for s in (-1, 1):
        shape.box((0.06, 0.12, 0.75), (s * 1.02, front - 0.2, 1.45), skin)
        shape.box((0.06, 0.5, 0.75), (s * 1.03, front - 1.5, 1.45), skin)
        shape.box((0.12, 0.08, 0.4), (s * 1.22, front - 0.15, 1.55), dark)
        shape.rounded_box(
            (0.36, 0.1, 0.2),
            (s * 0.76, front - 0.02, 0.72),
            plain((1, 0.93, 0.8), rough=0.1, glow=14.0 if lit else 0),
            radius=0.04,
        )
        shape.box(
            (0.25, 0.04, 0.14),
            (s * 0.85, -front + 0.0, 0.62),
            plain((0.55, 0.01, 0.01), rough=0.25, glow=5.0 if lit else 0),
        )
    shape.box((2.05, 0.1, 0.32), (0, front + 0.0, 0.38), plain((0.05, 0.05, 0.05), rough=0.5))
    shape.box((1.1, 0.03, 0.28), (0, front + 0.01, 1.0), dark)
    shape.rounded_box((2.2, length - 1.95, 2.15), (0, -0.95, 0.85), plain(cargo, rough=0.45), radius=0.05)
    for k in range(int((length - 2) / 0.55)):
        for s in (-1, 1):
            shape.box(
                (0.02, 0.04, 2.0),
                (s * 1.105, -front + 0.4 + k * 0.55, 0.92),
                plain(tuple(c * 0.8 for c in cargo), rough=0.5),
            )
    shape.box((1.0, length - 0.5, 0.25), (0, -0.1, 0.55), dark)
    _lorry_back(shape, -front, cargo, dark, lit=lit)
    for y in (front - 1.0, -front + 1.2):
        for s in (-1, 1):
            _wheel(shape, (s * 0.92, y, 0.42), 0.42, dark, s)
    return shape.build("lorry")


def _lorry_back(shape: Shape, y: float, cargo: Colour, dark: Material, *, lit: bool) -> None:
    """Doors with bars and hinges, lamps, number plate, mudguards: what tells a lorry from a white box."""
    seam, steel = plain(tuple(c * 0.45 for c in cargo), rough=0.6), plain((0.3, 0.3, 0.3), rough=0.35, metal=0.7)
    shape.box((0.03, 0.03, 2.0), (0, y + 0.01, 0.92), seam)
    for s in (-1, 1):
        for x in (0.3, 0.75):
            shape.tube((s * x, y - 0.03, 0.95), (s * x, y - 0.03, 2.9), 0.025, steel, sides=8)
        for z in (1.1, 1.9, 2.7):
            shape.box((0.16, 0.04, 0.07), (s * 1.0, y - 0.01, z), steel)
        shape.box((0.42, 0.06, 0.18), (s * 0.8, y - 0.05, 0.6), plain((0.6, 0.02, 0.01), glow=5.0 if lit else 0))
        shape.box((0.5, 0.04, 0.55), (s * 0.85, y + 0.55, 0.15), dark)
    shape.box((2.1, 0.08, 0.14), (0, y + 0.02, 0.42), dark)
    shape.box((0.5, 0.03, 0.16), (0, y - 0.05, 0.62), plain((0.75, 0.5, 0.03), rough=0.5))
    shape.box((2.1, 0.02, 0.06), (0, y - 0.01, 0.88), plain((0.7, 0.05, 0.03), rough=0.5))


def bus(colour: Colour, *, lit: bool = False, length: float = 10.0) -> bpy.types.Object:
    shape, skin, dark, pane = Shape(), paint(colour), plain((0.012, 0.012, 0.012), rough=0.7), glass()
    front, half = length / 2, 1.22
    shape.rounded_box((half * 2, length, 0.95), (0, 0, 0.35), skin, radius=0.18)
    shape.rounded_box((half * 2 - 0.04, length - 0.06, 1.15), (0, 0, 1.25), pane, radius=0.16)
    shape.rounded_box((half * 2, length, 0.55), (0, 0, 2.38), skin, radius=0.18)
    count = int(length / 1.35)
    for k in range(count + 1):
        y = -front + 0.25 + k * (length - 0.5) / count
        for s in (-1, 1):
            shape.box((0.05, 0.12, 1.2), (s * (half - 0.02), y, 1.22), skin)
    shape.rounded_box((1.5, 3.0, 0.25), (0, -1, 2.9), plain((0.7, 0.7, 0.7)), radius=0.1)
    shape.box((1.6, 0.03, 0.26), (0, front + 0.0, 2.42), plain((0.9, 0.5, 0.08), glow=0 if not lit else 3.0))
    for s in (-1, 1):
        shape.rounded_box(
            (0.4, 0.1, 0.2),
            (s * 0.85, front - 0.02, 0.62),
            plain((1, 0.93, 0.8), rough=0.1, glow=14.0 if lit else 0),
            radius=0.04,
        )
        shape.box(
            (0.2, 0.05, 0.4), (s * 1.0, -front, 0.9), plain((0.55, 0.01, 0.01), rough=0.25, glow=5.0 if lit else 0)
        )
        shape.box((0.1, 0.2, 0.5), (s * (half + 0.16), front - 0.1, 1.8), dark)
        for y in (front - 2.3, -front + 2.6):
            _wheel(shape, (s * 1.08, y, 0.48), 0.48, dark, s)
    stripe = plain((0.8, 0.8, 0.78), rough=0.4)
    for s in (-1, 1):
        shape.box((0.02, length - 0.5, 0.14), (s * half, 0, 0.95), stripe)
    return shape.build("bus")


def tricycle(colour: Colour) -> bpy.types.Object:
    """A cargo tricycle with an open tray behind."""
    shape = Shape()
    add_tricycle(shape, (0, 0, 0), colour)
    return shape.build("tricycle")


def add_tricycle(shape: Shape, at: tuple[float, float, float], colour: Colour) -> None:
    x, y, z = at
    skin, dark, frame = (
        paint(colour),
        plain((0.012, 0.012, 0.012), rough=0.7),
        plain((0.2, 0.2, 0.2), rough=0.4, metal=0.5),
    )
    tray = 0.62
    shape.box((1.05, 1.5, 0.06), (x, y - 0.35, z + tray), skin)
    for s in (-1, 1):
        shape.box((0.04, 1.5, 0.34), (x + s * 0.52, y - 0.35, z + tray), skin)
        _wheel(shape, (x + s * 0.45, y - 0.45, z + 0.3), 0.3, dark, s)
    for end in (-1.1, 0.4):
        shape.box((1.05, 0.04, 0.34), (x, y + end, z + tray), skin)
    _wheel(shape, (x, y + 1.25, z + 0.3), 0.3, dark, 1)
    shape.tube((x, y + 1.25, z + 0.3), (x, y + 1.0, z + 1.1), 0.035, frame)
    shape.tube((x - 0.3, y + 0.95, z + 1.1), (x + 0.3, y + 0.95, z + 1.1), 0.025, dark)
    shape.tube((x, y + 0.4, z + 0.5), (x, y + 1.1, z + 0.6), 0.04, skin)
    shape.rounded_box((0.28, 0.36, 0.1), (x, y + 0.62, z + 0.78), dark, radius=0.04)
    shape.tube((x, y + 0.62, z + 0.5), (x, y + 0.62, z + 0.8), 0.03, frame)


def add_bicycle(shape: Shape, at: tuple[float, float, float], colour: Colour) -> None:
    x, y, z = at
    skin, dark = plain(colour, rough=0.35), plain((0.015, 0.015, 0.015), rough=0.7)
    for wy in (-0.52, 0.52):
        rings = []
        for k in range(21):
            a = 2 * math.pi * k / 20
            rings.append(
                [
                    (
                        x + 0.018 * math.cos(t),
                        y + wy + (0.33 + 0.018 * math.sin(t)) * math.cos(a),
                        z + 0.34 + (0.33 + 0.018 * math.sin(t)) * math.sin(a),
                    )
                    for t in (2 * math.pi * m / 6 for m in range(6))
                ]
            )
        shape.loft(rings, dark, caps=False)
        for k in range(8):
            a = math.pi * k / 8
            shape.tube(
                (x, y + wy - 0.32 * math.cos(a), z + 0.34 - 0.32 * math.sin(a)),
                (x, y + wy + 0.32 * math.cos(a), z + 0.34 + 0.32 * math.sin(a)),
                0.004,
                plain((0.5, 0.5, 0.5), metal=0.6),
                sides=4,
            )
    crank, seat, head = (x, y - 0.05, z + 0.30), (x, y - 0.22, z + 0.88), (x, y + 0.38, z + 0.85)
    for a, b in (
        (crank, seat),
        (crank, head),
        ((x, y - 0.2, z + 0.76), head),
        ((x, y - 0.52, z + 0.34), crank),
        ((x, y - 0.52, z + 0.34), (x, y - 0.2, z + 0.76)),
        ((x, y + 0.52, z + 0.34), (x, y + 0.36, z + 1.0)),
    ):
        shape.tube(a, b, 0.022, skin, sides=8)
    shape.rounded_box((0.16, 0.26, 0.07), (x, y - 0.24, z + 0.88), dark, radius=0.03)
    shape.tube((x - 0.27, y + 0.34, z + 1.02), (x + 0.27, y + 0.34, z + 1.02), 0.016, dark, sides=8)
    shape.box((0.3, 0.24, 0.2), (x, y + 0.58, z + 0.78), plain((0.25, 0.25, 0.25), rough=0.5))


def bicycle(colour: Colour) -> bpy.types.Object:
    shape = Shape()
    add_bicycle(shape, (0, 0, 0), colour)
    return shape.build("bicycle")
