"""Builds the photographic part of the training set from the sources named on the command line.

    python models/scripts/dataset/photographs.py --out train --teacher yolo11n_coco.pt \\
        --fire fire-8 --hillside hillside-negatives --flood-masked masked --flood-street street \\
        --city-cctv city-cctv --traffic road_a.mp4 road_b.avi

Every source is optional. People and vehicles that the sources leave unlabelled come from the teacher. What each source
is, and under which licence, stands in the model's card.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[2])]

import boxes  # noqa: E402 - scripts are run as files; their folder is put on the path first
import likeness  # noqa: E402
from city_head import CLASSES  # noqa: E402
from manifest import Part, Split  # noqa: E402

Picture = np.ndarray[Any, Any]
FIRE, SMOKE, WATER = CLASSES.index("fire"), CLASSES.index("smoke"), CLASSES.index("water")

FIRE_HELD_OUT = re.compile(r"^(fire1|smoke1|smoke2|test1|test3)_mp4")
"""Videos of fire-8 that are kept for the test, by file name."""
FIRE_HELD_OUT_FRAMES = ((400, 417), (441, 459), (960, 971), (1015, 1045))
"""Shots of fire-8's numbered frames that are kept for the test: a night street fire, a loading bay, a shop."""
HAND_BOXES = HERE / "flood_street_boxes.csv"


def fire_split(name: str) -> Split:
    """The split of a fire-8 picture, decided by the video that it was taken from."""
    if FIRE_HELD_OUT.match(name):
        return "test"
    number = re.match(r"^img_(\d+)_", name)
    if number and any(first <= int(number[1]) <= last for first, last in FIRE_HELD_OUT_FRAMES):
        return "test"
    return "train"


def pictures(folder: Path) -> Iterator[tuple[Path, Picture]]:
    """Every readable picture below a folder with its path, by name."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in {".jpg", ".jpeg", ".png"}:
            picture = cv2.imread(str(path))
            if picture is not None:
                yield path, picture


def distinct(found: Iterable[tuple[Path, Picture]]) -> list[tuple[Path, Picture, int]]:
    """The pictures without near-duplicates, each with its perceptual hash."""
    kept = [(path, picture, likeness.perceptual_hash(picture)) for path, picture in found]
    return [kept[index] for index in likeness.without_duplicates([code for _, _, code in kept])]


def by_view(found: list[tuple[Path, Picture, int]], *, share: float) -> Iterator[tuple[Split, Path, Picture]]:
    """Each picture with its split: pictures of one view go the same way."""
    for (path, picture, _), view in zip(found, likeness.views([code for *_, code in found]), strict=True):
        yield ("test" if likeness.held_out(found[view][0].name, share=share) else "train"), path, picture


def add_fire(part: Part, folder: Path, teacher: Any) -> None:
    """fire-8: its own fire and smoke boxes; its class `default` is background and is dropped."""
    found = distinct(pictures(folder))
    tested = [code for path, _, code in found if fire_split(path.name) == "test"]
    for path, picture, code in found:
        split = fire_split(path.name)
        if split == "train" and any(likeness.distance(code, other) <= likeness.SAME_VIEW for other in tested):
            continue
        known = [
            box._replace(label=FIRE if box.label == 0 else SMOKE)
            for box in boxes.read(path.parent.parent / "labels" / f"{path.stem}.txt")
            if box.label in (0, 2)
        ]
        part.add(picture, known + teacher.label(picture), split=split, source="fire", name=path.stem[:40])


def add_background(part: Part, folder: Path, teacher: Any, *, source: str) -> None:
    """Pictures with neither fire, smoke, water nor stalls in them."""
    for split, path, picture in by_view(distinct(pictures(folder)), share=0.2):
        part.add(picture, teacher.label(picture), split=split, source=source, name=path.stem)


def add_masked_floods(part: Part, folder: Path, teacher: Any) -> None:
    """Floods with a binary water mask each, at whatever resolution the mask has."""
    for split, path, picture in by_view(distinct(pictures(folder / "images")), share=0.25):
        mask = cv2.imread(str(folder / "masks" / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            continue
        water = boxes.mask_boxes(mask > 127, WATER)
        part.add(picture, water + teacher.label(picture), split=split, source="flood-masked", name=path.stem)


def hand_boxes(path: Path) -> dict[str, list[boxes.Box]]:
    """Water boxes drawn by hand: lines `picture,left,top,right,bottom`, 0..1; a picture may have several."""
    drawn: dict[str, list[boxes.Box]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            sides = (float(row[side]) for side in ("left", "top", "right", "bottom"))
            drawn.setdefault(row["picture"], []).append(boxes.Box(WATER, *sides))
    return drawn


def add_street_floods(part: Part, folder: Path, teacher: Any) -> None:
    """Floods of which the water was drawn by hand, the others left out; dry and merely wet streets as background."""
    drawn = hand_boxes(HAND_BOXES)
    floods = distinct((path, picture) for path, picture in pictures(folder) if path.name in drawn)
    for split, path, picture in by_view(floods, share=0.2):
        part.add(picture, drawn[path.name] + teacher.label(picture), split=split, source="flood-street", name=path.stem)
    for name in ("train/dry", "wet-negatives"):
        add_background(part, folder / name, teacher, source=f"flood-{Path(name).name}")


def add_traffic(part: Part, clip: Path, teacher: Any, *, count: int = 24) -> None:
    """Frames of a clip at equal distances, the last fifth of the clip held out."""
    video = cv2.VideoCapture(str(clip))
    total = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    wanted = set(np.linspace(0, max(0, total - 2), count).round().astype(int).tolist())
    index = 0
    while (answer := video.read())[0]:
        if index in wanted:
            split: Split = "test" if index >= total * 0.8 else "train"
            labels = teacher.label(answer[1])
            part.add(answer[1], labels, split=split, source="traffic", name=f"{clip.stem}-{index}")
        index += 1
    video.release()


def main() -> int:
    """Build what the arguments name; 0 when the table is written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", default="photographs", help="name of the table and its folder")
    parser.add_argument("--teacher", type=Path, required=True, help="YOLO weights trained on COCO")
    parser.add_argument("--fire", type=Path)
    parser.add_argument("--hillside", type=Path)
    parser.add_argument("--flood-masked", type=Path)
    parser.add_argument("--flood-street", type=Path)
    parser.add_argument("--city-cctv", type=Path)
    parser.add_argument("--traffic", type=Path, nargs="*", default=[])
    arguments = parser.parse_args()

    from detectors.torchvision_guard import make_torchvision_importable

    make_torchvision_importable()
    from teacher import Teacher

    teacher = Teacher(arguments.teacher)
    part = Part(arguments.out, arguments.part)
    if arguments.fire:
        add_fire(part, arguments.fire, teacher)
    if arguments.hillside:
        add_background(part, arguments.hillside / "images", teacher, source="hillside")
    if arguments.flood_masked:
        add_masked_floods(part, arguments.flood_masked, teacher)
    if arguments.flood_street:
        add_street_floods(part, arguments.flood_street, teacher)
    if arguments.city_cctv:
        add_background(part, arguments.city_cctv / "normal", teacher, source="city-cctv")
    for clip in arguments.traffic:
        add_traffic(part, clip, teacher)
    part.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
