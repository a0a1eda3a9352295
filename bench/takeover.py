"""What a worker's death costs those whose cameras it had: how long nothing comes of them, and what their cases wait.

Two workers share a city in which a problem is confirmed each half second; one of them is killed with SIGKILL. With standbys the
other has its table on its own disk already, without it reads it from the changelog. Nobody starts the dead one again.
"""

from __future__ import annotations

import argparse
import signal
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from bench.distributed import City, Engine, city, until
from bench.following import Case, following, spread
from bench.imagined import Class, Imagined, scheduled
from bench.machine import machine
from bench.recovery import ours
from citybrain.clock import SystemClock

SESSION_S = 6.0
TARGET_S = SESSION_S + 5
DESK_S = 10.0
_ROUNDS = 3
_CAMERAS = 400
_BEFORE, _AFTER = timedelta(seconds=25), timedelta(seconds=45)
_LASTS = timedelta(seconds=60)


def measure(_given: argparse.Namespace) -> dict[str, Any]:
    """Three deaths with standbys and three without; holds when every takeover is as quick as the session allows."""
    rows = {
        "with_standby": [death(standbys=1) for _ in range(_ROUNDS)],
        "without": [death(standbys=0) for _ in range(_ROUNDS)],
    }
    return {
        "machine": machine(),
        "session_s": SESSION_S,
        "target_s": TARGET_S,
        "deaths": _ROUNDS,
        **{name: summed(found) for name, found in rows.items()},
        "holds": all(each["taken_over_s"] <= TARGET_S for found in rows.values() for each in found),
    }


def death(*, standbys: int) -> dict[str, Any]:
    """One worker's death among two."""
    made_of = [Class("cam", _CAMERAS, timedelta(seconds=2), "pavement", "stall", passing=2.0)]
    engine = Engine(lasting=False, postgres=False, redis=False, desk=False, standbys=standbys)
    with city(Imagined(made_of), engine) as running:
        everything = set(range(engine.partitions))
        names = [running.start_pipeline(name) for name in ("a", "b")]
        until(lambda: set().union(*(ours(running.fleet.said(name)) for name in names)) == everything, within_s=60)
        until(lambda: all(ours(running.fleet.said(name)) for name in names), within_s=60)
        clock = SystemClock()
        since = clock.now() + timedelta(seconds=2)
        problems = scheduled(
            made_of,
            round((_BEFORE + _AFTER).total_seconds() * 2),
            since=since,
            until=since + _BEFORE + _AFTER,
            lasts=_LASTS,
            seed=standbys,
        )
        running.start_tellers(Imagined(made_of, problems))
        with following(running.open_bus()) as cases:
            _sleep_until(since + _BEFORE)
            killed_at, taken_over_s = _kill(running, *names)
            _sleep_until(since + _BEFORE + _AFTER + timedelta(seconds=15))
    return told(cases, killed_at, taken_over_s) | {"problems": len(problems)}


def _kill(running: City, stays: str, dies: str) -> tuple[datetime, float]:
    """When, and how long it took until the other one had all partitions."""
    said = len(running.fleet.said(stays))
    killed_at, began_s = SystemClock().now(), time.monotonic()
    running.fleet.end(dies, by=signal.SIGKILL)
    everything = set(range(running.engine.partitions))
    until(lambda: ours(running.fleet.said(stays)[said:]) == everything, within_s=60, every_s=0.05)
    return killed_at, time.monotonic() - began_s


def told(cases: Sequence[Case], killed_at: datetime, taken_over_s: float) -> dict[str, Any]:
    """What was confirmed while partitions had no owner is told beside what came before and after."""
    taken_over_at = killed_at + timedelta(seconds=taken_over_s)
    before = [each.took_s for each in cases if each.read_at < killed_at]
    during = [each.took_s for each in cases if each.read_at >= killed_at and each.detected_at <= taken_over_at]
    after = [each.took_s for each in cases if each.detected_at > taken_over_at]
    return {
        "taken_over_s": round(taken_over_s, 1),
        "cases": len(cases),
        "before_s": spread(before),
        "during_s": spread(during),
        "confirmed_during": len(during),
        "later_than_ten_seconds": sum(each > DESK_S for each in during),
        "afterwards_s": spread(after),
    }


def _sleep_until(at: datetime) -> None:
    time.sleep(max(0.0, (at - SystemClock().now()).total_seconds()))


def summed(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Median and worst of the deaths; the counts are of all of them."""
    return {
        "taken_over_s": {
            "median": median(each["taken_over_s"] for each in found),
            "slowest": max(each["taken_over_s"] for each in found),
        },
        "case_event_s_before": {"p50": median(each["before_s"]["p50"] for each in found)},
        "case_event_s_during": {
            "p50": median(each["during_s"]["p50"] for each in found),
            "max": max(each["during_s"]["max"] for each in found),
        },
        "confirmed_during": sum(each["confirmed_during"] for each in found),
        "later_than_ten_seconds": sum(each["later_than_ten_seconds"] for each in found),
        "case_event_s_afterwards": {"p99": max(each["afterwards_s"]["p99"] for each in found)},
        "cases": sum(each["cases"] for each in found),
        "problems": sum(each["problems"] for each in found),
    }
