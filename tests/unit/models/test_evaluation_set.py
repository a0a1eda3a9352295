"""The evaluation set of ours says truly what it holds: pictures, boxes, sources and their licences."""

import csv
from collections import Counter
from importlib import import_module
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import pytest
import yaml

from citybrain.errors import Fault
from citybrain.evaluation.labelled import BOXES, FOLDER, IGNORE, PICTURES, SOURCES, read_set

likeness = import_module("likeness")
photographs = import_module("photographs")
streets = import_module("streets")

MODELS = Path(__file__).resolve().parents[3] / "models"
SET = MODELS / "evaluation"
MOST_BYTES = 6_000_000
WIDEST = 768
TOLD_OF_A_SOURCE = {"title", "origin", "licence", "attribution", "changed", "labelled", "trained_on"}


def table(name: str) -> list[dict[str, str]]:
    with (SET / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def sources() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((SET / SOURCES).read_text(encoding="utf-8"))
    return found


def classes() -> set[str]:
    registry = yaml.safe_load((MODELS / "registry.yaml").read_text(encoding="utf-8"))
    return set(registry["models"]["city-n"]["classes"])


def clip(picture: str) -> str:
    """What one camera filmed: the source and the first word of the name."""
    path = Path(picture)
    return f"{path.parent}/{path.stem.partition('-')[0]}"


@pytest.fixture(scope="module")
def pictures() -> dict[str, Any]:
    return {row["picture"]: cv2.imread(str(SET / FOLDER / row["picture"])) for row in table(PICTURES)}


def test_the_set_is_read_without_a_fault():
    faults: list[Fault] = []
    assert read_set(SET, faults=faults)
    assert faults == []


def test_every_picture_can_be_read_and_is_no_wider_than_said(pictures):
    assert [name for name, picture in pictures.items() if picture is None or picture.shape[1] > WIDEST] == []


def test_every_picture_of_the_folder_is_listed_once():
    listed = [row["picture"] for row in table(PICTURES)]
    lying = {path.relative_to(SET / FOLDER).as_posix() for path in (SET / FOLDER).rglob("*") if path.is_file()}
    assert len(listed) == len(set(listed))
    assert set(listed) == lying


def test_only_classes_of_the_model_are_labelled():
    known = classes()
    assert {label for row in table(PICTURES) for label in row["labelled"].split()} <= known
    assert {row["label"] for row in table(BOXES)} <= known | {IGNORE}


def test_every_box_lies_in_its_picture_and_holds_something():
    wrong = []
    for row in table(BOXES):
        left, top, right, bottom = (float(row[side]) for side in ("left", "top", "right", "bottom"))
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            wrong.append(row)
    assert wrong == []


def test_a_thing_is_labelled_once():
    lines = Counter(tuple(row.values()) for row in table(BOXES))
    assert [line for line, times in lines.items() if times > 1] == []


def test_every_source_is_described_and_training_saw_none():
    told = sources()
    assert {row["source"] for row in table(PICTURES)} == set(told)
    for name, source in told.items():
        assert set(source) == TOLD_OF_A_SOURCE, name
        assert source["trained_on"] is False
        assert all(str(source[key]).strip() for key in TOLD_OF_A_SOURCE)


def test_a_picture_lies_in_the_folder_of_its_source():
    assert [row for row in table(PICTURES) if not row["picture"].startswith(f"{row['source']}/")] == []


def test_pictures_of_different_clips_differ(pictures):
    seen = [(clip(name), name, likeness.perceptual_hash(picture)) for name, picture in pictures.items()]
    alike = [
        (one[1], other[1])
        for one, other in combinations(seen, 2)
        if one[0] != other[0] and likeness.distance(one[2], other[2]) <= likeness.DUPLICATE
    ]
    assert alike == []


def test_the_set_stays_small():
    assert sum(path.stat().st_size for path in (SET / FOLDER).rglob("*.jpg")) < MOST_BYTES


def test_training_leaves_out_what_is_measured_on():
    """By the rules of the scripts that make the training set."""
    for row in table(PICTURES):
        stem = Path(row["picture"]).stem
        if row["source"] == "fire8":
            film, frame = stem.split("-")
            assert photographs.fire_split(f"{film}_mp4-{int(frame)}_jpg.rf.0.jpg") == "test", stem
        if row["source"] == "rendered":
            assert streets.held_out_plate(stem.split("-")[0].replace("plate", "plate_")), stem
