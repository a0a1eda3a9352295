"""Sets streets alight: flames and smoke with their boxes, as they are drawn here, in the demo, and seen too bright by night."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[2])]

import effects  # noqa: E402 - scripts are run as files; their folder is put on the path first
import nights  # noqa: E402
from city_head import CLASSES  # noqa: E402
from streets import FIRE, SMOKE, Picture, Plate, Random, Scene  # noqa: E402


def seat(scene: Scene, plate: Plate, random: Random) -> tuple[float, float, float] | None:
    """Where something burns: the foot (x, y) and the width of it, pixels, on the ground, at a thing or in a window."""
    height, width = scene.picture.shape[:2]
    hosts = [box for label, box in scene.things if label != CLASSES.index("person") and box[2] - box[0] > 25]
    if hosts and random.random() < 0.4:
        x1, y1, x2, y2 = hosts[int(random.integers(len(hosts)))]
        x, y, span = random.uniform(x1, x2), random.uniform((y1 + y2) / 2, y2), (x2 - x1) * random.uniform(0.3, 1.0)
    else:
        point = (random.uniform(-1, 1) * (plate.half + plate.pavement), random.uniform(2, 26), 0.0)
        x, y, depth = plate.project(point)
        if depth < 3:
            return None
        span = plate.focal / depth * random.uniform(0.6, 3.0)
        if random.random() < 0.2:
            y -= plate.focal / depth * random.uniform(2, 9)  # out of a window
    span = float(np.clip(span, 12, 170))
    return (x, y, span) if 0 <= x < width and 20 <= y <= height + span / 2 else None


def burn(scene: Scene, plate: Plate, random: Random) -> None:
    """Set something alight: flames on the ground, on what stands there or at a wall, smoke above; or smoke alone."""
    if (found := seat(scene, plate, random)) is None:
        return
    x, y, span = found
    what = random.choice(["both", "fire", "smoke"], p=[0.5, 0.3, 0.2])
    if random.random() < 0.4:
        burn_as_in_the_demo(scene, (x, y), span, random, what=what)
        return
    if what != "fire":
        wide, tall = round(span * random.uniform(1.2, 3)), round(span * random.uniform(1.5, 4.5))
        plume = effects.smoke(max(24, tall), max(20, wide), random)
        before = scene.picture.copy()
        effects.lay(scene.picture, plume, round(x - plume.shape[1] / 2), round(y - span * 0.3 - plume.shape[0]))
        scene.note_change(SMOKE, before)
    if what != "smoke":
        fire = effects.flames(max(12, round(span * random.uniform(0.6, 1.6))), round(span), random)
        around, strength = (x, y - span * 0.3), random.uniform(0.1, 0.5)
        effects.glow(scene.picture, around, span * 0.8, colour=(30, 110, 250), strength=strength)
        place(scene, fire, round(x - span / 2), round(y - fire.shape[0]), FIRE, least=100, glowing=True)


def burn_by_night(scene: Scene, plate: Plate, random: Random) -> None:
    """Set something alight that is too bright for the sensor; at the picture's edge too, and as wide as half of it."""
    found = next((at for _ in range(6) if (at := seat(scene, plate, random)) is not None), None)
    if found is None:
        return
    width = scene.picture.shape[1]
    x, y, span = found[0], found[1], width * nights.LEAST_BLAZE * float(np.exp(random.uniform(0, 1.8)))
    if random.random() < 0.2:
        x = width * float(random.choice([0.0, 1.0])) + random.uniform(-0.1, 0.1) * span
    if (box := nights.blaze(scene.picture, (x, y), span, random)) is not None:
        scene.things.append((FIRE, box))


def burn_as_in_the_demo(scene: Scene, foot: tuple[float, float], span: float, random: Random, *, what: str) -> None:
    """The flames and smoke of the demo's footage, of random seed, age, size and wind: a second way to draw a fire."""
    from citybrain.demo.footage_fire import add_flames, add_smoke

    at, seed = float(random.uniform(20, 400)), int(random.integers(1 << 16))
    if what != "fire":
        before, frame = scene.picture.copy(), scene.picture.astype(np.float32)
        height, strength = span * random.uniform(1.8, 4.5), random.uniform(0.5, 1.0)
        grey, wind = random.uniform(0.1, 0.8), random.uniform(-0.6, 0.6)
        start = (foot[0], foot[1] - span * 0.4)
        add_smoke(frame, start, height, at=at, strength=strength, started=0, grey=grey, wind=wind, seed=seed)
        scene.picture[:] = frame.clip(0, 255).astype(np.uint8)
        scene.note_change(SMOKE, before)
    if what != "smoke":
        frame = scene.picture.astype(np.float32)
        size = (span, span * random.uniform(0.7, 2.0))
        box = add_flames(frame, foot, size, at=at, strength=random.uniform(0.35, 1.0), seed=seed)
        scene.picture[:] = frame.clip(0, 255).astype(np.uint8)
        if box is not None and box[0] < frame.shape[1] and box[2] > 0 and box[1] < frame.shape[0]:
            scene.things.append((FIRE, box))


def place(scene: Scene, patch: Picture, left: int, top: int, label: int, *, least: int, glowing: bool = False) -> None:
    """Blend an effect in and label the part of it that can be seen within the picture."""
    effects.lay(scene.picture, patch, left, top, glowing=glowing)
    height, width = scene.picture.shape[:2]
    inside = patch[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
    seen = effects.seen_part(inside, least=least) if inside.size else None
    if seen is not None:
        x, y = max(0, left), max(0, top)
        scene.things.append((label, (x + seen[0], y + seen[1], x + seen[2], y + seen[3])))
