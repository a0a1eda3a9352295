"""Cameras of many files: a district a file, one list of ids over all of them, and every fault names its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from citybrain.errors import Fault
from ingest.config import load


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def cameras(*ids: str, **more: str) -> str:
    extra = "".join(f"    {key}: {value}\n" for key, value in more.items())
    return "cameras:\n" + "".join(
        f"  - id: {id}\n    name: {id}\n    url: rtsp://10.0.0.{n}/sub\n{extra}" for n, id in enumerate(ids, 1)
    )


def loaded(folder: Path) -> tuple[list[str], list[str]]:
    faults: list[Fault] = []
    found = load(folder, faults)
    return [each.id for each in found], [str(each).removeprefix(f"{folder}/") for each in faults]


def test_a_districts_cameras_lie_in_a_file_of_their_own(tmp_path):
    written(
        tmp_path,
        {
            "cameras.yaml": cameras("a-1"),
            "cameras/west.yaml": cameras("w-1", "w-2"),
            "cameras/east.yaml": cameras("e-1"),
        },
    )
    assert loaded(tmp_path) == (["a-1", "e-1", "w-1", "w-2"], [])


def test_a_city_of_district_files_needs_no_other(tmp_path):
    assert loaded(written(tmp_path, {"cameras/west.yaml": cameras("w-1")})) == (["w-1"], [])


def test_a_file_of_no_camera_is_fine_beside_one_that_has_some(tmp_path):
    written(tmp_path, {"cameras.yaml": "cameras: []\n", "cameras/west.yaml": cameras("w-1")})
    assert loaded(tmp_path) == (["w-1"], [])


def test_an_id_is_given_once_in_the_whole_city_and_the_fault_names_both_files(tmp_path):
    written(tmp_path, {"cameras.yaml": cameras("a-1"), "cameras/west.yaml": cameras("w-1", "a-1", "w-1")})
    assert loaded(tmp_path)[1] == [
        f"cameras/west.yaml: cameras[1].id: 'a-1' is the id of another camera too, in {tmp_path}/cameras.yaml."
        " Ids are given once.",
        "cameras/west.yaml: cameras[2].id: 'w-1' is the id of another camera too. Ids are given once.",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (cameras("w-1", zonez="[]"), "cameras[0].zonez: is not a known key. Did you mean 'zones'?"),
        (cameras("w 1"), "cameras[0].id: expected up to 63 letters"),
        (cameras("w-1").replace("rtsp:", "rtsp:${NOBODY_SET_IT}"), "cameras[0].url: the variable NOBODY_SET_IT is not"),
        ("cameras: [\n", "line 2, column 1: "),
        ("cam: []\n", "cam: is not a known key. Did you mean 'cameras'?"),
    ],
)
def test_a_fault_names_the_file_that_it_is_in_and_the_other_files_cameras_are_there(tmp_path, text, fault):
    written(tmp_path, {"cameras.yaml": cameras("a-1"), "cameras/west.yaml": text})
    found, faults = loaded(tmp_path)
    assert found == ["a-1"]
    assert any(each.startswith(f"cameras/west.yaml: {fault}") for each in faults)


def test_a_camera_that_only_moves_to_another_file_is_the_same_camera(tmp_path):
    one = load(written(tmp_path / "one", {"cameras.yaml": cameras("a-1")}), [])
    other = load(written(tmp_path / "other", {"cameras/west.yaml": cameras("a-1")}), [])
    assert one == other
    assert one[0].file != other[0].file
