"""A camera with a keyframe each two seconds: what looking closer does to the time in which a fire is confirmed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citybrain.domain.case import CaseEventType
from citybrain.domain.detection import Detections
from citybrain.domain.geometry import Box
from citybrain.questions import Questions
from ingest.attention import Attention
from ingest.network import CLOSER_EVERY_S
from ingest.worker_port import Began
from pipeline.scene import Scene
from tests.flows.street import DWELL, FIRE, START, Street, Thing, camera, city, messages, replay, scene

KEYFRAMES_S = 2.0
SPOT = Box(0.4, 0.4, 0.5, 0.6)


class Watching:
    """One camera as network and worker look at it: keyframes, and what lies between them while a question is open."""

    def __init__(
        self, street: Street, *scenes: Scene, closely: bool = True, looks_apart_s: float = KEYFRAMES_S
    ) -> None:
        self.street, self.scenes, self.looks_apart_s = street, scenes, looks_apart_s
        self.looks: list[Detections] = []
        self.began: list[Began] = []
        self.attended_s = 0.0
        self._questions = Questions(scenes, {"gd-1": camera()})
        self._attention = Attention({each.id: each.attention for each in scenes if closely})

    def run(self, until: float) -> Watching:
        random, until_s, second = Random(self.street.seed), None, 0.0
        while second < until:
            seen = self.street._look(second, len(self.looks) + 1, random)
            self.looks.append(seen)
            asks, began = self._questions.after(seen)
            self.began += began
            until_s = self._attention.asked("gd-1", asks, second)
            keyframe = (second // self.looks_apart_s + 1) * self.looks_apart_s
            following = keyframe if until_s is None else min(keyframe, second + CLOSER_EVERY_S)
            self.attended_s += 0.0 if until_s is None else following - second
            second = following
        return self

    def filed(self) -> list[tuple[datetime, datetime]]:
        """When the cases began that came of it, and when that was known."""
        events = replay(messages(self.looks), city(self.scenes))
        filed = [event.case for event in events if event.type is CaseEventType.FILED]
        return [(case.began_at, case.confirmed_at) for case in filed]


def fire(since: float, until: float = 1e9) -> Street:
    return Street([Thing(SPOT, since, until, "fire")], jitter=0, missed=0)


@settings(max_examples=60, deadline=None)
@given(since=st.floats(0.0, 20.0))
def test_a_fire_is_confirmed_within_a_look_of_its_hold(since):
    watching = Watching(fire(since), scene(FIRE)).run(since + 12)
    (began,) = watching.began
    hold = began.confirmed_at - began.began_at
    assert timedelta(seconds=3) <= hold < timedelta(seconds=3 + CLOSER_EVERY_S)
    assert began.began_at - START <= timedelta(seconds=since + KEYFRAMES_S)


def test_without_it_the_fire_waits_for_the_keyframe_after_its_hold():
    (began,) = Watching(fire(5.5), scene(FIRE), closely=False).run(20).began
    assert began.confirmed_at - began.began_at == timedelta(seconds=4)


@pytest.mark.parametrize("since", [5.5, 7.1])
def test_what_the_worker_saw_begin_is_what_the_pipeline_files(since):
    watching = Watching(fire(since), scene(FIRE)).run(since + 12)
    (began,) = watching.began
    assert watching.filed() == [(began.began_at, began.confirmed_at)]
    assert (began.scene, began.zone, began.place, began.locality) == ("fire_risk", "view", "gd-1/view", "camera:gd-1")


def test_a_recording_of_close_looks_tells_the_same_each_time():
    watching = Watching(fire(5.5, 40), scene(FIRE)).run(120)
    assert replay(messages(watching.looks), city(watching.scenes)) == replay(
        messages(watching.looks), city(watching.scenes)
    )


def test_a_flash_is_looked_at_closely_until_it_is_known_to_be_none():
    watching = Watching(fire(6.0, 6.1), scene(FIRE)).run(60)
    assert watching.began == []
    assert watching.filed() == []
    assert 4 <= watching.attended_s <= 5  # as long as it might have been seen again: its max_gap


def test_attention_ends_when_the_fire_is_confirmed():
    watching = Watching(fire(6.0), scene(FIRE)).run(60)
    assert 3 <= watching.attended_s <= 3.5


def flicker(until: float) -> list[Thing]:
    return [Thing(SPOT, second, second + 0.3, "fire") for second in range(int(until))]


def test_a_flicker_that_never_holds_is_looked_at_closely_for_a_ninth_of_the_time():
    watching = Watching(Street(flicker(3600), jitter=0, missed=0), scene(FIRE, min_seen=1.0)).run(3600)
    assert watching.began == []
    assert 0.10 < watching.attended_s / 3600 < 0.12


def test_a_fire_that_flickers_first_is_a_case_though_looks_come_further_apart_than_its_longest_gap():
    """With four times too much to look at, nothing but close looks fills a hold: those of the first minute did not."""
    burning = Street([*flicker(60), Thing(SPOT, 60, 3600, "fire")], jitter=0, missed=0)
    (began,) = Watching(burning, scene(FIRE, min_seen=1.0), looks_apart_s=8).run(600).began
    assert scene(FIRE).terms.max_gap < timedelta(seconds=8)
    assert timedelta(seconds=60) <= began.confirmed_at - START <= timedelta(seconds=60 + 64 + 8 + 4)


def test_a_parked_car_is_never_looked_at_closely():
    watching = Watching(Street([Thing(SPOT, 6.0)], missed=0), scene(DWELL), scene(FIRE)).run(400)
    assert watching.attended_s == 0
    assert [each.scene for each in watching.began] == ["illegal_parking"]


def test_what_is_withheld_is_no_question():
    """Smoke on a camera where a fire is open: another look would not settle it."""
    smoke = scene(FIRE, id="smoke", when={"labels": ["smoke"]}, inhibited_by=("fire_risk",))
    street = Street([Thing(SPOT, 2.0, label="fire"), Thing(replace(SPOT, x1=0.1), 20.0, label="smoke")], missed=0)
    watching = Watching(street, scene(FIRE, when={"labels": ["fire"]}), smoke).run(60)
    assert [each.scene for each in watching.began] == ["fire_risk"]
    assert watching.attended_s < 4


def test_a_configuration_that_is_adopted_keeps_what_is_known_of_cameras_that_stay():
    questions = Questions([scene(FIRE)], {"gd-1": camera()})
    looks: Iterator[Detections] = fire(0).looks(every=1, until=10)
    assert questions.after(next(looks)) == (("fire_risk",), ())
    questions.adopt([scene(FIRE)], {"gd-1": camera()})
    after = [questions.after(next(looks)) for _ in range(3)]
    assert [(asks, [each.began_at for each in began]) for asks, began in after] == [
        (("fire_risk",), []),
        (("fire_risk",), []),
        ((), [START]),
    ]
    questions.adopt([scene(FIRE)], {})
    questions.adopt([scene(FIRE)], {"gd-1": camera()})
    assert questions.after(next(looks))[0] == ("fire_risk",)


def test_an_episode_of_a_scene_without_clips_is_not_told():
    watching = Watching(fire(2.0), scene(FIRE, clip=False)).run(20)
    assert watching.began == []
    assert watching.attended_s > 0
