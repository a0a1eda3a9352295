"""Composes street scenes with exact labels from rendered plates and cut-outs (scripts/render/training_art.py).

    python models/scripts/dataset/compose.py --art art/training --out train --count 1200 --teacher yolo11n_coco.pt

A plate comes with its camera matrix, so a cut-out is set down at a point of the street in metres and drawn at the size
that it has there. Some plates, with the cut-outs that were rendered on them, are kept for the test.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[2])]

import boxes  # noqa: E402 - scripts are run as files; their folder is put on the path first
import effects  # noqa: E402
import fires  # noqa: E402
import nights  # noqa: E402
from city_head import CLASSES  # noqa: E402
from manifest import Part, Split  # noqa: E402
from streets import (  # noqa: E402
    DARK,
    SCENERY,
    WATER,
    CutOut,
    Plate,
    Random,
    Scene,
    held_out_plate,
    load_cut_outs,
    load_plates,
)

CONED = 0.35
"""Share of the scenes in which traffic cones stand about."""


def spot_for(cut: CutOut, plate: Plate, random: Random) -> tuple[float, float, float]:
    """A place in the street where such a thing stands: traffic in its own half of the road, others on the pavement."""
    side = 1 if cut.at[0] >= 0 else -1
    y = random.uniform(1, 9) + random.exponential(9)
    if cut.name in ("car", "bus", "truck", "motorcycle"):
        return side * random.uniform(1.4, max(1.6, plate.half - 0.9)), y, 0.0
    if cut.name in ("person", "bicycle") and random.random() < 0.3:
        return random.uniform(-plate.half, plate.half), y, 0.0
    return side * (plate.half + random.uniform(0.5, max(0.7, plate.pavement - 0.3))), y, 0.14


def set_down(scene: Scene, cut: CutOut, plate: Plate, at: tuple[float, float, float], random: Random) -> None:
    """Draw a cut-out at a point of the street, mirrored now and then, in the plate's light."""
    x, y, depth = plate.project(at)
    if depth < 3:
        return
    scale = plate.focal / depth / cut.magnification * random.uniform(0.92, 1.08)
    if not 0.2 < scale < 2.2:
        return
    patch, (x1, y1, x2, y2), foot_x = cut.picture, cut.body, cut.foot[0]
    if random.random() < 0.2:
        width = patch.shape[1]
        patch, x1, x2, foot_x = patch[:, ::-1], width - x2, width - x1, width - foot_x
    size = max(2, round(patch.shape[1] * scale)), max(2, round(patch.shape[0] * scale))
    patch = cv2.resize(patch, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    if plate.light in DARK and not cut.dark:
        patch = patch.copy()
        patch[..., :3] = (patch[..., :3] * random.uniform(0.25, 0.5)).astype(np.uint8)
    left, top = round(x - foot_x * scale), round(y - cut.foot[1] * scale)
    height, width = scene.picture.shape[:2]
    box = (left + x1 * scale, top + y1 * scale, left + x2 * scale, top + y2 * scale)
    if box[0] > width - 8 or box[2] < 8 or box[1] > height - 8 or box[3] < 8:
        return
    effects.lay(scene.picture, patch, left, top)
    if cut.name != SCENERY:
        scene.things.append((CLASSES.index(cut.name), box))


def set_cones(scene: Scene, plate: Plate, random: Random) -> None:
    """A few orange cones about the street: they stay unnamed, so that orange alone is no fire."""
    for _ in range(int(random.integers(1, 7))):
        at = (random.uniform(-1, 1) * (plate.half + plate.pavement), random.uniform(2, 30), 0.0)
        x, y, depth = plate.project(at)
        tall = round(plate.focal / max(depth, 1.0) * random.uniform(0.45, 1.1))
        if depth < 3 or not 6 <= tall <= 160:
            continue
        patch = effects.cone(tall, random)
        if plate.light in DARK:
            patch[..., :3] = (patch[..., :3] * random.uniform(0.3, 0.7)).astype(np.uint8)
        effects.lay(scene.picture, patch, round(x - patch.shape[1] / 2), round(y - tall))


def set_walls(scene: Scene, random: Random) -> None:
    """Blank walls and a piece of overcast sky in the upper half: unnamed, so that grey and mottled alone is no smoke."""
    height, width = scene.picture.shape[:2]
    for _ in range(int(random.integers(1, 4))):
        size = round(random.uniform(0.12, 0.55) * height), round(random.uniform(0.06, 0.3) * width)
        top = 0 if random.random() < 0.6 else round(random.uniform(0, 0.35) * height)
        effects.lay(scene.picture, effects.wall(*size, random), round(random.uniform(-0.1, 1) * width), top)


def flood(plate: Plate, random: Random) -> Scene:
    """The plate under water up to a random level, with boxes around what is covered."""
    if plate.flooded is None or plate.water is None or plate.rise is None:
        return Scene(plate.picture.copy())
    level = random.uniform(70, 275)
    covered = np.clip((level - plate.rise.astype(np.float32)) / 10, 0, 1) * (plate.water.astype(np.float32) / 255)
    mixed = plate.picture * (1 - covered[..., None]) + plate.flooded * covered[..., None]
    scene = Scene(mixed.astype(np.uint8))
    height, width = covered.shape
    for box in boxes.mask_boxes(covered > 0.5, WATER):
        sides = (box.left * width, box.top * height, box.right * width, box.bottom * height)
        scene.things.append((WATER, sides))
    return scene


def compose(
    plate: Plate,
    cut_outs: list[CutOut],
    random: Random,
    *,
    flooded: float,
    burning: float,
    by_night: float = 0.0,
    walled: float = 0.0,
) -> Scene:
    """One scene: perhaps flooded, with traffic, people and stalls, perhaps on fire, perhaps with lamps in view.

    What is made dark is dry: water in the dark is not to be seen, and its box would teach that the dark is water.
    """
    dark = bool(by_night) and random.random() < by_night
    wet = random.random() < flooded and not dark
    scene = flood(plate, random) if wet else Scene(plate.picture.copy())
    if walled and random.random() < walled:
        set_walls(scene, random)
    populate(scene, plate, cut_outs, random)
    if dark:
        fall_dark(scene, plate, random, burning=burning)
        return scene
    if random.random() < burning:
        fires.burn(scene, plate, random)
    if random.random() < (0.6 if plate.light in DARK else 0.1):
        for _ in range(int(random.integers(1, 5))):  # lamps and their halos: warm light that is no fire
            cx, cy = random.uniform(0, 640), random.uniform(20, 330)
            colour = [(120, 210, 255), (200, 240, 255), (60, 90, 255), (90, 190, 255)][int(random.integers(4))]
            strength = random.uniform(0.5, 1.0)
            effects.glow(scene.picture, (cx, cy), random.uniform(2, 14), colour=colour, strength=strength)
    scene.picture = effects.as_filmed(scene.picture, random, night=plate.light == "night")
    return scene


def fall_dark(scene: Scene, plate: Plate, random: Random, *, burning: float) -> None:
    """Make a finished scene one of the night, in place: perhaps with a fire, mostly one that overexposes; with lamps."""
    if plate.light != "night":
        scene.picture = nights.by_night(scene.picture, random)
    if random.random() < 0.6:
        for _ in range(int(random.integers(1, 3))):
            nights.dazzle(scene.picture, random)
    if random.random() < burning:
        light = fires.burn_by_night if random.random() < 0.7 else fires.burn
        light(scene, dataclasses.replace(plate, light="night"), random)
    scene.picture = effects.as_filmed(scene.picture, random, night=True)


def populate(scene: Scene, plate: Plate, cut_outs: list[CutOut], random: Random) -> None:
    """Set down up to eight things and now and then some stalls, the farthest first, none upon another."""
    if random.random() < CONED:
        set_cones(scene, plate, random)
    chosen = [cut_outs[index] for index in random.integers(0, len(cut_outs), int(random.integers(0, 9)))]
    stalls = [cut for cut in cut_outs if cut.name == "stall"]
    if stalls and random.random() < 0.45:
        chosen += [stalls[int(random.integers(len(stalls)))] for _ in range(int(random.integers(1, 4)))]
    spots = [(spot_for(cut, plate, random), cut) for cut in chosen]
    taken: list[tuple[float, float]] = []
    for at, cut in sorted(spots, key=lambda spot: -plate.project(spot[0])[2]):
        if any(abs(at[0] - x) < 1.6 and abs(at[1] - y) < 3.5 for x, y in taken):
            continue
        taken.append((at[0], at[1]))
        set_down(scene, cut, plate, at, random)


def main() -> int:
    """Compose as many scenes as asked for; 0 when the table is written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--art", type=Path, required=True, help="folder with plates/ and cutouts/")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", default="composed", help="name of the table and its folder")
    parser.add_argument("--count", type=int, default=1200)
    parser.add_argument("--flooded", type=float, default=0.55, help="share of the scenes, where the plate can flood")
    parser.add_argument("--burning", type=float, default=0.35, help="share of the scenes")
    parser.add_argument("--by-night", type=float, default=0.0, help="share of the scenes that are made dark")
    parser.add_argument("--walled", type=float, default=0.0, help="share of the scenes that get blank walls")
    parser.add_argument("--skip", nargs="*", default=[], metavar="PLATE", help="plates that show no street")
    parser.add_argument(
        "--teacher", type=Path, help="COCO weights: adds the vendors that are part of a stall's cut-out"
    )
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()

    teacher = None
    if arguments.teacher:
        from detectors.torchvision_guard import make_torchvision_importable

        make_torchvision_importable()
        from teacher import Teacher

        teacher = Teacher(arguments.teacher, sizes=(640,))  # vendors stand near
    everything = load_plates(arguments.art / "plates", set())
    by_plate = load_cut_outs(arguments.art / "cutouts", {name: plate.focal for name, plate in everything.items()})
    plates = {name: plate for name, plate in everything.items() if name not in arguments.skip}
    random = np.random.default_rng(arguments.seed)
    part = Part(arguments.out, arguments.part)
    for split, share in (("train", 0.88), ("test", 0.12)):
        chosen: Split = "train" if split == "train" else "test"
        own = [plate for plate in plates.values() if held_out_plate(plate.name) == (split == "test")]
        cut_outs = [cut for name, cuts in by_plate.items() if held_out_plate(name) == (split == "test") for cut in cuts]
        if not own or not cut_outs:
            continue
        for number in range(round(arguments.count * share)):
            plate = own[number % len(own)]
            scene = compose(
                plate,
                cut_outs,
                random,
                flooded=arguments.flooded,
                burning=arguments.burning,
                by_night=arguments.by_night,
                walled=arguments.walled,
            )
            labels = scene.labels()
            if teacher is not None and any(CLASSES[box.label] == "stall" for box in labels):
                labels += [box for box in teacher.label(scene.picture) if new_person(box, labels)]
            part.add(scene.picture, labels, split=chosen, source="composed", name=f"{arguments.seed}-{number:05d}")
    part.close()
    return 0


def new_person(box: boxes.Box, known: list[boxes.Box]) -> bool:
    """Whether the teacher found a person at a stall whom no label names yet."""
    person = CLASSES.index("person")
    if box.label != person or any(boxes.iou(box, other) > 0.4 for other in known if other.label == person):
        return False
    return any(boxes.iou(box, other) > 0 for other in known if CLASSES[other.label] == "stall")


if __name__ == "__main__":
    sys.exit(main())
