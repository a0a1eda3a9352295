"""Reading in rounds: everybody in turn, as often as promised, and nobody when there is nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ingest.rtsp.rounds import MANY, READ_EVERY_S, READ_MANY_EVERY_S, Rounds


class Loop:
    """An event loop whose time is told."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.calls: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now_s

    def call_at(self, at_s: float, call: Callable[[], None]) -> object:
        self.calls.append((at_s, call))
        return self

    def call_later(self, delay_s: float, call: Callable[[], None]) -> object:
        return self.call_at(self.now_s + delay_s, call)

    def go_on(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while self.calls and self.calls[0][0] <= until_s:
            at_s, call = self.calls.pop(0)
            self.now_s = max(self.now_s, at_s)
            call()
        self.now_s = until_s


class Reader:
    def __init__(self) -> None:
        self.read_s: list[float] = []

    def turn(self, scratch: bytearray, view: memoryview, now_s: float) -> None:
        self.read_s.append(now_s)


def rounds() -> tuple[Any, Rounds]:
    loop: Any = Loop()
    return loop, Rounds(loop)


@pytest.mark.parametrize(("count", "every_s"), [(1, READ_EVERY_S), (50, READ_EVERY_S), (MANY, READ_MANY_EVERY_S)])
def test_each_stream_is_read_as_often_as_promised(count, every_s):
    loop, reading = rounds()
    readers = [Reader() for _ in range(count)]
    for each in readers:
        reading.join(each)
    loop.go_on(10.001)
    assert {len(each.read_s) for each in readers} <= {round(10 / every_s), round(10 / every_s) + 1}


def test_streams_are_spread_over_the_round():
    loop, reading = rounds()
    readers = [Reader() for _ in range(50)]
    for each in readers:
        reading.join(each)
    loop.go_on(READ_EVERY_S - 0.001)
    at_once = [each.read_s[0] for each in readers]
    assert max(at_once.count(at_s) for at_s in at_once) == 10


def test_datagrams_are_read_in_every_slot():
    loop, reading = rounds()
    reader = Reader()
    reading.join(reader, every_slot=True)
    loop.go_on(10.001)
    assert len(reader.read_s) in (500, 501)


def test_who_has_left_is_not_read_and_nothing_goes_on_without_anybody():
    loop, reading = rounds()
    one, other = Reader(), Reader()
    reading.join(one)
    loop.go_on(1)
    reading.leave(one)
    seen = len(one.read_s)
    loop.go_on(1)
    assert len(one.read_s) == seen
    assert loop.calls == []
    reading.join(other)
    loop.go_on(1)
    assert len(other.read_s) >= 9


def test_a_loop_that_was_late_does_not_catch_up():
    loop, reading = rounds()
    reader = Reader()
    reading.join(reader)
    loop.go_on(1)
    seen = len(reader.read_s)
    loop.now_s += 60  # the machine slept
    loop.go_on(1)
    assert len(reader.read_s) - seen <= 12
