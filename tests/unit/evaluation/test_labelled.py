"""Labelled sets and training tables: what they say, and every way in which they can be wrong, with file, line and remedy."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from citybrain.domain.geometry import Box
from citybrain.errors import Fault
from citybrain.evaluation.labelled import Labelled, read_set, read_table
from citybrain.evaluation.matching import Thing

CLASSES = ("person", "car", "fire")


def jpeg(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((96, 128, 3), 90, np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sources.yaml").write_text("yard: {title: A yard}\n", encoding="utf-8")
    (tmp_path / "pictures.csv").write_text(
        "picture,source,labelled\nyard/a.jpg,yard,fire car\nyard/b.jpg,yard,fire\n", encoding="utf-8"
    )
    (tmp_path / "boxes.csv").write_text(
        "picture,label,left,top,right,bottom\nyard/a.jpg,car,0.1,0.2,0.3,0.4\nyard/a.jpg,ignore,0,0,1,0.1\n",
        encoding="utf-8",
    )
    for name in "ab":
        jpeg(tmp_path / "pictures/yard" / f"{name}.jpg")
    return tmp_path


def read(folder: Path) -> tuple[list[Labelled], list[str]]:
    faults: list[Fault] = []
    pictures = read_set(folder, faults=faults)
    return pictures, [str(each).removeprefix(f"{folder}/") for each in faults]


def test_a_set_tells_what_is_there_and_where_nothing_is_judged(folder: Path) -> None:
    (first, second), faults = read(folder)
    assert faults == []
    assert first.truth.things == (Thing("car", Box(0.1, 0.2, 0.3, 0.4)),)
    assert first.truth.ignored == (Box(0, 0, 1, 0.1),)
    assert first.truth.judged == {"fire", "car"}
    assert (second.source, second.truth.things) == ("yard", ())
    assert first.path.is_file()


@pytest.mark.parametrize(
    ("file", "line", "fault"),
    [
        ("boxes.csv", "yard/a.jpg,carr,0,0,1,1", "boxes.csv: line 4: 'carr' is not among what is labelled in yard/a.jpg."
         " Did you mean 'car'?"),
        ("boxes.csv", "yard/b.jpg,car,0,0,1,1", "boxes.csv: line 4: 'car' is not among what is labelled in yard/b.jpg."),
        ("boxes.csv", "yard/c.jpg,car,0,0,1,1", "boxes.csv: line 4: yard/c.jpg is not in pictures.csv."),
        ("boxes.csv", "yard/a.jpg,car,0,0,1.2,1", "boxes.csv: line 4: the box 0, 0, 1.2, 1 lies outside the picture."),
        ("boxes.csv", "yard/a.jpg,car,0,0,nan,1", "boxes.csv: line 4: the box 0, 0, nan, 1 lies outside the picture."),
        ("boxes.csv", "yard/a.jpg,car,0.5,0,0.4,1", "boxes.csv: line 4: the box 0.5, 0, 0.4, 1 holds nothing."),
        ("boxes.csv", "yard/a.jpg,car,left,0,1,1", "boxes.csv: line 4: expected four numbers"),
        ("boxes.csv", "yard/a.jpg,car,0,0,1", "boxes.csv: line 4: expected 6 fields"),
        ("pictures.csv", "yard/c.jpg,yard,fire", "pictures.csv: line 4: there is no picture"),
        ("pictures.csv", "yard/a.txt,yard,fire", "pictures.csv: line 4: a.txt is no picture."),
        ("pictures.csv", "yard/a.jpg,yard,fire", "pictures.csv: line 4: yard/a.jpg is listed twice."),
        ("pictures.csv", "yard/a.jpg,yrad,fire", "pictures.csv: line 4: 'yrad' is no source of sources.yaml. Did you mean 'yard'?"),
        ("pictures.csv", "yard/b.jpg,yard,", "pictures.csv: line 4: yard/b.jpg is labelled for nothing."),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named_with_its_file(folder: Path, file: str, line: str, fault: str) -> None:
    with (folder / file).open("a", encoding="utf-8") as table:
        table.write(line + "\n")
    assert any(each.startswith(fault) for each in read(folder)[1]), read(folder)[1]


def test_every_fault_is_told_at_once(folder: Path) -> None:
    (folder / "pictures/yard/b.jpg").unlink()
    with (folder / "boxes.csv").open("a", encoding="utf-8") as table:
        table.write("yard/a.jpg,car,0,0,2,1\n")
    assert len(read(folder)[1]) == 2


def test_a_set_without_pictures_or_without_its_tables_is_none(folder: Path) -> None:
    (folder / "pictures.csv").write_text("picture,source,labelled\n", encoding="utf-8")
    (folder / "boxes.csv").write_text("picture,label,left,top,right,bottom\n", encoding="utf-8")
    assert read(folder)[1] == ["pictures.csv: lists no picture. Add a line for each."]
    (folder / "boxes.csv").unlink()
    assert read(folder)[1][0].startswith("boxes.csv: there is no such file.")
    assert "there is no such folder" in read(folder / "nowhere")[1][0]


def test_a_table_with_other_columns_says_which_it_needs(folder: Path) -> None:
    (folder / "boxes.csv").write_text("picture,label,x,y\n", encoding="utf-8")
    assert read(folder)[1] == [
        "boxes.csv: line 1: expected picture,label,left,top,right,bottom, got picture,label,x,y."
    ]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        jpeg(tmp_path / f"part/{name}.jpg")
    (tmp_path / "part/a.txt").write_text("1 0.5 0.5 0.2 0.4\n2 0.1 0.1 0.2 0.2\n", encoding="utf-8")
    path = tmp_path / "part.csv"
    path.write_text("split,source,picture\ntest,fires,part/a.jpg\ntrain,fires,part/b.jpg\n", encoding="utf-8")
    return path


def test_a_training_table_is_read_by_the_models_classes(table: Path) -> None:
    faults: list[Fault] = []
    (one,) = read_table(table, CLASSES, split="test", faults=faults)
    assert faults == []
    assert [each.label for each in one.truth.things] == ["car", "fire"]
    assert one.truth.things[0].box.as_list() == [0.4, 0.3, 0.6, 0.7]
    assert one.truth.judged == set(CLASSES)
    (other,) = read_table(table, CLASSES, split="train", faults=faults)
    assert other.truth.things == ()


def test_a_column_says_what_a_table_is_labelled_for(table: Path) -> None:
    table.write_text("split,source,picture,labelled\ntest,fires,part/a.jpg,car fire\n", encoding="utf-8")
    assert read_table(table, CLASSES, split="test", faults=[])[0].truth.judged == {"car", "fire"}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("7 0.5 0.5 0.2 0.2", "part/a.txt: line 1: there is no class 7. Known: 0 person, 1 car, 2 fire."),
        ("car 0.5 0.5 0.2 0.2", "part/a.txt: line 1: expected `class cx cy width height`"),
        ("1 0.5 0.5 x 0.2", "part/a.txt: line 1: expected four numbers after the class"),
        ("1 0.9 0.5 0.6 0.2", "part/a.txt: line 1: the box"),
    ],
)
def test_a_wrong_line_of_labels_is_named(table: Path, line: str, fault: str) -> None:
    (table.parent / "part/a.txt").write_text(line + "\n", encoding="utf-8")
    faults: list[Fault] = []
    read_table(table, CLASSES, split="test", faults=faults)
    assert str(faults[0]).removeprefix(f"{table.parent}/").startswith(fault)


def test_labels_that_are_no_text_are_a_fault(table: Path) -> None:
    (table.parent / "part/a.txt").write_bytes(b"\xff\xfe")
    faults: list[Fault] = []
    read_table(table, CLASSES, split="test", faults=faults)
    assert "cannot be read" in str(faults[0])
