"""Composes street scenes with exact labels from rendered plates and cut-outs (scripts/render/training_art.py).

    python models/scripts/dataset/compose.py --art art/training --out train --count 1200 --teacher yolo11n_coco.pt

A plate comes with its camera matrix, so a cut-out is set down at a point of the street in metres and drawn at the size
that it has there. Some plates, with the cut-outs that were rendered on them, are kept for the test.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[2])]

import boxes  # noqa: E402 - scripts are run as files; their folder is put on the path first
import effects  # noqa: E402
from city_head import CLASSES  # noqa: E402
from manifest import Part, Split  # noqa: E402

Picture = np.ndarray[Any, Any]
Random = np.random.Generator
SENSOR_MM = 36.0
DARK = ("dusk", "night")
SCENERY = "scenery"
"""The label of cut-outs that are none of the model's classes: bins, sacks. They are drawn and stay unnamed."""
HELD_OUT_PLATES = (5, 11, 16, 17, 20, 23)
"""Plates of the test, by number: two of them (16, 20) have a flooded twin."""
CONED = 0.35
"""Share of the scenes in which traffic cones stand about."""
FIRE, SMOKE, WATER = CLASSES.index("fire"), CLASSES.index("smoke"), CLASSES.index("water")


@dataclass(frozen=True)
class Plate:
    """An empty street: its picture, perhaps its flooded twin, and the camera that saw both."""

    name: str
    picture: Picture
    matrix: Picture
    focal: float
    light: str
    half: float
    pavement: float
    flooded: Picture | None = None
    water: Picture | None = None
    rise: Picture | None = None

    def project(self, point: tuple[float, float, float]) -> tuple[float, float, float]:
        """Metres in the street to (x px, y px, distance in metres along the view)."""
        x, y, depth = self.matrix @ np.array([*point, 1.0])
        return float(x / depth), float(y / depth), float(depth)


@dataclass(frozen=True)
class CutOut:
    """A thing cut out of its render with its shadow, and where its body and foot are in that patch."""

    name: str
    """A class of the model, or `SCENERY`."""
    picture: Picture
    body: tuple[float, float, float, float]
    foot: tuple[float, float]
    magnification: float
    """Pixels a metre."""
    at: tuple[float, float, float]
    dark: bool


@dataclass
class Scene:
    """A picture in the making and the boxes in it, pixels, the nearer ones later."""

    picture: Picture
    things: list[tuple[int, tuple[float, float, float, float]]] = field(default_factory=list)

    def note_change(self, label: int, before: Picture, *, least: int = 18) -> None:
        """Label what has visibly changed since `before`: dark smoke before a dark wall is there, but not to be seen."""
        changed = cv2.absdiff(self.picture, before).max(axis=2)
        rows, columns = np.nonzero(cv2.blur(changed, (5, 5)) >= least)
        if rows.size < 60:
            return
        (top, bottom), (left, right) = (np.percentile(line, (1, 99)) for line in (rows, columns))
        self.things.append((label, (float(left), float(top), float(right) + 1, float(bottom) + 1)))

    def labels(self) -> list[boxes.Box]:
        """The boxes, 0..1, without those that nearer things or the picture's edge hide for the greater part."""
        height, width = self.picture.shape[:2]
        found = []
        for index, (label, (x1, y1, x2, y2)) in enumerate(self.things):
            seen = np.zeros((height, width), bool)
            seen[max(0, round(y1)) : round(max(0, y2)), max(0, round(x1)) : round(max(0, x2))] = True
            for other, (a1, b1, a2, b2) in self.things[index + 1 :]:
                if label < FIRE and other < FIRE:  # smoke and water hide nothing that has a box
                    seen[max(0, round(b1)) : round(max(0, b2)), max(0, round(a1)) : round(max(0, a2))] = False
            if seen.sum() < 0.4 * (x2 - x1) * (y2 - y1) or min(x2 - x1, y2 - y1) < 5:
                continue
            sides = (max(0.0, x1) / width, max(0.0, y1) / height, min(width, x2) / width, min(height, y2) / height)
            found.append(boxes.Box(label, *sides))
        return found


def held_out_plate(name: str) -> bool:
    """Whether a plate, and all that was rendered on it, belongs to the test."""
    return int(name.rsplit("_", 1)[1]) in HELD_OUT_PLATES


def load_plates(folder: Path, skipped: set[str]) -> dict[str, Plate]:
    """Every plate of an art folder by name."""
    plates = {}
    for note in sorted(folder.glob("plate_*.json")):
        if note.stem in skipped:
            continue
        record = json.loads(note.read_text(encoding="utf-8"))
        layers = {
            kind: cv2.imread(str(note.with_name(f"{note.stem}_{kind}.png")), how)
            for kind, how in (("flooded", cv2.IMREAD_COLOR), ("water", 0), ("rise", 0))
            if record["flooded"]
        }
        picture = cv2.imread(str(note.with_suffix(".png")), cv2.IMREAD_COLOR)
        assert picture is not None, note
        plates[note.stem] = Plate(
            name=note.stem,
            picture=picture,
            matrix=np.array(record["matrix"]),
            focal=record["camera"]["lens"] / SENSOR_MM * picture.shape[1],
            light=record["light"],
            half=record["road_half_m"],
            pavement=record["pavement_m"],
            **layers,
        )
    return plates


def load_cut_outs(folder: Path, focal: dict[str, float]) -> dict[str, list[CutOut]]:
    """The cut-outs by the plate that they were rendered on; `focal` gives that plate's focal length in pixels."""
    found: dict[str, list[CutOut]] = {}
    for note in sorted(folder.glob("*.json")):
        record = json.loads(note.read_text(encoding="utf-8"))
        picture = cv2.imread(str(note.with_suffix(".png")), cv2.IMREAD_UNCHANGED)
        if picture is None or record["label"] not in (*CLASSES, SCENERY) or record["plate"] not in focal:
            continue
        cut = CutOut(
            name=record["label"],
            picture=picture,
            body=within(record["box_px"], picture),
            foot=tuple(record["foot_px"]),
            magnification=focal[record["plate"]] / record["depth_m"],
            at=tuple(record["at_m"]),
            dark=record["light"] in DARK,
        )
        found.setdefault(record["plate"], []).append(cut)
    return found


def within(box: Sequence[float], picture: Picture) -> tuple[float, float, float, float]:
    """The part of a box that its patch shows: a render that its plate's edge cut off shows less than the whole thing."""
    height, width = picture.shape[:2]
    left, top, right, bottom = box
    return max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom)


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


def burn(scene: Scene, plate: Plate, random: Random) -> None:
    """Set something alight: flames on the ground, on what stands there or at a wall, smoke above; or smoke alone."""
    height, width = scene.picture.shape[:2]
    hosts = [box for label, box in scene.things if label != CLASSES.index("person") and box[2] - box[0] > 25]
    if hosts and random.random() < 0.4:
        x1, y1, x2, y2 = hosts[int(random.integers(len(hosts)))]
        x, y, span = random.uniform(x1, x2), random.uniform((y1 + y2) / 2, y2), (x2 - x1) * random.uniform(0.3, 1.0)
    else:
        point = (random.uniform(-1, 1) * (plate.half + plate.pavement), random.uniform(2, 26), 0.0)
        x, y, depth = plate.project(point)
        if depth < 3:
            return
        span = plate.focal / depth * random.uniform(0.6, 3.0)
        if random.random() < 0.2:
            y -= plate.focal / depth * random.uniform(2, 9)  # out of a window
    span = float(np.clip(span, 12, 170))
    if not (0 <= x < width and 20 <= y <= height + span / 2):
        return
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


def compose(plate: Plate, cut_outs: list[CutOut], random: Random, *, flooded: float, burning: float) -> Scene:
    """One scene: perhaps flooded, with traffic, people and stalls, perhaps on fire, perhaps with lamps in view."""
    scene = flood(plate, random) if random.random() < flooded else Scene(plate.picture.copy())
    populate(scene, plate, cut_outs, random)
    if random.random() < burning:
        burn(scene, plate, random)
    if random.random() < (0.6 if plate.light in DARK else 0.1):
        for _ in range(int(random.integers(1, 5))):  # lamps and their halos: warm light that is no fire
            cx, cy = random.uniform(0, 640), random.uniform(20, 330)
            colour = [(120, 210, 255), (200, 240, 255), (60, 90, 255), (90, 190, 255)][int(random.integers(4))]
            strength = random.uniform(0.5, 1.0)
            effects.glow(scene.picture, (cx, cy), random.uniform(2, 14), colour=colour, strength=strength)
    scene.picture = effects.as_filmed(scene.picture, random, night=plate.light == "night")
    return scene


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
            scene = compose(plate, cut_outs, random, flooded=arguments.flooded, burning=arguments.burning)
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
