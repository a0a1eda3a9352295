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
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

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

FIRE_HELD_OUT = re.compile(r"^test[123]_mp4")
"""Films of fire-8 that are kept for the test, by file name. Most others occur a second time under numbers."""
FIRE_HELD_OUT_FRAMES = range(601, 670)
"""A film among fire-8's numbered frames that is kept for the test, and occurs nowhere else: a fire on a motorway."""
FLOOD_STREETS = HERE / "flood_street_boxes.csv"
CITY_CAMERAS = HERE / "city_camera_boxes.csv"
"""Water drawn by hand, with the split that each picture belongs to."""


def fire_split(name: str) -> Split:
    """The split of a fire-8 picture, decided by the video that it was taken from."""
    if FIRE_HELD_OUT.match(name):
        return "test"
    number = re.match(r"^img_(\d+)_", name)
    return "test" if number and int(number[1]) in FIRE_HELD_OUT_FRAMES else "train"


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
    everything = sorted(
        pictures(folder), key=lambda each: fire_split(each[0].name)
    )  # of two alike the test keeps its own
    found = distinct(everything)
    tested = [code for path, _, code in found if fire_split(path.name) == "test"]
    for path, picture, code in found:
        split = fire_split(path.name)
        codes = code, likeness.perceptual_hash(picture[:, ::-1])  # training sees pictures mirrored too
        if split == "train" and any(likeness.distance(a, b) <= likeness.SAME_VIEW for a in codes for b in tested):
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


class Drawn(NamedTuple):
    """What a person said of one picture: its split, and boxes around the water; no box is no water."""

    split: Split
    water: list[boxes.Box]


def drawn_by_hand(path: Path) -> dict[str, Drawn]:
    """By picture: lines `picture,split,left,top,right,bottom`, sides 0..1, empty where there is no water.

    A picture may have several lines. Pictures that are not in the file were not looked at, or are nothing to learn from.
    """
    drawn: dict[str, Drawn] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            chosen: Split = "test" if row["split"] == "test" else "train"
            here = drawn.setdefault(row["picture"], Drawn(chosen, []))
            if row["left"]:
                sides = (float(row[side]) for side in ("left", "top", "right", "bottom"))
                here.water.append(boxes.Box(WATER, *sides))
    return drawn


def add_drawn(part: Part, folder: Path, drawn: Mapping[str, Drawn], teacher: Any, *, source: str) -> None:
    """The pictures of which a person said where water is, each in its split."""
    for path, picture in pictures(folder):
        said = drawn.get(str(path.relative_to(folder)))
        if said is not None:
            name = "-".join(path.relative_to(folder).with_suffix("").parts)
            part.add(picture, said.water + teacher.label(picture), split=said.split, source=source, name=name)


def add_street_floods(part: Part, folder: Path, teacher: Any) -> None:
    """Floods of which the water was drawn by hand, the others left out; dry and merely wet streets as background."""
    add_drawn(part, folder, drawn_by_hand(FLOOD_STREETS), teacher, source="flood-street")
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
        add_drawn(part, arguments.city_cctv, drawn_by_hand(CITY_CAMERAS), teacher, source="city-cctv")
    for clip in arguments.traffic:
        add_traffic(part, clip, teacher)
    part.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
