"""Cameras out of files into the topic, and out of it again: no secret goes along, and what cannot be served says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from citybrain.errors import Fault
from citybrain.wire import loads
from citybrain.wire.cameras import Registered, read_registered, write_registered
from ingest.reasons import chinese, refuses
from ingest.registered import Registry, Unusable, entries, variables_of
from ingest.secrets import written_out

WEST = """\
cameras:
  - id: gd-1
    name: {zh: 路口, en: Junction}
    url: rtsp://${USER:-admin}:${WEST_PASSWORD}@10.0.0.1/sub
    detector: city
    look_every: 2s
    zones: [{id: kerb, kind: no_parking, polygon: [[0.1, 0.5], [0.9, 0.5], [0.9, 0.9]]}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cameras").mkdir()
    (tmp_path / "cameras" / "west.yaml").write_text(WEST, encoding="utf-8")
    return tmp_path


def secrets(folder: Path, text: str) -> None:
    path = folder / "cameras" / "west.env"
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def published(folder: Path) -> dict[str, Registered]:
    faults: list[Fault] = []
    found = {id: read_registered(write_registered(each)) for id, each in entries(folder, faults=faults).items()}
    assert faults == []
    return found


def test_an_entry_travels_as_it_stands_in_its_file_without_its_secrets(folder: Path) -> None:
    secrets(folder, "WEST_PASSWORD=planted-7731\n")
    raw = write_registered(entries(folder, faults=[])["gd-1"])
    assert b"planted" not in raw
    assert loads(raw)["file"] == "cameras/west.yaml"
    assert loads(raw)["entry"]["url"] == "rtsp://${USER:-admin}:${WEST_PASSWORD}@10.0.0.1/sub"


def test_what_was_published_is_the_camera_that_the_folder_describes(folder: Path) -> None:
    secrets(folder, "WEST_PASSWORD='p@ss'\n")
    (camera,), unusable = Registry(folder, around={}).settings(published(folder), detectors=["city"])
    assert unusable == {}
    assert camera.url.get_secret_value() == "rtsp://admin:p%40ss@10.0.0.1/sub"
    assert camera.masked_url == "rtsp://***@10.0.0.1/sub"
    assert (camera.look_every.total_seconds(), camera.camera.zones[0].id) == (2, "kerb")


def test_the_machine_s_own_environment_serves_too(folder: Path) -> None:
    found, _ = Registry(folder, around={"WEST_PASSWORD": "a"}).settings(published(folder), detectors=["city"])
    assert [each.id for each in found] == ["gd-1"]


@pytest.mark.parametrize(
    ("change", "detectors", "reason", "detail"),
    [
        ({}, ["other"], "no such detector", "detectors/city.yaml"),
        ({"detector": None}, ["a", "b"], "no such detector", "several"),
        ({}, ["city"], "secret not set", "WEST_PASSWORD"),
        ({"url": "rtsp://10.0.0.1/sub", "look_every": "1ms"}, ["city"], "entry faulty", "look_every"),
        ({"url": "gopher://10.0.0.1"}, ["city"], "entry faulty", "gopher"),
        ({"colour": "red"}, ["city"], "entry faulty", "colour"),
        ({"id": "gd-2"}, ["city"], "entry faulty", "gd-2"),
    ],
)
def test_what_cannot_be_looked_at_here_says_why_and_stops_nothing_else(
    folder, change, detectors, reason, detail
) -> None:
    good = published(folder)["gd-1"]
    odd = Registered(good.file, {key: value for key, value in {**good.entry, **change}.items() if value is not None})
    plain = Registered(
        "cameras.yaml", {"id": "ok", "name": "ok", "url": "rtsp://10.0.0.2/sub", "detector": detectors[0]}
    )
    usable, unusable = Registry(folder, around={}).settings({"gd-1": odd, "ok": plain}, detectors=detectors)
    assert [each.id for each in usable] == ["ok"]
    assert unusable["gd-1"].reason == reason
    assert detail in unusable["gd-1"].detail
    assert refuses(reason)
    assert chinese(reason) != reason


def test_a_message_makes_nobody_read_other_files(folder: Path, tmp_path: Path) -> None:
    secrets(folder, "WEST_PASSWORD=a\n")
    entry = published(folder)["gd-1"].entry
    for file in (
        "../cameras/west.yaml",
        "cameras/../cameras/west.yaml",
        "/etc/west.yaml",
        "scenes/west.yaml",
        "cameras/a/b.yaml",
    ):
        _, unusable = Registry(folder, around={}).settings({"gd-1": Registered(file, entry)}, detectors=["city"])
        assert isinstance(unusable["gd-1"], Unusable)


def test_a_secret_that_changes_is_noticed(folder: Path) -> None:
    registry = Registry(folder, around={})
    before = registry.fingerprint()
    secrets(folder, "WEST_PASSWORD=a\n")
    between = registry.fingerprint()
    secrets(folder, "WEST_PASSWORD=another\n")
    assert len({tuple(before), tuple(between), tuple(registry.fingerprint())}) == 3


def test_whoever_publishes_needs_none_of_the_secrets(folder: Path) -> None:
    assert variables_of(folder) == {"USER": "x", "WEST_PASSWORD": "x"}


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("rtsp://10.0.0.1/sub", False),
        ("rtsp://admin@10.0.0.1/sub", False),
        ("rtsp://${USER}:${PASSWORD}@10.0.0.1/sub", False),
        ("rtsp://demo:${PASSWORD:-demo}@127.0.0.1:${PORT:-8554}/a", False),
        ("https://10.0.0.1/live?channel=1&token=${TOKEN}", False),
        ("rtsp://admin:12345@10.0.0.1/sub", True),
        ("rtsp://admin:a${PASSWORD}@10.0.0.1/sub", True),
        ("rtsp://admin:p@ss@10.0.0.1/sub", True),
        ("https://10.0.0.1/live?token=abc&channel=1", True),
        ("https://10.0.0.1/live?channel=1&password=${P}x", True),
    ],
)
def test_a_password_that_is_written_out_is_seen(url: str, secret: bool) -> None:
    assert written_out(url) is secret


def test_a_password_that_is_written_out_is_not_published(folder: Path) -> None:
    (folder / "cameras" / "west.yaml").write_text(WEST.replace("${WEST_PASSWORD}", "planted-7731"), encoding="utf-8")
    faults: list[Fault] = []
    entries(folder, faults=faults)
    assert [(each.key, "written out" in each.message) for each in faults] == [("cameras[0].url", True)]
    assert "planted" not in str(faults)
