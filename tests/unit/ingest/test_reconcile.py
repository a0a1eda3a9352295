"""A new plan for a running network: cameras come, change and go, and whoever is not meant does not notice."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from citybrain.domain.camera import Camera, Text, Zone, ZoneKind
from citybrain.domain.geometry import Polygon
from ingest.plan import Plan, Reconciled
from ingest.turns import Turns
from tests.unit.ingest.watched_street import Street, camera

YARD = Zone("yard", ZoneKind.ROADWAY, Polygon(((0, 0), (1, 0), (1, 1))))


@pytest.fixture
def street():
    street = Street("a", "b", "c", workers=2)
    yield street
    street.close()


def test_the_same_plan_again_touches_nothing(street):
    before = {name: street.each(name) for name in "abc"}
    assert street.network.reconcile(Plan([camera(name) for name in "abc"])) == Reconciled()
    assert all(street.each(name) is each for name, each in before.items())


def test_a_camera_that_stays_keeps_its_worker_its_numbers_and_its_frame(street):
    street.arrives("b")
    street.looked(street.network.take(1, 4))
    street.after(2)
    street.arrives("b")
    changes = street.network.reconcile(Plan([camera("d"), camera("b"), camera("c")]))
    assert changes == Reconciled(added=("d",), removed=("a",))
    (frame,) = street.network.take(1, 4)
    assert (frame.camera, frame.seq) == ("b", 2)


def test_a_new_camera_goes_to_the_worker_with_the_fewest(street):
    assert [street.each(name).worker for name in "abc"] == [0, 1, 0]
    street.network.reconcile(Plan([camera(name) for name in "bcde"]))
    assert [street.each(name).worker for name in "bcde"] == [1, 0, 0, 1]


def test_a_camera_that_is_removed_is_told_of_no_more_and_its_last_look_is_nobodys(street):
    street.arrives("a")
    frames = street.network.take(0, 4)
    street.network.reconcile(Plan([camera("b"), camera("c")]))
    street.looked(frames, asks=("fire",))
    street.network.lost(frames, guilty=True)
    street.after(30)
    blind, states = street.network.telling.tick()
    assert "a" not in {each.camera for each in blind}
    assert "camera/a" not in dict(states)
    assert street.network.take(0, 4) == []


def test_a_camera_that_comes_back_is_not_answered_for_by_its_last_life(street):
    street.arrives("a")
    frames = street.network.take(0, 4)
    street.network.reconcile(Plan([camera("b"), camera("c")]))
    street.network.reconcile(Plan([camera(name) for name in "abc"]))
    street.looked(frames)
    assert street.state("a").looks == 0


def test_a_new_address_is_opened_anew_and_what_the_old_one_showed_is_not_looked_at(street):
    street.arrives("a")
    changed = camera("a", "rtsp://elsewhere/y")
    assert street.network.reconcile(Plan([changed, camera("b"), camera("c")])) == Reconciled(
        changed=("a",), reopened=("a",)
    )
    assert street.network.take(0, 4) == []
    assert (street.state("a").state, street.state("a").connected) == ("connecting", False)


def test_a_changed_zone_a_detector_or_a_rhythm_does_not_reconnect(street):
    street.arrives("a")
    zoned = replace(camera("a"), camera=Camera("a", Text("a", "a"), zones=(YARD,)))
    for changed in (zoned, replace(zoned, detector="other"), replace(zoned, look_every=timedelta(seconds=3))):
        changes = street.network.reconcile(Plan([changed, camera("b"), camera("c")]))
        assert (changes.changed, changes.reopened) == (("a",), ())
    assert [frame.camera for frame in street.network.take(0, 4)] == ["a"]
    street.after(2)
    street.arrives("a")
    assert street.network.take(0, 4) == []  # three seconds now
    street.after(1)
    assert [frame.camera for frame in street.network.take(0, 4)] == ["a"]


def test_a_source_that_is_paced_by_looks_is_opened_anew_when_the_rhythm_changes(street):
    of_file = replace(camera("f", "file:///x.mp4"), source="file")
    street.network.reconcile(Plan([of_file]))
    slower = replace(of_file, look_every=timedelta(seconds=3))
    assert street.network.reconcile(Plan([slower])).reopened == ("f",)


def test_a_new_patience_is_no_change_of_the_camera(street):
    plan = Plan([camera(name) for name in "abc"], patience={"a": timedelta(seconds=9)})
    assert street.network.reconcile(plan) == Reconciled()


# -- turns ----------------------------------------------------------------------------------------------------------------


def opened_at(turns: Turns, now: float, cameras: int) -> list[float]:
    return [now + turns.wait(now) for _ in range(cameras)]


def most_within(instants: list[float], window: float) -> int:
    instants = sorted(instants)
    return max(sum(start <= each < start + window for each in instants) for start in instants)


def test_after_a_power_cut_a_thousand_cameras_are_opened_evenly_over_ten_seconds():
    opened = opened_at(Turns(per_second=100, draw=random.Random(1)), 50.0, 1000)
    assert most_within(opened, 1.0) <= 102
    assert most_within(opened, 0.1) <= 12
    assert 9.9 <= max(opened) - 50.0 <= 10.1


def test_who_fails_again_and_again_waits_behind_those_who_have_not_had_a_turn():
    turns = Turns(per_second=10)
    first = opened_at(turns, 0.0, 20)
    assert all(again >= max(first) - 0.1 for again in opened_at(turns, 0.2, 5))


def test_a_single_camera_is_opened_at_once():
    turns = Turns(per_second=100)
    assert turns.wait(5.0) <= 0.01
    assert turns.wait(500.0) <= 0.01
