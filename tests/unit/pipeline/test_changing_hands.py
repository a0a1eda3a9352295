"""A camera that one process takes over from another: no look of it is said to be lost that was not, and none counts twice."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from citybrain.domain.camera import Camera, Text
from citybrain.domain.detection import Detections
from citybrain.wire import read_detections, write_detections
from pipeline.camera_flow import CameraState, advance_camera
from pipeline.state import read_camera, write_camera

AT = datetime(2026, 11, 21, 8, tzinfo=UTC)
CAMERA = Camera("gd-1", Text("gd-1", "gd-1"))
ELDER, YOUNGER = AT - timedelta(hours=1), AT


def look(second: float, seq: int, taken_up_at: datetime | None = ELDER) -> Detections:
    return Detections("gd-1", AT + timedelta(seconds=second), seq, taken_up_at=taken_up_at)


def after(*looks: Detections) -> CameraState:
    state = CameraState()
    for seen in looks:
        state, _ = advance_camera(state, seen, CAMERA, [])
        state = read_camera(write_camera(state))  # whoever goes on may have it from a table
    return state


def test_a_gap_of_one_process_is_a_look_that_was_lost() -> None:
    assert after(look(0, 7), look(1, 8), look(2, 11)).looks_lost == 2


def test_a_camera_that_is_taken_over_has_lost_nothing() -> None:
    assert after(look(0, 5000), look(1, 1, YOUNGER), look(2, 2, YOUNGER)).looks_lost == 0
    assert after(look(0, 1), look(1, 40, YOUNGER), look(2, 41, YOUNGER)).looks_lost == 0


def test_what_the_elder_still_says_invents_no_loss() -> None:
    looks = (
        look(0, 5000),
        look(1, 1, YOUNGER),
        look(1.5, 5001),
        look(2, 2, YOUNGER),
        look(2.5, 5002),
        look(3, 3, YOUNGER),
    )
    state = after(*looks)
    assert (state.looks_lost, state.looks) == (0, 6)


def test_of_two_looks_at_one_picture_the_second_changes_nothing_and_is_not_lost() -> None:
    looks = (
        look(0, 5000),
        look(1, 1, YOUNGER),
        look(2, 2, YOUNGER),
        look(2, 5001),
        look(1.9, 3, YOUNGER),
        look(3, 4, YOUNGER),
    )
    state = after(*looks)
    assert (state.looks_lost, state.looks, state.last_at) == (0, 4, AT + timedelta(seconds=3))


def test_a_loss_of_the_one_who_took_over_is_seen() -> None:
    assert after(look(0, 5000), look(1, 1, YOUNGER), look(2, 4, YOUNGER)).looks_lost == 2


def test_a_look_that_comes_twice_changes_nothing() -> None:
    state = after(look(0, 1), look(1, 2))
    for again in (look(0, 1), look(1, 2)):
        assert advance_camera(state, again, CAMERA, []) == (state, [])


def test_an_ingest_that_says_nothing_of_when_is_counted_as_before() -> None:
    assert after(look(0, 1, None), look(1, 4, None), look(2, 1, None)).looks_lost == 2


@given(st.integers(0, 2**32), st.integers(1, 4))
def test_nothing_is_invented_however_looks_of_several_processes_mix(seed: int, processes: int) -> None:
    """Each process's own looks come in order, as they do by key in one partition; between them there is none."""
    draw = random.Random(seed)
    queues = []
    for process in range(processes):
        seconds = sorted(draw.randrange(600) / 10 for _ in range(draw.randrange(1, 30)))
        queues.append([look(s, n, AT + timedelta(minutes=process)) for n, s in enumerate(dict.fromkeys(seconds), 1)])
    mixed = []
    while any(queues):
        queue = draw.choice([each for each in queues if each])
        mixed.append(queue.pop(0))
    assert after(*mixed).looks_lost == 0


def test_when_it_was_taken_up_travels_with_the_look() -> None:
    assert read_detections(write_detections(look(0, 1))) == look(0, 1)
    assert b"taken_up_at" not in write_detections(replace(look(0, 1), taken_up_at=None))
