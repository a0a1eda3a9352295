"""Sets rendered things and fires into photographs of streets, so that what is rendered is not known by its street.

    python models/scripts/dataset/pasted.py --art art --photographs train/photographs.csv --out train --count 800

A photograph comes without a camera matrix: one is assumed for each scene, of a camera at a height and pitch that street
cameras have, so that things shrink with distance as they would. What the photograph shows keeps its boxes. Only
pictures and cut-outs of the training split are used: how well stalls are found is measured elsewhere.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[2])]

import boxes  # noqa: E402 - scripts are run as files; their folder is put on the path first
import compose  # noqa: E402
import effects  # noqa: E402
import fires  # noqa: E402
import manifest  # noqa: E402
import streets  # noqa: E402

STREETS = ("city-cctv", "flood-dry", "flood-wet-negatives", "flood-street", "hillside")
"""The sources of photographs in which something may stand."""
NIGHT, DUSK = 55.0, 85.0
"""Mean grey value below which a photograph is taken to be of the night, of the dusk."""
WIDTH = 640


def plate_of(name: str, picture: streets.Picture, random: streets.Random) -> streets.Plate:
    """A photograph as a plate, seen by an assumed camera 3 to 8 m above the road that looks 8 to 28 degrees down.

    Street coordinates are metres: x to the right, y ahead, z up; the camera stands at x = y = 0.
    """
    height, width = picture.shape[:2]
    focal, pitch, above = width * random.uniform(0.8, 1.4), np.radians(random.uniform(8, 28)), random.uniform(3, 8)
    ahead, up = (0.0, np.cos(pitch), -np.sin(pitch)), (0.0, np.sin(pitch), np.cos(pitch))
    rotation = np.array([(1.0, 0.0, 0.0), np.negative(up), ahead])  # rows: right, down and along the view
    lens = np.array([(focal, 0.0, width / 2), (0.0, focal, height / 2), (0.0, 0.0, 1.0)])
    matrix = lens @ np.column_stack([rotation, -rotation @ np.array([0.0, 0.0, above])])
    grey = float(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).mean())
    light = "night" if grey < NIGHT else "dusk" if grey < DUSK else "day"
    half, pavement = random.uniform(2.5, 6.0), random.uniform(1.5, 4.0)
    return streets.Plate(name, picture, matrix, focal, light, half, pavement)


def scene_of(entry: manifest.Entry, random: streets.Random) -> tuple[streets.Scene, streets.Plate] | None:
    """The photograph with what is known to be in it, and the plate it makes; None when it cannot be read."""
    picture = cv2.imread(str(entry.picture))
    if picture is None:
        return None
    height, width = round(picture.shape[0] * WIDTH / picture.shape[1]), WIDTH
    picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    scene = streets.Scene(picture)
    for label, *sides in boxes.read(entry.labels):
        left, top, right, bottom = sides
        scene.things.append((label, (left * width, top * height, right * width, bottom * height)))
    return scene, plate_of(entry.picture.stem, picture.copy(), random)


def main() -> int:
    """Paste as many scenes as asked for; 0 when the table is written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--art", type=Path, required=True, help="folder with plates/ and cutouts/")
    parser.add_argument("--photographs", type=Path, required=True, help="table of photographs.py")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", default="pasted", help="name of the table and its folder")
    parser.add_argument("--count", type=int, default=800)
    parser.add_argument("--burning", type=float, default=0.35, help="share of the scenes")
    parser.add_argument("--by-night", type=float, default=0.0, help="share of the scenes that are made dark")
    parser.add_argument("--walled", type=float, default=0.0, help="share of the scenes that get blank walls")
    parser.add_argument("--seed", type=int, default=21)
    arguments = parser.parse_args()

    plates = streets.load_plates(arguments.art / "plates", set())
    focal = {name: plate.focal for name, plate in plates.items()}
    by_plate = streets.load_cut_outs(arguments.art / "cutouts", focal)
    cut_outs = [cut for name, cuts in by_plate.items() if not streets.held_out_plate(name) for cut in cuts]
    photographs = [
        entry for entry in manifest.read([arguments.photographs]) if entry.split == "train" and entry.source in STREETS
    ]
    random = np.random.default_rng(arguments.seed)
    part = manifest.Part(arguments.out, arguments.part)
    for number in range(arguments.count):
        made = scene_of(photographs[int(random.integers(len(photographs)))], random)
        if made is None:
            continue
        scene, plate = made
        if arguments.walled and random.random() < arguments.walled:
            compose.set_walls(scene, random)
        compose.populate(scene, plate, cut_outs, random)
        dry = all(label != streets.WATER for label, _ in scene.things)
        if dry and arguments.by_night and random.random() < arguments.by_night:
            compose.fall_dark(scene, plate, random, burning=arguments.burning)
        else:
            if random.random() < arguments.burning:
                fires.burn(scene, plate, random)
            scene.picture = effects.as_filmed(scene.picture, random, night=plate.light == "night")
        part.add(scene.picture, scene.labels(), split="train", source="pasted", name=f"{arguments.seed}-{number:05d}")
    part.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
