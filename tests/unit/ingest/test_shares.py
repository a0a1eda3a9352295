"""Mailboxes, deadlines, waits and strikes: newest wins, nobody starves, nobody is asked too often."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from citybrain.domain.frame import Frame
from ingest.backoff import Backoff
from ingest.mailbox import Mailbox
from ingest.sampler import Sampler
from ingest.strikes import Strikes

AT = datetime(2026, 11, 21, 8, tzinfo=UTC)


def frame(number: int) -> Frame:
    return Frame("gd-0001", "h264", (b"x",), AT, AT, seq=number)


def test_the_newest_frame_wins_and_the_overtaken_ones_are_counted():
    mailbox = Mailbox()
    assert mailbox.take() is None
    for number in range(4):
        mailbox.put(frame(number))
    taken = mailbox.take()
    assert taken is not None
    assert taken.seq == 3
    assert mailbox.overtaken == 3
    assert not mailbox.waiting


def test_a_frame_taken_in_time_is_not_overtaken():
    mailbox = Mailbox()
    for number in range(4):
        mailbox.put(frame(number))
        mailbox.take()
    assert mailbox.overtaken == 0


def sampler_of(**every: float) -> Sampler:
    sampler = Sampler()
    for camera, seconds in every.items():
        sampler.add(camera, timedelta(seconds=seconds))
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


def test_a_camera_not_yet_due_says_when_it_will_be():
    sampler = sampler_of(a=2)
    sampler.offer("a", 10.0)
    assert sampler.take(10.0, 1) == ["a"]
    sampler.offer("a", 10.5)
    assert sampler.take(10.5, 1) == []
    assert sampler.next_due() == 12.0
    assert sampler.take(12.0, 1) == ["a"]


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
    assert max(looks.values()) - min(looks.values()) <= 2


def test_a_camera_given_back_is_due_at_once():
    sampler = sampler_of(a=5)
    sampler.offer("a", 0.0)
    sampler.take(0.0, 1)
    sampler.give_back("a", 0.1)
    assert sampler.take(0.1, 1) == ["a"]


def test_lateness_says_how_old_the_most_overdue_frame_is():
    sampler = sampler_of(a=1)
    assert sampler.lateness(5.0) == 0.0
    sampler.offer("a", 1.0)
    assert sampler.lateness(5.0) == 4.0


def test_waits_double_up_to_half_a_minute_and_start_over_when_it_worked():
    backoff = Backoff(draw=random.Random(1))
    waits = [backoff.wait() for _ in range(10)]
    for wait, span in zip(waits, [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30], strict=True):
        assert span / 2 <= wait <= span
    backoff.reset()
    assert backoff.wait() <= 0.5


def test_two_cameras_that_fail_together_do_not_return_together():
    first, second = Backoff(draw=random.Random(1)), Backoff(draw=random.Random(2))
    assert [first.wait() for _ in range(5)] != [second.wait() for _ in range(5)]


def test_three_strikes_within_five_minutes_and_the_camera_rests_for_one():
    strikes = Strikes()
    strikes.strike("a", 0.0)
    strikes.strike("a", 100.0)
    assert not strikes.resting("a", 100.0)
    assert strikes.suspected("a", 100.0)
    strikes.strike("a", 200.0)
    assert strikes.resting("a", 259.0)
    assert not strikes.resting("a", 260.0)
    assert not strikes.suspected("a", 260.0)
    assert not strikes.resting("b", 259.0)


def test_three_strikes_in_an_hour_are_chance():
    strikes = Strikes()
    for at in (0.0, 1000.0, 2000.0):
        strikes.strike("a", at)
    assert not strikes.resting("a", 2000.0)
