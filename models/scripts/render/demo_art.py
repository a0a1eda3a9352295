"""Renders the art of the demo cameras from their timelines; how to call it: README.md.

For each camera: plate.jpg, flooded.jpg and rise.png where its scene floods, one WebP of cut-outs for each of its
cast, and art.json (camera matrix, where each cut-out lies and stands). `--zones` writes the projected kerb, roadway
and pavements.
"""

import argparse
import json
import math
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import bpy
import cv2
import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).parent))
import figures
import flood
import stalls
import street
import studio
import vehicles

STRIDES = (0.28, 0.05, -0.28, -0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("timelines", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--zones", type=Path)
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--no-cast", action="store_true", help="plates only: a street changed, or to look at a view")
    parser.add_argument("--cast", nargs="*", help="these cut-outs only, the rest of the art stays as it is")
    wanted = parser.parse_args()
    zones: dict[str, Any] = {}
    for path in sorted(wanted.timelines.glob("*.yaml")):
        if wanted.only and path.stem not in wanted.only:
            continue
        timeline = yaml.safe_load(path.read_text(encoding="utf-8"))
        spec, view = scene_of(timeline["scene"])
        zones[path.stem] = zones_of(spec, view)
        if wanted.zones:
            wanted.zones.write_text(json.dumps(zones, indent=1))
        folder = wanted.timelines / "art" / path.stem
        folder.mkdir(parents=True, exist_ok=True)
        studio.new_scene(samples=wanted.samples)
        parts = street.build(spec)
        studio.aim(view)
        if wanted.cast is None:
            render_plates(timeline, spec, view, folder, samples=wanted.samples)
        if not wanted.no_cast:
            stage = studio.Stage(parts, view, spec.sun if spec.light == "day" else None)
            render_cast(timeline, view, stage, folder, only=wanted.cast)
        print(f"{path.stem}: {sum(f.stat().st_size for f in folder.iterdir()) // 1024} KiB", flush=True)


def scene_of(scene: dict[str, Any]) -> tuple[street.Street, studio.View]:
    said = dict(scene["street"])
    for key in ("clear", "yellow", "sun"):
        if key in said:
            said[key] = tuple(tuple(v) if isinstance(v, list) else v for v in said[key])
    view = scene["view"]
    return street.Street(**said), studio.View(tuple(view["place"]), tuple(view["target"]), view["lens"])


def zones_of(spec: street.Street, view: studio.View) -> dict[str, list[list[list[float]]]]:
    """Polygons 0..1: the strips to either side of the camera's axis, 45 m long from where the camera hangs."""
    matrix, h = view.matrix(), spec.half
    ahead = 1 if view.target[1] > view.place[1] else -1
    near, far = view.place[1] - ahead * 3, view.place[1] + ahead * 48

    def strip(x0: float, x1: float, *, z: float = 0.0, until: float = far) -> list[list[float]]:
        return studio.outline(matrix, [(x0, near), (x1, near), (x1, until), (x0, until)], z=z)

    kerb_end = view.place[1] + ahead * 36
    found = {
        "no_parking": [strip(s * (h - 2.3), s * (h + 0.1), until=kerb_end) for s in spec.yellow],
        "roadway": [strip(-h, h)],
        "pavement": [strip(s * (h + 0.2), s * (h + spec.pavement), z=street.KERB_HEIGHT) for s in (-1, 1)],
    }
    return {kind: [p for p in polygons if len(p) > 2] for kind, polygons in found.items()}


def render_plates(
    timeline: dict[str, Any], spec: street.Street, view: studio.View, folder: Path, *, samples: int
) -> None:
    scratch = folder / ".render.png"
    write(folder / "plate.jpg", studio.shoot(scratch, samples=samples), [cv2.IMWRITE_JPEG_QUALITY, 88])
    water = timeline["scene"].get("flood")
    if water:
        picture, mask, rise = flood.flood(
            spec,
            view.matrix(),
            scratch,
            samples=samples,
            reach=tuple(water["reach"]),
            level=water["level"],
            colour=tuple(water["colour"]),
        )
        write(folder / "flooded.jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 88])
        rise = np.where(mask > 127, np.minimum(rise, 254), 255).astype(np.uint8)
        write(folder / "rise.png", rise, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def render_cast(
    timeline: dict[str, Any], view: studio.View, stage: studio.Stage, folder: Path, *, only: list[str] | None
) -> None:
    note = folder / "art.json"
    known = json.loads(note.read_text(encoding="utf-8"))["cut_outs"] if only is not None else {}
    for name, entry in timeline["cast"].items():
        if only is None or name in only:
            cuts = cut_outs(entry, view, stage, folder / ".render.png")
            known[name] = atlas(cuts, folder / f"{name}.webp")
            print(f"  {name}: {len(cuts)}", flush=True)
    described = {
        "matrix": view.matrix().round(6).tolist(),
        "flooded": "flood" in timeline["scene"],
        "cut_outs": {name: known[name] for name in timeline["cast"]},
    }
    note.write_text(json.dumps(described, separators=(",", ":")), encoding="utf-8")


def cut_outs(entry: dict[str, Any], view: studio.View, stage: studio.Stage, scratch: Path) -> list[dict[str, Any]]:
    things = [
        make(entry["make"], stride=s)
        for s in (STRIDES if entry["make"]["kind"] == "person" and len(entry["track"]) > 1 else (0.05,))
    ]
    for thing in things:
        thing.hide_render = True
    cuts = []
    for number, along in enumerate(places(entry, view)):
        x, y, heading = on_track(entry["track"], along)
        cut = stage.cut_out(
            things[number % len(things)], (x, y, entry.get("z", 0.0)), scratch, heading=entry.get("heading", heading)
        )
        if cut is not None:
            cuts.append({**cut, "along": round(along, 3)})
    for thing in things:
        bpy.data.objects.remove(thing)
    if not cuts:
        raise SystemExit(f"nothing of {entry['make']} is in sight")
    return cuts


def places(entry: dict[str, Any], view: studio.View) -> list[float]:
    """Metres along the track to render at: denser near the camera, and exactly where it stops."""
    track, every, along, out = entry["track"], entry.get("every", 3.0), 0.0, list(entry.get("stops", []))
    length = sum(math.dist(a, b) for a, b in pairwise(track))
    while along <= length:
        x, y, _ = on_track(track, along)
        if not any(abs(along - s) < every * 0.4 for s in entry.get("stops", [])):
            out.append(along)
        along += every * max(1.0, math.dist((x, y, 0), view.place) / 14) if entry["make"]["kind"] != "person" else every
    return sorted(out)


def on_track(track: list[list[float]], metres: float) -> tuple[float, float, float]:
    left = metres
    for a, b in pairwise(track):
        length = math.dist(a, b)
        if left <= length or b is track[-1]:
            f = left / length
            return (
                a[0] + f * (b[0] - a[0]),
                a[1] + f * (b[1] - a[1]),
                math.degrees(math.atan2(a[0] - b[0], b[1] - a[1])),
            )
        left -= length
    return track[0][0], track[0][1], 0.0


def make(said: dict[str, Any], *, stride: float) -> bpy.types.Object:
    colour = vehicles.PAINTS.get(said.get("colour", "white"))
    match said["kind"]:
        case "car":
            return vehicles.car(said["body"], colour, lit=said.get("lit", False), taxi=said.get("taxi", False))
        case "lorry":
            return vehicles.lorry(colour, tuple(said["cargo"]), lit=said.get("lit", False))
        case "bus":
            return vehicles.bus(colour, lit=said.get("lit", False))
        case "person":
            return figures.person(said["seed"], stride=stride)
        case "stall":
            return stalls.stall(said["stall"], said["seed"])
        case "bicycles":
            return figures.bicycles(said["count"], said["seed"])
        case "bin":
            return figures.bin_with_rubbish(said["seed"])
    raise SystemExit(f"make.kind: {said['kind']!r} is none of car lorry bus person stall bicycles bin")


def atlas(cuts: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    """Packs cut-outs into one WebP, shelf by shelf; answers where each lies."""
    width = max(512, *(c["picture"].shape[1] for c in cuts))
    order = sorted(range(len(cuts)), key=lambda i: -cuts[i]["picture"].shape[0])
    at, x, y, shelf = {}, 0, 0, 0
    for i in order:
        h, w = cuts[i]["picture"].shape[:2]
        if x + w > width:
            x, y, shelf = 0, y + shelf, 0
        at[i] = (x, y, w, h)
        x, shelf = x + w, max(shelf, h)
    sheet = np.zeros((y + shelf, width, 4), np.uint8)
    described = []
    for i, cut in enumerate(cuts):
        x, y, w, h = at[i]
        sheet[y : y + h, x : x + w] = cut["picture"]
        left, top = cut["corner"]
        described.append(
            {
                "along": cut["along"],
                "depth": round(cut["depth"], 4),
                "atlas": at[i],
                "foot": [round(cut["foot"][0] - left, 2), round(cut["foot"][1] - top, 2)],
                "box": [round(v - o, 2) for v, o in zip(cut["box"], (left, top, left, top), strict=True)],
            }
        )
    sheet[sheet[:, :, 3] == 0] = 0
    write(path, sheet, [cv2.IMWRITE_WEBP_QUALITY, 82])
    return described


def write(path: Path, picture: np.ndarray, options: list[int]) -> None:
    if not cv2.imwrite(str(path), picture, options):
        raise SystemExit(f"{path} cannot be written")


if __name__ == "__main__":
    main()
