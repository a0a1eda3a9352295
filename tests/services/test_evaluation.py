"""The shipped model on a few pictures of our evaluation set, measured by the command, beside itself in 8 bits."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SET = ROOT / "models/evaluation"
WANTED = ("car", "stall", "water")


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """A set of the first picture of ours with each of these, and of one with nothing in it."""
    with (SET / "pictures.csv").open(encoding="utf-8") as table:
        pictures = list(csv.DictReader(table))
    with (SET / "boxes.csv").open(encoding="utf-8") as table:
        boxes = list(csv.DictReader(table))
    labels = {
        each["picture"]: {box["label"] for box in boxes if box["picture"] == each["picture"]} for each in pictures
    }
    # Of pictures in which all of these were looked for.
    asked = [each["picture"] for each in pictures if set(WANTED) <= set(each["labelled"].split())]
    chosen = {next(name for name in asked if label in labels[name]) for label in WANTED}
    chosen.add(next(name for name in asked if not labels[name]))
    for name in chosen:
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SET / "pictures" / name, tmp_path / "pictures" / name)
    shutil.copy(SET / "sources.yaml", tmp_path)
    for table_name, rows in (("pictures.csv", pictures), ("boxes.csv", boxes)):
        with (tmp_path / table_name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(each for each in rows if each["picture"] in chosen)
    return tmp_path


@pytest.mark.timeout(400)
def test_the_shipped_model_is_measured_on_pictures_of_ours_in_both_precisions(few: Path) -> None:
    told = subprocess.run(
        [
            *(sys.executable, "-m", "citybrain", "evaluate", "frames", "--set", str(few), "--json"),
            *("--beside", "city-n:int8", "--plots", str(few / "shown"), "--wanted", "car:recall=0.01"),
        ],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=380,
    )
    assert told.returncode == 0, told.stderr
    report = json.loads(told.stdout)
    assert report["detector"]["name"].startswith("city-n@")
    assert report["beside"]["detector"]["name"].endswith(" in int8")
    assert report["beside"]["detector"]["revision"] != report["detector"]["revision"]
    over_all = {each["class"]: each for each in report["figures"] if each["source"] == "all"}
    assert {*WANTED, "fire", "smoke", "fire_or_smoke"} <= set(over_all)
    assert any(over_all[label]["ap50"]["value"] > 0 for label in WANTED)  # it sees something where something is
    assert report["wanted"][0]["holds"] is not None
    assert "<svg" in (few / "shown/index.html").read_text(encoding="utf-8")


def test_our_own_set_says_what_must_hold_of_the_shipped_model() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "citybrain", "evaluate", "frames", "--sources", "nowhere"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert told.returncode == 2
    assert (
        "--sources nowhere: no picture is of it." in told.stderr
    )  # so the set and its questions were read without a fault
