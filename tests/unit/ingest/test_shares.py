"""Mailboxes, waits and strikes: newest wins, nobody is asked too often."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from citybrain.domain.frame import Frame
from ingest.backoff import Backoff
from ingest.mailbox import Mailbox
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
