"""Ends a worker that does not go on: better a partition that moves to somebody else than one that nobody reads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from faust.types import TP

from citybrain.clock import Clock

ALIVE_S = 0.2
_WATCH_S = 1.0
_MEND_AFTER_S = 5.0

Places = Callable[[], Mapping[TP, int | None]]
End = Callable[[TP], Awaitable[int | None]]
"""Where a partition ends at the broker."""
PutBack = Callable[[TP, int], Awaitable[None]]
"""Begins to read a partition there."""


class Watchdog:
    """`die` is called with the reason, from whichever thread found it."""

    def __init__(self, *, clock: Clock, stuck_after: timedelta, die: Callable[[str], None]) -> None:
        self._clock, self._stuck_after_s, self._die = clock, stuck_after.total_seconds(), die
        self._alive_at = clock.monotonic()
        self._moved_at: dict[TP, tuple[int, float]] = {}
        self._over = threading.Event()

    def begin(self) -> None:
        """On a thread: Faust's heartbeats come from a thread too, and would keep the partitions of a loop that hangs."""
        self._alive_at = self._clock.monotonic()
        threading.Thread(target=self._watch_loop, name="watchdog", daemon=True).start()

    def end(self) -> None:
        self._over.set()

    async def stay_alive(self) -> None:
        """The loop says that it turns."""
        while True:
            self._alive_at = self._clock.monotonic()
            await asyncio.sleep(ALIVE_S)

    async def watch(self, places: Places, end: End, put_back: PutBack, is_rebalancing: Callable[[], bool]) -> None:
        """Messages that wait while nothing moves: the consumer sleeps, or the lane does. It is put back once, then it is over."""
        mended: set[TP] = set()
        while True:
            await asyncio.sleep(_WATCH_S)
            for tp, expected in places().items():
                moved, now = self._moved_at.get(tp), self._clock.monotonic()
                if expected is None or moved is None or moved[0] != expected or is_rebalancing():
                    self._moved_at[tp] = (expected or 0, now)
                    mended.discard(tp)
                    continue
                still_s = now - moved[1]
                if still_s <= min(_MEND_AFTER_S, self._stuck_after_s / 2) or (
                    tp in mended and still_s <= self._stuck_after_s
                ):
                    continue
                last = await end(tp)
                if last is None or last <= expected or places().get(tp) != expected:
                    self._moved_at[tp] = (expected, now)  # nothing waits
                elif tp not in mended:
                    mended.add(tp)
                    await put_back(tp, expected)
                else:
                    self._die(f"{tp.topic}/{tp.partition}: nothing moves at {expected} of {last}")

    def _watch_loop(self) -> None:
        while not self._over.wait(_WATCH_S):
            if self._clock.monotonic() - self._alive_at > self._stuck_after_s:
                self._die("the event loop hangs")
