"""A worker's eye on one camera: what the gate skips, what is audited of it, and a view that people accept."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from citybrain import assembly
from citybrain.clock import ManualClock
from citybrain.domain.detection import Looked, Usable
from citybrain.hot.sqlite import SqliteHot
from citybrain.looking import Glance, Looking
from citybrain.ports import Picture
from detectors.audit import is_audited

CONFIGS = Path(__file__).parents[2] / "configs" / "demo"
AT = datetime(2026, 11, 21, 8, tzinfo=UTC)
CAMERA = "gate-1"
AUDITED = next(seq for seq in range(2, 999) if is_audited(CAMERA, seq))
SKIPPED = next(seq for seq in range(2, 999) if not is_audited(CAMERA, seq))


def street(seed=0):
    """A grey street with walls and windows."""
    draw = np.random.default_rng(seed)
    luma = np.full((360, 640), 190, np.uint8)
    for x in range(0, 640, 64):
        luma[int(draw.integers(30, 120)) : 230, x : x + 58] = draw.integers(60, 150)
        for y in range(130, 215, 26):
            luma[y : y + 14, x + 8 : x + 30] = draw.integers(30, 200)
    luma[230:] = 95
    for _ in range(40):
        x, y = int(draw.integers(0, 600)), int(draw.integers(235, 345))
        luma[y : y + 10, x : x + 30] = draw.integers(40, 200)
    return cv2.GaussianBlur(luma, (3, 3), 0)


def picture(luma, *, seq, fire=False):
    """As decoded, with a sensor's noise; a fire is the scripted detector's red. Dark red, so faint that the gate passes it."""
    noisy = np.clip(luma + np.random.default_rng(seq).normal(0, 1.5, luma.shape), 16, 235)
    u, v = (np.full((180, 320), 128, np.uint8) for _ in range(2))
    if fire:
        noisy[300:340, 300:360] = 95
        u[150:170, 150:180], v[150:170, 150:180] = 90, 240
    return Picture(np.rint(noisy).astype(np.uint8), u, v)


@pytest.fixture
def hot(tmp_path):
    store = SqliteHot(tmp_path / "hot.db", clock=ManualClock(AT))
    yield store
    store.close()


@pytest.fixture
def looking(tmp_path, hot):
    folder = tmp_path / "config"
    shutil.copytree(CONFIGS, folder, ignore=shutil.ignore_patterns("footage", "illegal_parking.yaml"))
    (folder / "cameras.yaml").write_text(
        f"cameras: [{{id: {CAMERA}, name: Gate, url: 'rtsp://127.0.0.1/a', "
        "zones: [{id: road, kind: roadway, polygon: [[0, 0], [1, 0], [1, 1], [0, 1]]}]}]",
        encoding="utf-8",
    )
    colours = "{red: fire, yellow: stall, green: car, cyan: water, blue: bus, magenta: smoke}"
    scripted = f"backend: scripted\noptions: {{colours: {colours}}}\n"
    (folder / "detectors" / "city.yaml").write_text(scripted, encoding="utf-8")
    (folder / "routes.yaml").write_text("timezone: Asia/Shanghai\nroutes: []\n", encoding="utf-8")
    eye = Looking(assembly.load(folder), hot=hot)
    eye.open()
    yield eye
    eye.close()


def looked(looking, shown, *, seq, second):
    (seen,) = looking.look([Glance(CAMERA, shown, AT + timedelta(seconds=second), seq)])
    return seen


def test_an_unchanged_view_is_skipped_unless_it_is_audited(looking):
    luma = street()
    assert looked(looking, picture(luma, seq=1), seq=1, second=0).looked is Looked.INFERRED
    assert looked(looking, picture(luma, seq=2), seq=SKIPPED, second=2).looked is Looked.UNCHANGED
    assert looking.audit(CAMERA) == (False, False)
    assert looked(looking, picture(luma, seq=3), seq=AUDITED, second=4).looked is Looked.INFERRED
    assert looking.audit(CAMERA) == (True, False)


def test_an_audit_that_finds_what_the_gate_passed_over_is_a_miss_and_its_answer_holds(looking):
    luma = street()
    luma[290:350, 290:370] = 95
    looked(looking, picture(luma, seq=1), seq=1, second=0)
    burning = picture(luma, seq=2, fire=True)
    assert looked(looking, burning, seq=SKIPPED, second=2).detections == ()
    seen = looked(looking, burning, seq=AUDITED, second=4)
    assert [each.label for each in seen.detections] == ["fire"]
    assert looking.audit(CAMERA) == (True, True)
    again = looked(looking, picture(luma, seq=4, fire=True), seq=SKIPPED, second=6)
    assert (again.looked, [each.label for each in again.detections]) == (Looked.UNCHANGED, ["fire"])


def test_a_turned_camera_sees_again_once_people_accept_its_view(looking, hot):
    for step in range(6):
        looked(looking, picture(street(), seq=step), seq=step, second=2 * step)
    turned = [
        looked(looking, picture(np.roll(street(), 24, axis=1), seq=step), seq=step, second=2 * step).usable
        for step in range(6, 12)
    ]
    assert turned[-1] is Usable.MOVED
    hot.put(f"baseline/{CAMERA}", b"")
    accepted = [
        looked(looking, picture(np.roll(street(), 24, axis=1), seq=step), seq=step, second=2 * step).usable
        for step in range(12, 20)
    ]
    assert accepted[-1] is Usable.OK
    assert hot.get(f"baseline/{CAMERA}") not in (None, b"")
    back = [looked(looking, picture(street(), seq=step), seq=step, second=2 * step).usable for step in range(20, 26)]
    assert back[-1] is Usable.MOVED
