"""When each case comes out of a city's log, beside the look that confirmed it: read on a thread of its own, all the while."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from bench.endtoend import percentile
from citybrain.clock import SystemClock, instant
from citybrain.errors import Transient
from citybrain.ports import Bus
from citybrain.wire import CASE_EVENTS, loads


@dataclass(frozen=True, slots=True)
class Case:
    """Read from the log at that instant, so long after the detector had answered for the look that confirmed it."""

    read_at: datetime
    took_s: float

    @property
    def detected_at(self) -> datetime:
        return self.read_at - timedelta(seconds=self.took_s)


@contextmanager
def following(bus: Bus) -> Iterator[list[Case]]:
    """The cases that are filed from now on; the list grows until the end."""
    found: list[Case] = []
    stop = threading.Event()
    thread = threading.Thread(target=_follow, args=(bus, bus.end(CASE_EVENTS), found, stop), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()
        bus.close()


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Percentiles of what took so long; nothing is infinitely late."""
    ascending = sorted(seconds) or [float("inf")]
    return {
        "p50": round(percentile(ascending, 0.5), 3),
        "p99": round(percentile(ascending, 0.99), 3),
        "max": round(ascending[-1], 3),
    }


def _follow(bus: Bus, after: int, found: list[Case], stop: threading.Event) -> None:
    clock, seen = SystemClock(), set[str]()
    while not stop.is_set():
        with suppress(Transient):
            page = bus.read((CASE_EVENTS,), after=after)
            now = clock.now()
            for message in page:
                after, event = message.offset, loads(message.value)
                if event["type"].endswith("filed") and event["id"] not in seen:
                    seen.add(event["id"])
                    found.append(Case(now, (now - instant(event["data"]["stamps"]["inferred"])).total_seconds()))
            if page:
                continue
        time.sleep(0.01)
