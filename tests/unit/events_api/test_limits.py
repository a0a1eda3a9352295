"""How often somebody may ask: a burst, then a rate, each for themselves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from citybrain.clock import ManualClock
from events_api import limits
from events_api.limits import RATES, Limited, Limits, Rate
from tests.services.api_city import START


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture
def few(clock):
    return Limits(clock, dict.fromkeys(Limited, Rate(3, 0.5)))


def test_a_burst_is_served_and_the_next_is_told_when(few):
    assert [few.wait_s(Limited.LOGIN, "10.0.0.1") for _ in range(4)] == [0, 0, 0, 2.0]


def test_waiting_as_long_as_was_said_is_enough_and_less_is_not(few, clock):
    for _ in range(3):
        few.wait_s(Limited.ACTION, "li")
    wait_s = few.wait_s(Limited.ACTION, "li")
    clock.advance(timedelta(seconds=wait_s) - timedelta(milliseconds=10))
    assert few.wait_s(Limited.ACTION, "li") > 0
    clock.advance(timedelta(milliseconds=10))
    assert few.wait_s(Limited.ACTION, "li") == 0


def test_one_asker_leaves_the_others_and_the_other_kinds_alone(few):
    for _ in range(9):
        few.wait_s(Limited.LOGIN, "10.0.0.1")
    assert few.wait_s(Limited.LOGIN, "10.0.0.2") == 0
    assert few.wait_s(Limited.EXPORT, "10.0.0.1") == 0


def test_a_long_rest_gives_no_more_than_a_burst(few, clock):
    few.wait_s(Limited.LOGIN, "a")
    clock.advance(timedelta(days=9))
    assert [few.wait_s(Limited.LOGIN, "a") == 0 for _ in range(4)] == [True, True, True, False]


def test_a_token_that_was_not_needed_is_given_back(few):
    for _ in range(9):
        assert few.wait_s(Limited.LOGIN, "a") == 0
        few.give_back(Limited.LOGIN, "a")


def test_who_was_refused_is_counted_by_kind(few):
    for _ in range(5):
        few.wait_s(Limited.EXPORT, "a")
    assert (few.refused[Limited.EXPORT], few.refused[Limited.LOGIN]) == (2, 0)


def test_what_is_remembered_is_bounded(few, monkeypatch):
    monkeypatch.setattr(limits, "_MOST", 100)
    for n in range(1000):
        few.wait_s(Limited.LOGIN, f"10.0.{n // 256}.{n % 256}")
    assert len(few._buckets) == 100


def test_every_kind_has_its_rate():
    assert set(RATES) == set(Limited)
