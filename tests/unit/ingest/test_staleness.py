"""How old what is known of a camera gets, and who is told: the age of the newest picture looked at, beside its patience."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from citybrain.clock import ManualClock
from citybrain.domain.camera import Camera, Text
from citybrain.domain.detection import Looked, Usable
from citybrain.domain.frame import Frame
from ingest.config import CameraSettings
from ingest.staleness import Staleness
from ingest.states import CameraState
from ingest.strikes import Strikes
from ingest.telling import Telling
from ingest.watched import Watched
from ingest.worker_port import Report

AT = datetime(2026, 11, 21, 8, tzinfo=UTC)


def test_a_camera_that_was_never_looked_at_has_no_staleness():
    staleness = Staleness()
    assert staleness.longest(100.0) is None
    assert not staleness.late(1.0, 100.0)


def test_staleness_counts_from_when_the_picture_was_taken_and_grows_until_the_next_look():
    staleness = Staleness()
    staleness.looked(9.0, 10.0)
    assert staleness.longest(12.0) == 3.0
    staleness.looked(12.5, 13.0)
    assert staleness.longest(13.0) == 4.0, "just before the look it was four seconds old"


def test_the_longest_is_remembered_for_half_a_minute_and_forgotten_after_a_whole():
    staleness = Staleness()
    staleness.looked(0.0, 0.0)
    staleness.looked(8.0, 8.0)
    longest = {}
    for second in range(9, 80):
        staleness.looked(second, second)
        longest[second] = staleness.longest(second)
    assert all(longest[second] == 8.0 for second in range(9, 38))
    assert longest[79] == 1.0


def test_a_picture_older_than_the_newest_makes_nothing_younger():
    staleness = Staleness()
    staleness.looked(10.0, 10.0)
    staleness.looked(4.0, 11.0)
    assert staleness.longest(12.0) == 2.0


def test_a_keyframe_that_is_a_little_late_makes_nobody_late():
    staleness = Staleness()
    staleness.looked(0.0, 0.0)
    assert not staleness.late(2.0, 2.4)
    assert staleness.late(2.0, 2.6)


class Kept:
    """A hot store that remembers what it was given."""

    def put(self, key: str, value: bytes, *, ttl: timedelta | None = None) -> None:
        """Nothing here is written: the tests ask `tick` and `heartbeat`."""


@pytest.fixture
def told():
    """A telling network of one camera looked at each second, patient for 20 s, at a clock that is moved by hand."""
    clock = ManualClock(AT)
    settings = CameraSettings(Camera("a", Text("a", "a")), "rtsp", SecretStr("rtsp://x/y"), "rtsp://x/y")
    state = CameraState("a", since_at=AT)
    each = Watched(settings, state, 0, clock.monotonic(), timedelta(seconds=20), blind_told_s=clock.monotonic())
    hot = Kept()
    telling = Telling({"a": each}, bus=hot, hot=hot, clock=clock, strikes=Strikes(), figures=dict)  # type: ignore[arg-type]
    state.opened()
    yield telling, each, clock
    telling.close()


def look(each: Watched, clock: ManualClock) -> None:
    report = Report("a", 1, Usable.OK, Looked.INFERRED, 640, 360)
    each.state.looked_at(report, clock.now() - timedelta(seconds=0.5), clock.now(), clock.monotonic())


def states(telling: Telling) -> list[dict[str, object]]:
    return [json.loads(text) for _, text in telling.tick()[1]]


def test_a_camera_says_how_old_it_gets_and_how_old_it_may_get(told):
    telling, each, clock = told
    assert [(each["staleness_s"], each["patience_s"]) for each in states(telling)] == [(None, 20.0)]
    look(each, clock)
    clock.advance(timedelta(seconds=6))
    assert [(each["staleness_s"], each["patience_s"]) for each in states(telling)] == [(6.5, 20.0)]


def test_that_a_camera_is_late_is_told_at_once(told):
    telling, each, clock = told
    look(each, clock)
    late = []
    for second in range(1, 30):
        clock.advance(timedelta(seconds=1))
        late += [second for state in states(telling) if float(str(state["staleness_s"])) > 25]
        if late:
            break
    assert late == [25]
    assert json.loads(telling.heartbeat())["figures"]["late"] == 1
    look(each, clock)


def test_a_camera_that_waits_its_turn_is_not_called_stale_before_twice_its_patience(told):
    telling, each, clock = told
    look(each, clock)
    each.mailbox.put(Frame("a", "h264", (b"x",), clock.now(), clock.now()))
    clock.advance(timedelta(seconds=39))
    telling.tick()
    assert each.state.state == "live"
    clock.advance(timedelta(seconds=2))
    telling.tick()
    assert (each.state.state, each.state.reason) == ("stale", "overloaded")


def test_a_camera_that_gives_nothing_is_called_stale_however_patient_its_scenes(told):
    telling, each, clock = told
    look(each, clock)
    clock.advance(timedelta(seconds=11))
    telling.tick()
    assert (each.state.state, each.state.reason) == ("stale", "silent")
