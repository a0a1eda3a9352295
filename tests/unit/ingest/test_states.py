"""A camera's state: only a picture makes it live, every other state says why, in both languages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from citybrain.domain.detection import Finding, Looked, Usable
from ingest.reasons import REASONS, chinese, reason_of
from ingest.states import CameraState, State, stale_after
from ingest.worker_port import Report

AT = datetime(2026, 11, 21, 8, tzinfo=UTC)


def look(state: CameraState, *, usable: Usable = Usable.OK, error: str | None = None, second: float = 1) -> None:
    at = AT + timedelta(seconds=second)
    state.looked_at(Report("a", 1, usable, Looked.INFERRED, 640, 360, error), at, at, second)


@pytest.fixture
def state() -> CameraState:
    return CameraState("a", since_at=AT)


def test_a_connection_proves_nothing_and_a_picture_does(state):
    state.opened()
    assert state.state == "connecting"
    look(state, error="expected a whole h264 picture, got a damaged one")
    assert state.state == "connecting"
    look(state)
    assert state.state == "live"
    assert (state.width, state.height, state.looks, state.unreadable) == (640, 360, 1, 1)


def test_a_wrong_password_is_refused_and_a_silent_camera_is_lost(state):
    state.failed("wrong password", AT)
    assert (state.state, state.reason) == (State.REFUSED, "wrong password")
    state.failed("silent", AT)
    assert (state.state, state.reason) == (State.LOST, "silent")


def test_a_lost_camera_stays_lost_until_it_shows_a_picture(state):
    state.failed("silent", AT)
    state.opened()
    state.starved("silent", AT)
    assert state.state is State.LOST
    look(state)
    assert (state.state, state.reason) == (State.LIVE, "")


def test_a_camera_gone_dark_is_unusable_and_says_so(state):
    state.opened()
    look(state, usable=Usable.DARK)
    assert (state.state, state.reason) == (State.UNUSABLE, "dark")
    assert state.seen
    assert state.as_json()["reason_zh"] == "画面全黑"


def test_the_last_frame_of_a_camera_that_went_does_not_bring_it_back(state):
    state.opened()
    look(state)
    state.failed("ended", AT)
    look(state, second=2)
    assert state.state is State.LOST
    assert state.looks == 2


def test_a_camera_with_a_cast_is_live_and_says_what_to_see_to(state):
    state.opened()
    cast = Report("a", 1, Usable.OK, Looked.INFERRED, 640, 360, findings=(Finding.COLOUR_CAST,))
    before = state.headline
    state.looked_at(cast, AT, AT, 1)
    assert state.state is State.LIVE
    assert state.headline != before
    assert state.as_json()["findings"] == [{"zh": "画面偏色", "en": "colour cast"}]
    state.failed("silent", AT)
    assert state.as_json()["findings"] == []


def test_a_card_no_signal_is_said_in_words(state):
    state.opened()
    look(state, usable=Usable.NO_SIGNAL)
    assert (state.reason, state.as_json()["reason_zh"]) == ("no signal", "设备无视频信号")


def test_what_the_gate_skipped_and_what_audits_found_is_counted(state):
    state.opened()
    for looked, audited, missed in (
        (Looked.UNCHANGED, False, False),
        (Looked.INFERRED, True, False),
        (Looked.INFERRED, True, True),
    ):
        report = Report("a", 1, Usable.OK, looked, 640, 360, audited=audited, missed=missed)
        state.looked_at(report, AT, AT, 1)
    told = state.as_json()
    assert (told["gate_skipped"], told["gate_audited"], told["gate_missed"]) == (1, 2, 1)


def test_a_live_camera_without_looks_is_stale(state):
    state.opened()
    look(state)
    state.starved("overloaded", AT)
    assert (state.state, state.reason) == (State.STALE, "overloaded")
    assert state.as_json()["looked"] == "not"
    look(state, second=20)
    assert state.state is State.LIVE


def test_since_tells_when_it_began_and_not_when_it_was_last_said(state):
    later = AT + timedelta(minutes=1)
    state.failed("silent", AT)
    state.failed("silent", later)
    assert state.since_at == AT
    state.failed("ended", later)
    assert state.since_at == later


def test_five_looks_or_ten_seconds_make_a_picture_stale():
    assert stale_after(timedelta(seconds=1)) == timedelta(seconds=10)
    assert stale_after(timedelta(seconds=4)) == timedelta(seconds=20)


def test_every_reason_is_said_in_both_languages():
    assert all(each.text.zh and each.text.en for each in REASONS.values())
    assert {reason_of(each) for each in (*Usable, *Finding) if each is not Usable.OK} <= set(REASONS)
    assert chinese("") == ""
    assert chinese("something new") == "something new"
