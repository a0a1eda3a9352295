"""What a look leaves behind: a picture where it may become evidence, the latest one for people, and no more than that costs."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from citybrain import assembly
from citybrain.domain.detection import Looked
from citybrain.evidence.files import FileEvidence
from citybrain.evidence.stamp import stamp_of
from citybrain.hot.sqlite import SqliteHot
from citybrain.looking import Glance, Looking
from citybrain.ports import Picture

GOOD = Path(__file__).parents[2] / "configs" / "folders" / "good"
AT = datetime(2026, 11, 21, 8, tzinfo=UTC)
CAMERA = """
  - id: {id}
    name: {id}
    url: rtsp://127.0.0.1:8554/sub
    zones: [{zones}]
"""
KERB = "{id: kerb, kind: no_parking, polygon: [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]}"


def street(colour: tuple[int, int, int], *, seed: int = 0) -> Picture:
    """A street that nothing is frozen in, with a rectangle of one colour (BGR) in its middle."""
    noise = np.random.default_rng(seed).integers(90, 150, (360, 640, 3), dtype=np.uint8)
    image = np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.uint8)
    cv2.rectangle(image, (10, 10), (630, 60), (200, 200, 200), -1)
    cv2.rectangle(image, (240, 150), (400, 260), colour, -1)
    planar = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), np.uint8)
    u, v = planar[360:].reshape(2, 180, 320)
    return Picture(planar[:360], u, v)


CAR, FIRE = street((0, 255, 0)), street((0, 0, 255))


@pytest.fixture
def looking_at(tmp_path):
    """What looks at the good folder's scenes with these cameras, the kerb's id first, and its hot store."""
    opened = []

    def make(*cameras: str, kerb: str = "") -> tuple[Looking, SqliteHot]:
        folder = tmp_path / "config"
        shutil.copytree(GOOD, folder)
        said = [CAMERA.format(id=id, zones=KERB if id == kerb else "") for id in cameras]
        (folder / "cameras.yaml").write_text("cameras:\n" + "".join(said))
        (folder / "routes.yaml").write_text("routes: []\n")
        hot = SqliteHot(tmp_path / "hot.db")
        looking = Looking(assembly.load(folder), evidence=FileEvidence(tmp_path / "evidence"), hot=hot)
        opened.append(looking)
        return looking, hot

    yield make
    for each in opened:
        each.close()


def test_a_picture_is_kept_of_what_concerns_a_scene_of_this_camera(looking_at):
    looking, _ = looking_at("kerb", "lane", kerb="kerb")
    seen = looking.look([Glance("kerb", CAR, AT, 1), Glance("lane", CAR, AT, 1)])
    assert [[each.label for each in look.detections] for look in seen] == [["car"], ["car"]]
    assert [look.evidence is not None for look in seen] == [True, False]
    (burning,) = looking.look([Glance("lane", FIRE, AT + timedelta(seconds=30), 2)])
    assert burning.evidence is not None


def test_who_is_asked_to_look_again_looks_and_keeps_what_it_sees_although_nothing_changed_and_nothing_is_there(
    looking_at,
):
    looking, _ = looking_at("kerb", kerb="kerb")
    empty = street((128, 128, 128))
    looks = [
        looking.look([Glance("kerb", empty, AT + timedelta(seconds=second), second + 1, again=second == 3)])[0]
        for second in range(5)
    ]
    assert [each.looked for each in looks] == [
        Looked.INFERRED,
        Looked.UNCHANGED,
        Looked.UNCHANGED,
        Looked.INFERRED,
        Looked.UNCHANGED,
    ]
    assert [each.evidence is not None for each in looks[:4]] == [False, False, False, True]


@pytest.mark.parametrize(("cameras", "renewed_each"), [(10, 1), (80, 4)])
def test_the_latest_pictures_of_many_cameras_are_renewed_less_often(looking_at, cameras, renewed_each):
    names = [f"c{number}" for number in range(cameras)]
    looking, hot = looking_at(*names)
    shown: dict[str, bytes | None] = {}
    renewed: Counter[str] = Counter()
    for second in range(17):
        for name in (names[0], names[-1]) if second else names:
            picture = street((0, 255, 0), seed=second)
            looking.look([Glance(name, picture, AT + timedelta(seconds=second), second + 1)])
        for name in (names[0], names[-1]):
            latest = hot.get(f"picture/{name}")
            if second:
                renewed[name] += latest != shown[name]
            shown[name] = latest
    assert set(renewed.values()) == {16 // renewed_each}


def test_a_camera_that_somebody_watches_is_renewed_at_every_look_however_many_there_are(looking_at):
    names = [f"c{number}" for number in range(80)]
    looking, hot = looking_at(*names)
    hot.put("watched/c1", b"1")
    found: dict[str, list[datetime | None]] = {"c0": [], "c1": []}
    for quarter in range(9):
        at = AT + timedelta(seconds=quarter / 4)
        for name in names if quarter == 0 else found:
            looking.look([Glance(name, street((0, 255, 0), seed=quarter), at, quarter + 1)])
        for name, instants in found.items():
            instants.append(stamp_of(hot.get(f"picture/{name}") or b""))
    assert found["c0"] == [AT] * 9
    assert found["c1"] == [AT + timedelta(seconds=quarter / 4) for quarter in range(9)]
