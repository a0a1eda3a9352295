"""cameras.yaml: what it says arrives, every kind of fault is named with its remedy, and a password is shown nowhere."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from citybrain.domain.camera import Text, ZoneKind
from citybrain.errors import Fault
from ingest.config import build, load
from ingest.sources.file import File
from ingest.sources.rtsp import Rtsp

FIXTURES = Path("tests/configs/cameras")
PASSWORD = "p@ss/w:rd#42"

FAULTS = {
    "not_yaml": ("line 4, column 6", "expected ','", "Check the indentation"),
    "empty": ("", "is empty", "docs/configuration.md"),
    "no_cameras": ("cameras", "names no camera", "Add one"),
    "not_a_list": ("cameras", "valid list", ""),
    "camera_is_text": ("cameras[0]", "is not a camera", "id, name and url"),
    "unknown_key": ("cameras[0].zone", "not a known key", "Did you mean 'zones'?"),
    "missing_url": ("cameras[0].url", "is missing", "Add `url`"),
    "bad_id": ("cameras[0].id", "expected up to 63 letters", ""),
    "duplicate_camera": ("cameras[1].id", "'gd-0001' is the id of another camera too", "given once"),
    "one_language": ("cameras[0].name", "expected both languages", ""),
    "unset_variable": ("cameras[0].url", "CAM_PASSWORD_NOBODY_SET is not set", "in the environment"),
    "unknown_scheme": ("cameras[0].url", "begins with 'rstp:'", "file, images, libav, rtsp"),
    "no_host": ("cameras[0].url", "names no host", "rtsp://user:password@host"),
    "no_such_file": ("cameras[0].url", "gone.mp4", "from the folder of cameras.yaml"),
    "unknown_source": ("cameras[0].source", "has no 'rtps'", "file, images, libav, rtsp"),
    "location_out_of_range": ("cameras[0].location.lat", "less than or equal to 90", ""),
    "grid_cell_is_a_number": ("cameras[0].grid_cell", "must stand in quotes", ""),
    "grid_cell_too_short": ("cameras[0].grid_cell", "expected 15 digits", ""),
    "look_every_without_unit": ("cameras[0].look_every", "expected a duration such as 90s", ""),
    "look_every_too_short": ("cameras[0].look_every", "at least 200ms", "starve"),
    "zone_kind": ("cameras[0].zones[0].kind", "'no_parking', 'roadway'", ""),
    "duplicate_zone": ("cameras[0].zones[1].id", "'kerb' is the id of another zone too", "given once"),
    "polygon_in_pixels": (
        "cameras[0].zones[0].polygon",
        "looks like pixels",
        "Divide by the picture's width and height",
    ),
    "polygon_of_two_points": ("cameras[0].zones[0].polygon", "at least 3 points, got 2", ""),
    "polygon_crosses_itself": ("cameras[0].zones[0].polygon", "must not cross", ""),
    "ground_of_three_corners": ("cameras[0].zones[0].ground", "has 3 corners and the polygon 4", "same order"),
    "ground_swapped": ("cameras[0].zones[0].ground", "no [lon, lat]", "Longitude comes first"),
    "ground_on_a_line": ("cameras[0].zones[0].ground", "lie on a line", ""),
}


@pytest.fixture
def city(monkeypatch):
    monkeypatch.setenv("CAM_USER", "admin")
    monkeypatch.setenv("CAM_PASSWORD", PASSWORD)
    faults: list[Fault] = []
    cameras = load(FIXTURES / "complete", faults)
    assert faults == []
    return cameras


def test_every_fixture_is_expected_to_say_something():
    assert {each.name for each in FIXTURES.iterdir()} == {*FAULTS, "complete"}


@pytest.mark.parametrize("fixture", FAULTS)
def test_a_fault_names_file_key_and_remedy(fixture):
    key, message, remedy = FAULTS[fixture]
    faults: list[Fault] = []
    load(FIXTURES / fixture, faults)
    assert len(faults) == 1
    assert faults[0].file == str(FIXTURES / fixture / "cameras.yaml")
    assert faults[0].key == key
    assert message in faults[0].message
    assert remedy in faults[0].remedy


def test_faults_of_several_cameras_are_found_together_and_the_good_camera_stays(tmp_path):
    (tmp_path / "cameras.yaml").write_text(
        "cameras:\n"
        "  - {id: a, name: A, url: 'rstp://10.0.0.1/x', look_every: 50ms}\n"
        "  - {id: b, name: B, url: 'rtsp://10.0.0.1/x'}\n"
        "  - {id: c, name: C, url: 'rtsp://10.0.0.1/x', grid_cell: '1'}\n"
    )
    faults: list[Fault] = []
    cameras = load(tmp_path, faults)
    assert [each.id for each in cameras] == ["b"]
    assert [each.key for each in faults] == ["cameras[0].url", "cameras[0].look_every", "cameras[2].grid_cell"]


def test_what_the_file_says_arrives(city):
    junction, dome = city
    assert junction.camera.name == Text("关上中路口", "Guanshang junction")
    assert junction.camera.location == (102.7411, 25.0142)
    assert junction.camera.grid_cell == "530111001001003"
    assert junction.look_every == timedelta(seconds=2)
    assert junction.detector == "city"
    assert [zone.kind for zone in junction.camera.zones] == [ZoneKind.NO_PARKING, ZoneKind.ROADWAY]
    assert dome.camera.name == Text("Dome at the station", "Dome at the station")
    assert (dome.source, dome.fixed, dome.detector) == ("libav", False, None)


def test_a_zone_with_surveyed_corners_knows_where_its_middle_lies(city):
    kerb = city[0].camera.zones[0]
    assert kerb.place == "guanshang-kerb"
    lon, lat = kerb.ground.ground((0.10, 0.55))
    assert lon == pytest.approx(102.7411, abs=1e-5)
    assert lat == pytest.approx(25.0142, abs=1e-5)


def test_a_password_with_special_characters_reaches_the_camera_and_nobody_else(city):
    junction = city[0]
    assert junction.url.get_secret_value() == "rtsp://admin:p%40ss%2Fw%3Ard%2342@10.1.2.3/sub"
    assert junction.masked_url == "rtsp://***@10.1.2.3/sub"
    shown = f"{junction!r} {junction} {junction.url}"
    assert "admin" not in shown
    assert "p%40ss" not in shown
    assert PASSWORD not in shown


def test_an_address_in_the_wrong_place_does_not_spill_its_password_into_the_fault(tmp_path):
    (tmp_path / "cameras.yaml").write_text("cameras: rtsp://admin:planted-secret@10.1.2.3/sub\n")
    faults: list[Fault] = []
    load(tmp_path, faults)
    assert faults
    assert "planted-secret" not in str(faults[0])


def test_a_file_is_found_from_the_configurations_folder_and_its_source_chosen_by_scheme(tmp_path, city):
    (tmp_path / "street.mp4").write_bytes(b"")
    (tmp_path / "cameras.yaml").write_text("cameras: [{id: a, name: A, url: 'file:street.mp4?loop=1'}]")
    faults: list[Fault] = []
    (camera,) = load(tmp_path, faults)
    assert faults == []
    assert camera.url.get_secret_value() == f"file://{tmp_path}/street.mp4?loop=1"
    assert isinstance(build(camera), File)
    assert isinstance(build(city[0]), Rtsp)
