"""`citybrain evaluate frames` from the words to the page, with a detector that sees painted rectangles."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import cv2
import numpy as np
import pytest

from citybrain.cli import run

RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)  # fire, car, truck to the scripted detector
PICTURES = {
    "fire": [((0.1, 0.1, 0.3, 0.3), RED)],
    "cars": [((0.1, 0.5, 0.3, 0.7), GREEN), ((0.5, 0.5, 0.7, 0.7), BLUE)],
    "dry": [],
    "lamp": [((0.6, 0.1, 0.7, 0.2), RED)],
}


def paint(path: Path, rectangles: list) -> None:
    picture = np.full((240, 320, 3), 120, np.uint8)
    for (left, top, right, bottom), colour in rectangles:
        cv2.rectangle(
            picture,
            (round(left * 320), round(top * 240)),
            (round(right * 320), round(bottom * 240)),
            colour,
            cv2.FILLED,
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A set: a fire, two trucks of which one looks like a car, a dry street, and a lamp that looks like a fire."""
    for name, rectangles in PICTURES.items():
        paint(tmp_path / "pictures/yard" / f"{name}.jpg", rectangles)
    (tmp_path / "sources.yaml").write_text("yard: {title: A yard}\n", encoding="utf-8")
    labels = "fire smoke car truck bus motorcycle"
    rows = [f"yard/{name}.jpg,yard,{labels}" for name in PICTURES]
    (tmp_path / "pictures.csv").write_text("\n".join(["picture,source,labelled", *rows, ""]), encoding="utf-8")
    (tmp_path / "boxes.csv").write_text(
        "picture,label,left,top,right,bottom\n"
        "yard/fire.jpg,fire,0.1,0.1,0.3,0.3\n"
        "yard/cars.jpg,truck,0.1,0.5,0.3,0.7\n"
        "yard/cars.jpg,truck,0.5,0.5,0.7,0.7\n",
        encoding="utf-8",
    )
    (tmp_path / "detectors").mkdir()
    (tmp_path / "detectors/colours.yaml").write_text("backend: scripted\n", encoding="utf-8")
    (tmp_path / "detectors/blind.yaml").write_text(
        "backend: scripted\nlabels: {fire: fire, water: water}\n", encoding="utf-8"
    )
    (tmp_path / "detectors/harbour.yaml").write_text(
        "backend: scripted\noptions: {colours: {red: buoy}}\n", encoding="utf-8"
    )
    return tmp_path


def evaluate(folder: Path, *words: object, detector: str = "colours") -> int:
    common = ("--set", folder, "--config", folder, "--detector", detector)
    return run(["evaluate", "frames", *map(str, (*common, *words))])


def told(folder: Path, capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    assert evaluate(folder, "--json", *words) == 0
    return json.loads(capsys.readouterr().out)


def figure(report: dict, name: str) -> dict:
    return next(each for each in report["figures"] if each["class"] == name)


def test_every_figure_of_a_painted_street_is_as_painted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = told(folder, capsys)
    fire, truck, vehicle = (figure(report, name) for name in ("fire", "truck", "vehicle"))
    assert (fire["pictures_with_it"], fire["pictures"]) == (1, 4)
    assert fire["picture_precision"]["value"] == 0.5  # the lamp
    assert fire["false_share"]["value"] == pytest.approx(1 / 3, abs=1e-4)
    assert truck["box_recall"]["value"] == 0.5
    assert vehicle["box_recall"]["value"] == 1.0
    assert vehicle["ap50"]["value"] == 1.0
    assert report["not_told"] == ["bus", "motorcycle", "smoke"]
    assert report["detector"]["counts_from"]["fire"] == 0.25


def test_how_many_pictures_were_looked_at_again_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = "backend: scripted\nsecond_look: {labels: [fire], area: 0.03}\n"
    (folder / "detectors/twice.yaml").write_text(again, encoding="utf-8")
    assert evaluate(folder, detector="twice") == 0
    assert "Looked at again from further away: 1 of 4 pictures." in capsys.readouterr().out
    assert evaluate(folder, "--json", detector="twice") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["detector"]["second_looks"] == 1
    assert figure(report, "fire")["picture_recall"]["value"] == 1
    assert told(folder, capsys)["detector"]["second_looks"] == 0


def test_where_nothing_is_judged_a_lamp_is_no_false_fire(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (folder / "boxes.csv").open("a", encoding="utf-8") as table:
        table.write("yard/lamp.jpg,ignore,0.5,0,0.8,0.3\n")
    assert figure(told(folder, capsys), "fire")["false_share"]["value"] == 0.0


def test_an_operating_point_above_all_that_was_found_finds_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = told(folder, capsys, "--confidence", "fire=1.0")
    assert figure(report, "fire")["picture_recall"]["value"] == 0.0
    assert figure(report, "truck")["picture_recall"]["value"] == 1.0


def test_what_is_wanted_decides_the_exit_status_only_when_asked_to(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strict, easy = "fire_or_smoke:precision=0.9,recall=0.8", "vehicle:recall=1"
    assert evaluate(folder, "--wanted", strict) == 0
    assert "no threshold is as precise as 0.90" in capsys.readouterr().out
    assert evaluate(folder, "--wanted", strict, "--require") == 1
    assert evaluate(folder, "--wanted", easy, "--require") == 0
    assert evaluate(folder, "--require") == 2
    assert "nothing is wanted" in capsys.readouterr().err


def test_a_sets_own_wishes_are_answered(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "questions.yaml").write_text("wanted: {vehicle: {lost: 0}}\n", encoding="utf-8")
    (answer,) = told(folder, capsys, "--beside", "blind")["wanted"]
    assert answer["holds"] is None  # the other one tells no vehicles
    report = told(folder, capsys, "--beside", "colours")
    assert report["wanted"][0]["holds"] is True
    assert report["beside"]["detector"]["name"] == "colours"


def test_training_tables_are_measured_by_their_split(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = folder / "pictures/yard/fire.jpg"
    picture.with_suffix(".txt").write_text("6 0.2 0.2 0.2 0.2\n", encoding="utf-8")  # city-n's class 6
    table = folder / "fires.csv"
    table.write_text(
        "split,source,picture\ntest,fires,pictures/yard/fire.jpg\ntrain,fires,pictures/yard/dry.jpg\n", encoding="utf-8"
    )
    words = ["evaluate", "frames", "--config", str(folder), "--detector", "colours", "--tables", str(table), "--json"]
    assert run(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["sources"] == {"fires": 1}
    assert figure(report, "fire")["ap50"]["value"] == 1.0
    assert run([*words, "--split", "valid"]) == 2
    assert "no picture of the split 'valid'" in capsys.readouterr().err


def test_the_page_shows_curves_and_what_went_wrong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(folder, "--plots", folder / "plots", "--wanted", "fire:precision=0.9,recall=0.8") == 0
    page = (folder / "plots/index.html").read_text(encoding="utf-8")
    assert "<h2>明火 fire</h2>" in page
    assert "误报 False: 1 / 1" in page
    for name in ("curve-fire.svg", "threshold-vehicle.svg", "false-fire.svg", "missed-truck.svg"):
        drawn = ET.fromstring((folder / "plots" / name).read_text(encoding="utf-8"))
        assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    lamp = ET.parse(folder / "plots/false-fire.svg").getroot()
    assert [each.get("href", "")[:23] for each in lamp.iter("{http://www.w3.org/2000/svg}image")] == [
        "data:image/jpeg;base64,"
    ]
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")  # nothing is fetched to look at it
    assert not (folder / "plots/false-truck.svg").exists()


def test_a_second_detector_has_curves_of_its_own_on_the_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(folder, "--plots", folder / "plots", "--beside", "blind") == 0
    page = (folder / "plots/index.html").read_text(encoding="utf-8")
    assert "对比 Side by side" in page
    both = ET.parse(folder / "plots/curve-fire.svg").getroot()
    lines = list(both.iter("{http://www.w3.org/2000/svg}polyline"))
    assert len(lines) == 4  # by picture and by box, of both
    assert len({each.get("stroke") for each in lines}) == 4
    assert len(list(both.iter("{http://www.w3.org/2000/svg}circle"))) == 4  # their operating points, and in the legend


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sources", "yrad"], "--sources yrad: no picture is of it. Did you mean 'yard'?"),
        (["--confidence", "much"], "--confidence much: expected per-class"),
        (["--confidence", "0.01"], "--confidence 0.01: expected per-class, a number 0.05..1"),
        (["--wanted", "fire"], "expected NAME:precision=P,recall=R"),
        (["--wanted", "fier:recall=1"], "'fier' is neither a class of the set nor a group. Did you mean 'fire'?"),
        (["--beside", "city-x"], "'city-x' is neither a model of"),
        (["--beside", "city-n:int4"], "expected a form of f32, bf16, int8, onnx, pytorch"),
        (["--model", "city-n"], "name either a --detector or a --model"),
        (["--plots", "/proc/plots"], "--plots /proc/plots: cannot be written to"),
    ],
)
def test_words_that_cannot_be_carried_out_say_why(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert evaluate(folder, *words) == 2
    assert said in capsys.readouterr().err


def test_a_detector_that_shares_no_label_with_the_pictures_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(folder, detector="harbour") == 2
    assert "harbour: tells buoy, and of that nothing is labelled in these pictures" in capsys.readouterr().err


def test_a_detector_must_be_of_the_configuration(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(folder, detector="colors") == 2
    assert "has no such detector. Did you mean 'colours'?" in capsys.readouterr().err
    assert run(["evaluate", "frames", "--set", str(folder), "--config", str(folder)]) == 2
    assert "has the detectors blind, colours, harbour; name one" in capsys.readouterr().err
    assert run(["evaluate", "frames", "--set", str(folder), "--detector", "colours"]) == 2
    assert "say by --config whose detector it is" in capsys.readouterr().err


def test_pictures_that_are_none_are_named_all_of_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("fire", "lamp"):
        (folder / "pictures/yard" / f"{name}.jpg").write_bytes(b"no picture")
    assert evaluate(folder) == 2
    said = capsys.readouterr().err
    assert "fire.jpg: expected a mjpeg picture" in said
    assert "lamp.jpg: expected a mjpeg picture" in said


def test_a_fault_of_a_set_stops_before_anything_is_measured(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pictures/yard/dry.jpg").unlink()
    assert evaluate(folder) == 2
    assert "pictures.csv: line 4: there is no picture" in capsys.readouterr().err
