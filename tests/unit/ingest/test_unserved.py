"""Cameras that are ours and cannot be looked at, and cameras that we leave: who is told what of them."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from citybrain.domain.detection import Usable
from ingest.plan import Plan
from tests.unit.ingest.watched_street import AT, Street, camera


@pytest.fixture
def street():
    street = Street("a", "b")
    yield street
    street.close()


def told(street: Street) -> dict[str, dict]:
    return {key: json.loads(value) for key, value in street.network.telling.tick()[1]}


def test_a_camera_that_cannot_be_served_is_told_as_refused_with_the_reason_and_as_blind(street):
    street.network.reconcile(Plan([camera("a"), camera("b")], unserved={"odd": "no such detector"}))
    blind, states = street.network.telling.tick()
    state = json.loads(dict(states)["camera/odd"])
    assert (state["state"], state["reason"], state["reason_zh"]) == ("refused", "no such detector", "本机没有该检测器")
    assert [(each.camera, each.seq, each.usable) for each in blind] == [("odd", 1, Usable.LOST)]
    assert json.loads(street.network.telling.heartbeat())["figures"]["cameras.refused"] == 1


def test_it_is_told_again_each_five_seconds_with_the_next_number(street):
    street.network.reconcile(Plan([camera("a"), camera("b")], unserved={"odd": "no such detector"}))
    blind = []
    for _ in range(11):
        blind += [each for each in street.network.telling.tick()[0] if each.camera == "odd"]
        street.after(1)
    assert [(each.seq, each.captured_at - AT, each.taken_up_at) for each in blind] == [
        (1 + n, timedelta(seconds=5 * n), AT) for n in range(3)
    ]


def test_another_reason_is_told_at_once_and_counted_on(street):
    street.network.reconcile(Plan([], unserved={"odd": "no such detector"}))
    street.network.telling.tick()
    street.network.reconcile(Plan([], unserved={"odd": "secret not set"}))
    blind, _ = street.network.telling.tick()
    assert [each.seq for each in blind if each.camera == "odd"] == [2]
    street.after(5)
    assert told(street)["camera/odd"]["reason"] == "secret not set"


def test_a_camera_that_can_be_served_after_all_is_looked_at(street):
    street.network.reconcile(Plan([], unserved={"odd": "secret not set"}))
    street.network.reconcile(Plan([camera("odd")]))
    assert told(street)["camera/odd"]["state"] == "connecting"


def test_of_a_camera_that_we_leave_nothing_is_told_and_it_is_looked_at_all_the_same(street):
    street.network.reconcile(Plan([camera("a"), camera("b")], leaving={"a"}))
    street.after(20)
    blind, states = street.network.telling.tick()
    assert "camera/a" not in dict(states)
    assert "a" not in {each.camera for each in blind}
    assert json.loads(street.network.telling.heartbeat())["figures"]["cameras.connecting"] == 1
    street.arrives("a")
    assert [each.camera for each in street.takes()] == ["a"]


def test_each_look_says_since_when_its_process_counts(street):
    street.after(3)
    street.network.reconcile(Plan([camera("a"), camera("b"), camera("c")]))
    for name in ("a", "c"):
        street.arrives(name)
    assert {each.camera: (each.seq, each.taken_up_at) for each in street.takes()} == {
        "a": (1, AT),
        "c": (1, AT + timedelta(seconds=3)),
    }
    street.after(10)
    blind, _ = street.network.telling.tick()
    assert {each.camera: each.taken_up_at for each in blind}["b"] == AT
