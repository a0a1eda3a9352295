"""Renders streets and cut-outs to train with: `python training_art.py OUT [--plates N] [--first SEED]`.

Each plate gets a JSON of projected polygons and the camera matrix, every second one a flooded picture and water mask.
Files appear under their final name only when complete, so that a trainer may read the folder while it grows.
"""

import argparse
import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path

import bpy
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import figures
import flood
import stalls
import street
import studio
import vehicles

LABELS = ("car", "person", "stall", "car", "truck", "stall", "bicycle", "car", "person", "stall", "bus", "tricycle")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--plates", type=int, default=24)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=90_000, help="the demo's art uses seeds below 1000")
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--cut-outs", type=int, default=5, help="for each plate")
    wanted = parser.parse_args()
    (wanted.out / "plates").mkdir(parents=True, exist_ok=True)
    (wanted.out / "cutouts").mkdir(exist_ok=True)
    for number in range(wanted.first, wanted.first + wanted.plates):
        one_street(wanted.out, number, wanted.seed + number, samples=wanted.samples, things=wanted.cut_outs)
        print(f"plate {number} done", flush=True)


def one_street(out: Path, number: int, seed: int, *, samples: int, things: int) -> None:
    r = random.Random(seed)
    scratch = out / ".render.png"
    studio.new_scene(samples=samples)
    spec, view = random_street(r, seed, number), random_view(r)
    parts = street.build(spec)
    studio.aim(view)
    matrix, name = view.matrix(), f"plate_{number:03d}"
    plate = studio.shoot(scratch, samples=samples)
    save(out / "plates" / f"{name}.png", plate)
    flooded = number % 2 == 0
    if flooded:
        picture, water, rise = flood.flood(
            spec,
            matrix,
            scratch,
            samples=samples,
            reach=(r.uniform(-4, 4), r.uniform(24, 45)),
            level=r.choice((0.06, 0.1, 0.18)),
            colour=r.choice(((0.10, 0.075, 0.05), (0.06, 0.06, 0.05), (0.13, 0.09, 0.05))),
        )
        share = cv2.GaussianBlur(water, (0, 0), 1.0)[:, :, None] / 255.0
        save(out / "plates" / f"{name}_flooded.png", (picture * share + plate * (1 - share)).astype(np.uint8))
        save(out / "plates" / f"{name}_water.png", water)
        save(out / "plates" / f"{name}_rise.png", rise)
    record = {
        "light": spec.light,
        "wet": spec.wet,
        "flooded": flooded,
        "matrix": matrix.round(5).tolist(),
        "camera": {"place": view.place, "target": view.target, "lens": view.lens},
        "road_half_m": spec.half,
        "pavement_m": spec.pavement,
        "zones": zones(spec, matrix),
    }
    note(out / "plates" / f"{name}.json", record)
    scene = Set(name, spec, view, studio.Stage(parts, view, spec.sun if spec.light == "day" else None))
    for thing in range(number * things, (number + 1) * things):
        place_one(out, thing, scene, r, label=LABELS[thing % len(LABELS)])


def random_street(r: random.Random, seed: int, number: int) -> street.Street:
    light = ("day", "overcast", "day", "dusk", "day", "overcast", "night", "day")[number % 8]
    wet = r.uniform(0.4, 1) if r.random() < (0.5 if light != "day" else 0.15) else 0.0
    return street.Street(
        seed=seed,
        light=light,
        wet=wet,
        half=r.uniform(4.2, 7.5),
        pavement=r.uniform(3, 6),
        lanes=r.choice((2, 2, 4)),
        sun=(r.uniform(28, 65), r.uniform(0, 360)),
        yellow=r.choice(((1,), (-1,), (-1, 1), ())),
        crossing=r.choice((None, None, r.uniform(10, 22))),
        clear=((1, -40, 14), (-1, -40, 12)),
    )


def random_view(r: random.Random) -> studio.View:
    side = r.choice((-1, 1))
    height = r.uniform(3.8, 8)
    return studio.View(
        (side * r.uniform(3, 8.5), r.uniform(-9, -4), height),
        (-side * r.uniform(-1, 4.5), r.uniform(6, 13), r.uniform(0, 1)),
        r.uniform(22, 36),
    )


def zones(spec: street.Street, matrix: np.ndarray) -> dict[str, list[list[list[float]]]]:
    """Polygons 0..1 by kind, as far as 60 m down the road."""
    near, far, h = -12.0, 60.0, spec.half

    def strip(x0: float, x1: float, z: float = 0.0) -> list[list[float]]:
        return studio.outline(matrix, [(x0, near), (x1, near), (x1, far), (x0, far)], z=z)

    found = {
        "roadway": [strip(-h, h)],
        "pavement": [strip(s * h, s * (h + spec.pavement), street.KERB_HEIGHT) for s in (-1, 1)],
        "no_parking": [strip(s * (h - 2.4), s * h) for s in spec.yellow],
    }
    return {kind: [p for p in polygons if p] for kind, polygons in found.items()}


@dataclass(frozen=True)
class Set:
    """A street as a stage: what is needed to place things on it."""

    plate: str
    spec: street.Street
    view: studio.View
    stage: studio.Stage


def place_one(out: Path, number: int, scene: Set, r: random.Random, *, label: str) -> None:
    """Renders one thing somewhere on the street; nothing when no place in sight is found."""
    spec = scene.spec
    thing, walks = make(label, number, r, lit=spec.light in ("dusk", "night"))
    name = "stall" if label == "tricycle" else label
    placed = somewhere(scene, r, walks=walks, faces_road=name == "stall")
    cut = None
    if placed is not None:
        at, heading = placed
        cut = scene.stage.cut_out(thing, at, out / ".render.png", heading=heading, samples=20)
    height = max(v.co.z for v in thing.data.vertices)
    bpy.data.objects.remove(thing)
    if cut is None:
        return
    file = out / "cutouts" / f"{name}_{number:03d}.png"
    x, y = cut["corner"]
    note(
        file.with_suffix(".json"),
        {
            "label": name,
            "kind": label,
            "height_m": round(height, 2),
            "heading": round(heading, 1),
            "light": spec.light,
            "plate": scene.plate,
            "corner_px": [x, y],
            "box_px": [round(v - o, 1) for v, o in zip(cut["box"], (x, y, x, y), strict=True)],
            "foot_px": [round(cut["foot"][0] - x, 1), round(cut["foot"][1] - y, 1)],
            "depth_m": round(cut["depth"], 2),
            "at_m": [round(v, 2) for v in at],
        },
    )
    save(file, cut["picture"])


def somewhere(
    scene: Set, r: random.Random, *, walks: bool, faces_road: bool
) -> tuple[tuple[float, float, float], float] | None:
    """A place on pavement or roadway well inside the picture, and a heading that suits it."""
    spec = scene.spec
    for _ in range(12):
        side = r.choice((-1, 1))
        if walks:
            at = (side * (spec.half + r.uniform(0.8, spec.pavement - 0.5)), r.uniform(1, 16), street.KERB_HEIGHT)
            heading = 90.0 * side + r.uniform(-20, 20) if faces_road else r.uniform(0, 360)
        else:
            at = (side * r.uniform(1.6, spec.half - 1.1), r.uniform(4, 20), 0.0)
            heading = (0 if side > 0 else 180) + r.uniform(-8, 8) + (r.choice((0, 90, 45)) if r.random() < 0.25 else 0)
        ends = studio.project(scene.view.matrix(), np.array([at, (at[0], at[1], 1.5)]))
        across, down = ends[:, 0], ends[:, 1]
        if (ends[:, 2] > 4).all() and (across > 60).all() and (across < 580).all() and down[0] < 330 and down[1] > 20:
            return at, heading
    return None


def make(label: str, seed: int, r: random.Random, *, lit: bool) -> tuple[bpy.types.Object, bool]:
    """The thing, and whether it belongs on the pavement."""
    paint = r.choice(list(vehicles.PAINTS.values()))
    if label == "car":
        return vehicles.car(
            r.choice(("saloon", "hatch", "suv", "minivan", "van", "saloon")), paint, lit=lit, taxi=r.random() < 0.15
        ), False
    if label == "truck":
        return vehicles.lorry(
            paint, r.choice(((0.6, 0.6, 0.58), (0.1, 0.2, 0.4), (0.5, 0.1, 0.05))), lit=lit, length=r.uniform(5.2, 7.5)
        ), False
    if label == "bus":
        return vehicles.bus(paint, lit=lit, length=r.uniform(7, 11)), False
    if label == "person":
        return figures.person(seed, stride=r.uniform(0.05, 0.35)), True
    if label == "bicycle":
        return (vehicles.bicycle(paint) if r.random() < 0.4 else figures.bicycles(r.randint(2, 5), seed)), True
    if label == "tricycle":
        return stalls.stall("tricycle", seed), True
    return stalls.stall(r.choice(stalls.STALLS), seed, vendor=r.random() < 0.6), True


def save(path: Path, picture: np.ndarray) -> None:
    partial = path.with_name(f".{path.name}")
    partial.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    partial.replace(path)


def note(path: Path, record: dict[str, object]) -> None:
    partial = path.with_name(f".{path.name}")
    partial.write_text(json.dumps(record))
    partial.replace(path)


if __name__ == "__main__":
    main()
