"""Who is looked at next: nobody before time, nobody starves, and too much work makes all late by one factor."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ingest.sampler import ATTENTION_SHARE, Sampler


def sampler_of(patience: float | None = None, **every: float) -> Sampler:
    sampler = Sampler()
    for camera, seconds in every.items():
        sampler.add(camera, every=seconds, patience=patience or seconds)
    return sampler


def test_the_most_overdue_camera_is_looked_at_first():
    sampler = sampler_of(a=1, b=1, c=1)
    for now, camera in ((0.0, "b"), (0.1, "c"), (0.2, "a")):
        sampler.offer(camera, now)
    assert sampler.take(1.0, 2) == ["b", "c"]
    assert sampler.take(1.0, 2) == ["a"]
    assert sampler.take(1.0, 2) == []


def test_a_camera_with_many_frames_is_looked_at_no_more_often_than_it_asked_for():
    sampler = sampler_of(a=1)
    looks = 0
    for tick in range(200):  # twenty seconds, a frame each 100 ms
        sampler.offer("a", tick / 10)
        looks += len(sampler.take(tick / 10, 4))
    assert looks == 20


def test_a_keyframe_that_is_a_little_late_does_not_put_off_the_next():
    sampler = sampler_of(a=2)
    looked = []
    for at in (0.0, 2.3, 4.0, 6.4, 8.0):
        sampler.offer("a", at)
        if sampler.take(at, 1):
            looked.append(at)
    assert looked == [0.0, 2.3, 4.0, 6.4, 8.0]


def test_a_look_that_waited_for_a_worker_does_not_put_off_the_next():
    sampler = sampler_of(a=2)
    looked = []
    for came, free in ((0.0, 0.0), (2.0, 2.8), (4.0, 4.0), (6.0, 6.9), (8.0, 8.0)):
        sampler.offer("a", came)
        if sampler.take(free, 1):
            looked.append(free)
    assert looked == [0.0, 2.8, 4.0, 6.9, 8.0]


def test_a_camera_not_yet_due_says_when_it_will_be():
    sampler = sampler_of(a=2)
    sampler.offer("a", 10.0)
    assert sampler.take(10.0, 1) == ["a"]
    assert sampler.next_due() is None
    sampler.offer("a", 10.5)
    assert sampler.take(10.5, 1) == []
    assert sampler.next_due() == 12.0
    assert sampler.take(12.0, 1) == ["a"]


def test_between_two_patiences_the_one_that_is_nearer_its_end_comes_first():
    sampler = Sampler()
    sampler.add("fire", every=1, patience=2)
    sampler.add("parking", every=1, patience=20)
    for camera in ("fire", "parking"):
        sampler.offer(camera, 0.0)
    assert sampler.take(0.0, 2) == ["fire", "parking"]
    for camera in ("fire", "parking"):
        sampler.offer(camera, 1.0)
    assert sampler.take(1.5, 1) == ["fire"]  # 0.75 of its patience against 0.075
    sampler.offer("fire", 2.0)
    assert sampler.take(16.0, 1) == ["fire"]
    sampler.offer("fire", 16.5)
    assert sampler.take(17.0, 1) == ["parking"]  # 0.85 against 0.5


def test_a_new_camera_comes_before_those_that_are_within_their_patience_and_not_before_those_beyond_it():
    sampler = sampler_of(patience=4, old=1)
    sampler.offer("old", 0.0)
    sampler.take(0.0, 1)
    sampler.offer("old", 1.0)
    sampler.add("new", every=1, patience=20)
    sampler.offer("new", 2.0)
    assert sampler.take(3.0, 1) == ["new"]
    sampler.add("newer", every=1, patience=20)
    sampler.offer("newer", 4.0)
    assert sampler.take(6.0, 1) == ["old"]


def test_a_camera_that_was_away_for_an_hour_does_not_go_before_all_others():
    sampler = sampler_of(patience=2, away=1, here=1)
    for camera in ("away", "here"):
        sampler.offer(camera, 0.0)
        sampler.take(0.0, 1)
    sampler.offer("here", 3590.0)
    sampler.take(3590.0, 1)
    sampler.offer("here", 3598.0)
    sampler.offer("away", 3600.0)
    assert sampler.take(3601.0, 1) == ["here"]


def test_a_camera_given_back_is_due_at_once():
    sampler = sampler_of(a=5)
    sampler.offer("a", 0.0)
    sampler.take(0.0, 1)
    sampler.give_back("a", 0.1)
    assert sampler.take(0.1, 1) == ["a"]
    assert sampler.take(0.1, 1) == []


def test_a_camera_that_has_left_is_not_looked_at_whatever_still_comes_of_it():
    sampler = sampler_of(a=1, b=1)
    for camera in ("a", "b"):
        sampler.offer(camera, 0.0)
    assert sampler.take(0.0, 1) == ["a"]
    sampler.remove("a")
    sampler.remove("b")
    sampler.looked("a", 0.5, 0.02)
    sampler.give_back("a", 0.5)
    sampler.offer("b", 1.0)
    sampler.attend("b", 1.0, every=0.5, until=9.0)
    assert sampler.take(9.0, 4) == []
    assert sampler.next_due() is None
    assert len(sampler) == 0


def test_a_camera_comes_once():
    sampler = sampler_of(a=1)
    with pytest.raises(ValueError, match="'a' is here already"):
        sampler.add("a", every=1, patience=1)


def test_a_changed_camera_is_due_by_its_new_interval_from_its_last_look():
    sampler = sampler_of(a=10)
    sampler.offer("a", 0.0)
    sampler.take(0.0, 1)
    sampler.offer("a", 1.0)
    sampler.change("a", every=2, patience=2)
    assert sampler.next_due() == 2.0
    assert sampler.take(2.0, 2) == ["a"]
    assert sampler.take(20.0, 2) == []


def test_lateness_says_how_long_the_most_overdue_frame_has_waited():
    sampler = sampler_of(patience=20, a=1)
    assert sampler.lateness(5.0) == 0.0
    sampler.offer("a", 1.0)
    assert sampler.lateness(5.0) == 4.0


def test_staleness_counts_from_the_look_that_was_done():
    sampler = sampler_of(a=1)
    sampler.offer("a", 0.0)
    sampler.take(0.0, 1)
    assert sampler.staleness("a", 3.0) is None
    sampler.looked("a", 0.5, 0.02)
    assert sampler.staleness("a", 3.0) == 2.5


# -- attention ----------------------------------------------------------------------------------------------------------


def test_an_attended_camera_is_looked_at_in_its_own_rhythm_until_its_time_is_up():
    sampler = sampler_of(a=2)
    sampler.offer("a", 0.0)
    sampler.take(0.0, 1)
    sampler.attend("a", 0.0, every=0.5, until=3.0)
    looked = []
    for tick in range(80):
        now = tick / 10
        sampler.offer("a", now)
        if sampler.take(now, 1):
            looked.append(now)
    assert looked == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 4.5, 6.5]


def test_a_settled_camera_is_looked_at_like_any_other():
    sampler = sampler_of(a=2)
    sampler.offer("a", 0.0)
    sampler.take(0.0, 1)
    sampler.attend("a", 0.0, every=0.5, until=30.0)
    sampler.offer("a", 0.1)
    sampler.settle("a")
    assert sampler.take(1.9, 1) == []
    assert sampler.take(2.0, 1) == ["a"]


def test_attention_said_again_keeps_the_rhythm():
    sampler = sampler_of(a=2)
    sampler.offer("a", 0.0)
    sampler.take(0.0, 1)
    sampler.attend("a", 0.0, every=0.5, until=5.0)
    sampler.offer("a", 0.1)
    assert sampler.take(0.1, 1) == ["a"]
    sampler.attend("a", 0.2, every=0.5, until=6.0)
    sampler.offer("a", 0.2)
    assert sampler.take(0.5, 1) == []
    assert sampler.take(0.6, 1) == ["a"]


def test_an_attended_camera_does_not_wait_for_the_idle_ones():
    sampler = sampler_of(**{f"c{index}": 1.0 for index in range(100)}, seen=1.0)
    for index in range(100):
        sampler.offer(f"c{index}", 0.0)
    sampler.offer("seen", 50.0)
    sampler.attend("seen", 50.0, every=0.5, until=60.0)
    assert sampler.take(50.0, 1) == ["seen"]


@pytest.mark.parametrize("cost", [0.01, 0.1])
def test_attention_for_everybody_at_once_takes_no_more_than_its_share_from_the_idle(cost):
    sampler = sampler_of(
        **{f"idle{index}": 1.0 for index in range(40)}, **{f"watched{index}": 1.0 for index in range(40)}
    )
    spent: Counter[str] = Counter()
    now = 0.0
    for index in range(40):
        sampler.attend(f"watched{index}", now, every=0.1, until=math.inf)
    for _ in range(3000):
        for camera in (f"{kind}{index}" for kind in ("idle", "watched") for index in range(40)):
            sampler.offer(camera, now)
        for camera in sampler.take(now, 1):
            now += cost
            sampler.looked(camera, now, cost)
            spent[camera] += 1
    # The attended are idle cameras too: of what the idle get, they get their part.
    watched = sum(count for camera, count in spent.items() if camera.startswith("watched")) / 3000
    assert ATTENTION_SHARE <= watched <= ATTENTION_SHARE + (1 - ATTENTION_SHARE) / 2 + 0.02
    closely = [count for camera, count in spent.items() if camera.startswith("watched")]
    idly = [count for camera, count in spent.items() if camera.startswith("idle")]
    assert len(closely) == len(idly) == 40
    assert max(closely) - min(closely) <= 2
    assert max(idly) - min(idly) <= 1


# -- whatever happens ---------------------------------------------------------------------------------------------------


@given(st.integers(2, 40), st.integers(1, 4))
def test_under_overload_every_camera_gets_its_share(cameras, capacity):
    sampler = sampler_of(**{f"c{index}": 0.25 for index in range(cameras)})
    looks: Counter[str] = Counter()
    for tick in range(400):
        now = tick * 0.25  # exact in binary, so that who is due is due
        for index in range(cameras):
            sampler.offer(f"c{index}", now)
        looks.update(sampler.take(now, capacity))
    assert len(looks) == cameras
    assert max(looks.values()) - min(looks.values()) <= 1


class AnyOrder(RuleBasedStateMachine):
    """Cameras come, change, give frames, are attended and leave in any order, beside a list that knows what is right."""

    @initialize()
    def begin(self) -> None:
        self.sampler, self.now = Sampler(), 0.0
        self.terms: dict[str, tuple[float, float]] = {}
        self.waiting: set[str] = set()
        self.looked_at: dict[str, float] = {}
        self.attended_until: dict[str, float] = {}

    names = st.sampled_from("abcdefgh")
    every = st.sampled_from([0.5, 1.0, 2.0])
    patience = st.sampled_from([0.5, 2.0, 10.0])

    @rule(name=names, every=every, patience=patience)
    def comes_or_changes(self, name: str, every: float, patience: float) -> None:
        if name in self.terms:
            self.sampler.change(name, every=every, patience=patience)
        else:
            self.sampler.add(name, every=every, patience=patience)
        self.terms[name] = every, max(every, patience)

    @rule(name=names)
    def leaves(self, name: str) -> None:
        self.sampler.remove(name)
        for known in (self.terms, self.looked_at, self.attended_until):
            known.pop(name, None)
        self.waiting.discard(name)

    @rule(name=names)
    def gives_a_frame(self, name: str) -> None:
        self.sampler.offer(name, self.now)
        if name in self.terms:
            self.waiting.add(name)

    @rule(name=names, length=st.sampled_from([0.5, 3.0]))
    def is_attended(self, name: str, length: float) -> None:
        self.sampler.attend(name, self.now, every=0.25, until=self.now + length)
        if name in self.terms:
            self.attended_until[name] = self.now + length

    @rule(name=names)
    def is_settled(self, name: str) -> None:
        self.sampler.settle(name)
        self.attended_until.pop(name, None)

    @rule(seconds=st.sampled_from([0.125, 0.25, 0.5, 1.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(limit=st.integers(1, 4))
    def a_worker_takes(self, limit: int) -> None:
        taken = self.sampler.take(self.now, limit)
        assert len(taken) == len(set(taken)) <= limit
        for name in taken:
            assert name in self.waiting, "a frame is looked at once, and only one that is there"
            assert self._due(name), "nobody is looked at before time"
            self.waiting.discard(name)
            self.looked_at[name] = self.now
            self.sampler.looked(name, self.now, 0.02)
        if len(taken) < limit:
            assert not [name for name in self.waiting if self._surely_due(name)], "who is due and waits is taken"

    @precondition(lambda self: self.looked_at)
    @rule(data=st.data())
    def a_worker_gives_back(self, data: st.DataObject) -> None:
        free = sorted(self.terms)
        taken = self.sampler.take(self.now, 1)
        if taken and free:
            self.sampler.give_back(taken[0], self.now)
            assert taken[0] in self.waiting

    @invariant()
    def whoever_waits_has_a_deadline(self) -> None:
        due = self.sampler.next_due()
        assert (due is not None) == bool(self.waiting)

    def _attended(self, name: str) -> bool:
        return self.attended_until.get(name, -math.inf) > self.now

    def _due(self, name: str) -> bool:
        # A look that was a little late counts as done in time: the next may come that much sooner.
        every = self.terms[name][0]
        last = self.looked_at.get(name, -math.inf)
        return self._attended(name) or self.now - last >= every * 0.75

    def _surely_due(self, name: str) -> bool:
        every = self.terms[name][0]
        return self.now - self.looked_at.get(name, -math.inf) >= every


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


def test_a_keyframe_that_comes_before_its_time_draws_the_rhythm_to_its_own():
    sampler = Sampler()
    sampler.add("a", every=2.0, patience=2.0)
    sampler.offer("a", 0.0)
    assert sampler.take(0.0, 1) == ["a"]
    waited = []
    for number in range(12):
        came = 0.8 + 2 * number  # each keyframe comes 1.2 s before the first look's rhythm would take it
        sampler.offer("a", came)
        due = max(came, sampler.next_due() or came)
        assert sampler.take(due, 1) == ["a"]
        waited.append(due - came)
    assert waited[0] == pytest.approx(1.2)
    assert waited[-1] == pytest.approx(0.0)
    assert waited == sorted(waited, reverse=True)
