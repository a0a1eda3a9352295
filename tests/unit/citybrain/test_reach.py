"""One thread finds out whether a server answers; nobody else waits for it, and nobody hammers it."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from citybrain.clock import ManualClock
from citybrain.reach import Reach
from tests import waiting

until = partial(waiting.until, within_s=10)

log = logging.getLogger("citybrain.test")


class Server:
    """Answers when it is there; counts who asks. While it is not `free` nobody gets an answer."""

    def __init__(self) -> None:
        self.there, self.asked, self.fault = True, 0, OSError
        self.free = threading.Event()
        self.free.set()

    def ping(self) -> None:
        self.asked += 1
        self.free.wait()
        if not self.there:
            raise self.fault


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def opened(server):
    made: list[Reach] = []

    def open_one(**more) -> Reach:
        pause = more.pop("first_pause", timedelta(milliseconds=1))
        clock = more.pop("clock", None) or ManualClock(datetime(2026, 11, 22, tzinfo=UTC))
        more = {"probe": server.ping, "faults": (OSError,), "log": log, "clock": clock, "first_pause": pause} | more
        made.append(Reach("the server", "something is missing", **more))
        return made[-1]

    yield open_one
    for each in made:
        each.close()


def test_who_answers_is_not_asked_whether_it_does(opened, server):
    reach = opened()
    assert reach.away_since is None
    assert server.asked == 0


def test_it_is_away_from_the_first_question_without_an_answer_until_a_probe_has_one(opened, server, caplog):
    caplog.set_level("INFO")
    reach = opened()
    server.there = False
    reach.lost("no answer")
    assert (reach.away_since, reach.reason) == (datetime(2026, 11, 22, tzinfo=UTC), "no answer")
    until(lambda: server.asked >= 2)
    assert reach.away_since is not None
    server.there = True
    until(lambda: reach.away_since is None)
    until(lambda: "answers again" in caplog.text)
    assert "the server does not answer (no answer); something is missing until it does" in caplog.text


def test_however_many_lose_it_one_thread_asks_and_it_is_said_once(opened, server, caplog):
    reach = opened(first_pause=timedelta(hours=1))
    server.there = False
    before = set(threading.enumerate())
    for _ in range(50):
        reach.lost("no answer")
    assert len(set(threading.enumerate()) - before) == 1
    assert len(caplog.records) == 1
    assert (reach.failures, server.asked) == (50, 0)


def test_pauses_grow_and_who_fails_again_at_once_does_not_begin_anew(opened, server):
    clock = ManualClock(datetime(2026, 11, 22, tzinfo=UTC))
    reach = opened(clock=clock)
    server.there = False
    reach.lost("no answer")
    until(lambda: server.asked >= 4)
    server.there = True
    until(lambda: reach.away_since is None)
    grown = reach._pause_s
    assert grown >= 0.001 * 2**4
    server.there = False
    reach.lost("no answer")  # back, and gone again
    assert reach._pause_s >= grown
    server.there = True
    until(lambda: reach.away_since is None)
    clock.advance(timedelta(minutes=5))
    server.free.clear()  # whoever asks now waits, and no pause grows meanwhile
    reach.lost("no answer")  # it was well for minutes
    assert reach._pause_s < grown
    server.free.set()


def test_a_defect_of_the_probe_does_not_end_the_only_thread_that_asks(opened, server, caplog):
    reach = opened()
    server.there, server.fault = False, ZeroDivisionError
    reach.lost("no answer")
    until(lambda: server.asked >= 2)
    server.there = True
    until(lambda: reach.away_since is None)
    assert "could not be asked" in caplog.text


def test_what_is_closed_asks_nobody(opened, server):
    reach = opened(first_pause=timedelta(hours=1))
    before = set(threading.enumerate())
    reach.lost("no answer")
    reach.close()
    until(lambda: set(threading.enumerate()) <= before)
    reach.lost("no answer")
    assert set(threading.enumerate()) <= before
    assert server.asked == 0
