"""What is judged once more: one camera's looks of a stretch of the log, and which cases of two runs are the same problem."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from citybrain.bus.local import LocalBus
from citybrain.clock import ManualClock
from citybrain.domain.episode import Evidence
from citybrain.domain.geometry import Box
from citybrain.rehearsing import compared, looks_of
from citybrain.wire import COMMANDS, DETECTIONS
from tests.services.api_city import START, case

HERE, THERE = Box(0.1, 0.1, 0.3, 0.3), Box(0.6, 0.6, 0.8, 0.8)


@settings(max_examples=40, deadline=None)
@given(
    log=st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["a", "b", "tick"])), max_size=40),
    since=st.integers(-5, 400),
    swept=st.integers(0, 30),
)
def test_a_cameras_looks_since_an_instant_are_found_whatever_lies_between(log, since, swept, tmp_path_factory):
    database, clock = tmp_path_factory.mktemp("log") / "citybrain.db", ManualClock(START)
    bus = LocalBus(database, clock=clock)
    for n, (seconds, key) in enumerate(log):
        clock.advance(timedelta(seconds=seconds))
        bus.publish(COMMANDS if key == "tick" else DETECTIONS, key, str(n).encode())
    bus._connection.execute("DELETE FROM log WHERE topic = ? AND offset <= ?", (DETECTIONS, swept))
    at = START + timedelta(seconds=since)
    messages = bus.read((DETECTIONS,), after=0)
    wanted = [message.value for message in messages if message.key == "a" and message.logged_at >= at]
    bus.close()
    assert list(looks_of(database, "a", since=at)) == wanted


def seen(n: int, box: Box | None = HERE, *, after: float = 0, **more):
    told = case(n, **more)
    pictures = tuple(replace(each, box=box) for each in told.evidence)
    return replace(told, evidence=pictures, began_at=told.began_at + timedelta(seconds=after))


def changes(present, drawn, hold: float = 300) -> list[tuple[str, str]]:
    found = compared(present, drawn, holds={"illegal_parking": timedelta(seconds=hold)})
    return [(each.change, each.scene) for each in found]


def test_the_same_thing_a_little_later_is_kept_and_another_thing_is_not():
    assert changes([seen(1)], [seen(2, after=200)]) == [("kept", "illegal_parking")]
    assert sorted(changes([seen(1)], [seen(2, THERE)])) == [("gained", "illegal_parking"), ("lost", "illegal_parking")]
    assert sorted(changes([seen(1)], [seen(2, after=301)])) == [
        ("gained", "illegal_parking"),
        ("lost", "illegal_parking"),
    ]
    assert len(changes([seen(1)], [seen(1, scene="fire_risk")])) == 2


def test_one_case_has_one_twin():
    assert sorted(change for change, _ in changes([seen(1)], [seen(1), seen(2)])) == ["gained", "kept"]


def test_the_picture_is_that_of_the_confirming_look():
    told = seen(1)
    first = Evidence("gd-0001/first.jpg", "gd-0001", START, "first", THERE)
    (found,) = compared([], [replace(told, evidence=(first, *told.evidence))], holds={})
    assert (found.picture, found.box) == (told.evidence[0].ref, HERE)
    (without,) = compared([], [replace(told, evidence=())], holds={})
    assert (without.picture, without.box) == (None, None)
