"""A street from a seed: roadway, kerbs and markings, pavements, houses with shops, trees, lamps, sky and sun.

The road runs along y; x < 0 is the left side. Lanes drive on the right: x > 0 leads away (+y).
"""

import math
import random
from dataclasses import dataclass, field

import bpy
import houses
from materials import Material, blocks, grainy, leaves, plain, worn
from shapes import Shape

NEAR, FAR = houses.NEAR, houses.FAR
KERB_HEIGHT = 0.14


@dataclass(frozen=True)
class Street:
    seed: int
    light: str = "day"  # day | overcast | dusk | night
    wet: float = 0.0
    half: float = 5.0  # half the roadway's width
    pavement: float = 4.5
    sun: tuple[float, float] = (48.0, 160.0)  # elevation, azimuth in degrees
    yellow: tuple[int, ...] = (1,)  # sides (-1 left, 1 right) where stopping is forbidden
    crossing: float | None = None  # y of a zebra crossing
    lanes: int = 2
    trees: bool = True
    clear: tuple[tuple[int, float, float], ...] = field(default=())  # (side, from y, to y) kept free of trees and bins


def build(street: Street) -> dict[str, list[bpy.types.Object]]:
    """Builds the scene; answers the objects by part: road, pavement, rest."""
    r = random.Random(street.seed)
    road = _ground(street, r)
    pavement = _pavements(street, r)
    rest = [_markings(street, r)]
    for side in (-1, 1):
        rest += houses.row(street, side, random.Random(street.seed * 7 + side))
        rest += _furniture(street, side, random.Random(street.seed * 11 + side))
    _sky(street)
    return {"road": [road], "pavement": pavement, "rest": rest}


def _strip(x0: float, x1: float, z: float, material: Material, name: str) -> bpy.types.Object:
    shape = Shape()
    shape.face([(x0, NEAR, z), (x1, NEAR, z), (x1, FAR, z), (x0, FAR, z)], material)
    return shape.build(name)


def _ground(street: Street, r: random.Random) -> bpy.types.Object:
    grey = r.uniform(0.055, 0.11)
    tint = r.uniform(0.95, 1.05)
    asphalt = grainy(
        (grey * tint, grey, grey / tint), contrast=0.35, scale=14, rough=0.85, wet=street.wet, seed=street.seed % 97
    )
    return _strip(-street.half, street.half, 0, asphalt, "road")


def _pavements(street: Street, r: random.Random) -> list[bpy.types.Object]:
    colour = r.choice(((0.30, 0.29, 0.27), (0.33, 0.24, 0.19), (0.26, 0.26, 0.27), (0.38, 0.34, 0.28)))
    paving = blocks(
        colour, tuple(c * 0.5 for c in colour), scale=r.uniform(1.6, 2.6), seed=street.seed % 89, wet=street.wet
    )
    stone = grainy((0.33, 0.33, 0.32), contrast=0.2, scale=5, rough=0.8, wet=street.wet * 0.7, seed=2)
    gold = worn((0.75, 0.48, 0.03), seed=street.seed % 31)
    out = []
    for s in (-1, 1):
        a, b = sorted((s * (street.half + 0.2), s * (street.half + street.pavement + 14)))
        out.append(_strip(a, b, KERB_HEIGHT, paving, "pavement"))
        kerb, y, k = Shape(), NEAR, 0
        while y < FAR:
            kerb.box(
                (0.2, 1.98, KERB_HEIGHT + 0.01),
                (s * (street.half + 0.1), y + 1, 0),
                gold if s in street.yellow and k % 2 else stone,
            )
            y, k = y + 2, k + 1
        out.append(kerb.build("kerb"))
    return out


def _markings(street: Street, r: random.Random) -> bpy.types.Object:
    shape, white, gold = (
        Shape(),
        worn((0.7, 0.7, 0.68), seed=street.seed % 23),
        worn((0.8, 0.5, 0.03), seed=street.seed % 29),
    )

    def bar(x: float, y0: float, y1: float, width: float, material: Material) -> None:
        shape.face(
            [
                (x - width / 2, y0, 0.006),
                (x + width / 2, y0, 0.006),
                (x + width / 2, y1, 0.006),
                (x - width / 2, y1, 0.006),
            ],
            material,
        )

    stops = [] if street.crossing is None else [(street.crossing - 4.5, street.crossing + 4.5)]
    for x, dashed, material in _lines(street, white, gold):
        y = NEAR
        while y < FAR:
            end = y + (4.0 if dashed else 6.0)
            if not any(lo < end and y < hi for lo, hi in stops):
                bar(x, y, end, 0.14, material)
            y += 10.0 if dashed else 6.0
    for s in street.yellow:
        bar(s * (street.half - 0.25), NEAR, FAR, 0.16, gold)
        bar(s * (street.half - 0.55), NEAR, FAR, 0.12, gold)
    if street.crossing is not None:
        x = -street.half + 0.5
        while x < street.half - 0.3:
            bar(x, street.crossing - 2, street.crossing + 2, 0.45, white)
            x += 0.95
        shape.face(
            [
                (0.1, street.crossing - 3.6, 0.006),
                (street.half - 0.1, street.crossing - 3.6, 0.006),
                (street.half - 0.1, street.crossing - 3.2, 0.006),
                (0.1, street.crossing - 3.2, 0.006),
            ],
            white,
        )
    patch = grainy((0.04, 0.04, 0.042), contrast=0.25, scale=20, rough=0.9, wet=street.wet, seed=5)
    for _ in range(7):  # mended places and manhole covers
        x, y, w, d = r.uniform(-0.8, 0.7) * street.half, r.uniform(-5, 40), r.uniform(0.6, 1.6), r.uniform(1, 4)
        shape.face([(x, y, 0.003), (x + w, y, 0.003), (x + w, y + d, 0.003), (x, y + d, 0.003)], patch)
    iron = plain((0.05, 0.045, 0.04), rough=0.5, metal=0.6)
    for _ in range(4):
        x, y = r.uniform(-0.7, 0.7) * street.half, r.uniform(-2, 35)
        shape.tube((x, y, 0), (x, y, 0.008), 0.36, iron, sides=24)
    return shape.build("markings")


def _lines(street: Street, white: Material, gold: Material) -> list[tuple[float, bool, Material]]:
    middle = [(-0.12, False, gold), (0.12, False, gold)] if street.lanes >= 4 else [(0.0, True, white)]
    if street.lanes >= 4:
        middle += [(s * street.half / 2, True, white) for s in (-1, 1)]
    return middle


def _furniture(street: Street, side: int, r: random.Random) -> list[bpy.types.Object]:
    out: list[bpy.types.Object] = []
    x = side * (street.half + 0.8)

    def free(y: float) -> bool:
        return not any(s == side and lo < y < hi for s, lo, hi in street.clear)

    y = NEAR + r.uniform(0, 6)
    while y < FAR and street.trees:
        if free(y) and r.random() < 0.85:
            out.append(_tree(x + side * 0.3, y, r))
        y += r.uniform(7, 11)
    y = NEAR + 4
    while y < FAR:
        if free(y):
            out.append(_lamp(x, y, side, lit=street.light in ("dusk", "night")))
        y += 22
    shape = Shape()
    for _ in range(10):
        y = r.uniform(-5, 60)
        if free(y):
            if r.random() < 0.5:
                shape.tube(
                    (x - side * 0.3, y, KERB_HEIGHT), (x - side * 0.3, y, 0.95), 0.08, plain((0.3, 0.3, 0.3), rough=0.5)
                )
            else:
                shape.rounded_box(
                    (0.5, 0.9, 0.95),
                    (x + side * (street.pavement - 1.6), y, KERB_HEIGHT),
                    plain(r.choice(houses.SIGNS), rough=0.5),
                    radius=0.05,
                )
    if street.crossing is not None and side > 0:  # the housing of a traffic light beyond the stop line
        x, y, dark = street.half + 0.7, street.crossing - 3.4, plain((0.02, 0.02, 0.02), rough=0.6)
        shape.tube((x, y, 0), (x, y, 4.4), 0.07, plain((0.3, 0.3, 0.3), rough=0.5, metal=0.4))
        shape.box((0.34, 0.22, 1.0), (x, y - 0.1, 3.5), dark)
    out.append(shape.build("street furniture"))
    return out


def _tree(x: float, y: float, r: random.Random) -> bpy.types.Object:
    shape, bark = Shape(), plain((0.09, 0.06, 0.04), rough=0.95)
    trunk = r.uniform(2.6, 3.4)
    shape.tube((x, y, 0), (x + r.uniform(-0.1, 0.1), y, trunk + 0.8), 0.16, bark, end=0.10, sides=9)
    shape.box((1.1, 1.1, 0.02), (x, y, KERB_HEIGHT), plain((0.05, 0.035, 0.025), rough=1))
    green = leaves(r.choice(((0.05, 0.11, 0.025), (0.035, 0.085, 0.03), (0.08, 0.12, 0.02))))
    size = r.uniform(1.3, 2.0)
    for _ in range(170):
        a, b, d = r.uniform(0, 2 * math.pi), math.acos(r.uniform(-1, 1)), r.uniform(0.5, 1) * size
        p = (
            x + d * math.sin(b) * math.cos(a),
            y + d * math.sin(b) * math.sin(a),
            trunk + size * 0.8 + 0.8 * d * math.cos(b),
        )
        s = r.uniform(0.12, 0.3)
        shape.ball(p, (s, s * r.uniform(0.7, 1.2), s * r.uniform(0.5, 0.9)), green, rows=4, sides=5)
    return shape.build("tree")


def _lamp(x: float, y: float, side: int, *, lit: bool) -> bpy.types.Object:
    shape, steel = Shape(), plain((0.25, 0.26, 0.27), rough=0.4, metal=0.6)
    shape.tube((x, y, 0), (x, y, 7.2), 0.09, steel, end=0.06, sides=10)
    shape.tube((x, y, 7.2), (x - side * 1.9, y, 7.6), 0.05, steel, sides=8)
    shape.rounded_box((0.8, 0.25, 0.1), (x - side * 1.9, y, 7.5), steel, radius=0.04)
    if lit:
        shape.box((0.7, 0.2, 0.02), (x - side * 1.9, y, 7.46), plain((1, 0.75, 0.42), glow=60))
        lamp = bpy.data.lights.new("lamp", "SPOT")
        lamp.energy, lamp.color, lamp.spot_size, lamp.shadow_soft_size = 1500, (1, 0.74, 0.42), math.radians(140), 0.3
        light = bpy.data.objects.new("lamp light", lamp)
        light.location = (x - side * 1.9, y, 7.4)
        bpy.context.scene.collection.objects.link(light)
    return shape.build("lamp")


def _sky(street: Street) -> None:
    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world = world
    world.use_nodes = True
    nodes, link = world.node_tree.nodes, world.node_tree.links.new
    back = nodes["Background"]
    if street.light == "day":
        sky = nodes.new("ShaderNodeTexSky")
        sky.sky_type = "NISHITA"
        sky.sun_elevation, sky.sun_rotation = (math.radians(v) for v in street.sun)
        sky.sun_disc, sky.dust_density, sky.ozone_density = False, 2.0, 1.0
        link(sky.outputs["Color"], back.inputs["Color"])
        back.inputs["Strength"].default_value = 0.16
    else:
        colour, strength = {
            "overcast": ((0.80, 0.85, 0.92), 0.95),
            "dusk": ((0.30, 0.36, 0.55), 0.16),
            "night": ((0.10, 0.12, 0.22), 0.03),
        }[street.light]
        back.inputs["Color"].default_value = (*colour, 1)
        back.inputs["Strength"].default_value = strength
    if street.light in ("day", "overcast"):
        lamp = bpy.data.lights.new("sun", "SUN")
        lamp.energy, lamp.angle = (3.6, math.radians(0.8)) if street.light == "day" else (0.5, math.radians(40))
        lamp.color = (1, 0.95, 0.86)
        sun = bpy.data.objects.new("sun", lamp)
        elevation, azimuth = (math.radians(v) for v in street.sun)
        sun.rotation_euler = (math.pi / 2 - elevation, 0, math.pi - azimuth)
        bpy.context.scene.collection.objects.link(sun)
