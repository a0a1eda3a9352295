"""What stage one carries on one worker: through Faust, by hand without it, and embedded; then the latency at shares of that.

All three apply the same looks by the same lanes or steps, in turns. The looks lie in the log before each reader starts; its pace
is taken from a tenth of the way on, by what it has committed, its cost from its own process. The broker is on the same machine.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from statistics import median
from typing import Any

from bench.by_hand import GROUP
from bench.distributed import City, Engine, city, imagined_cameras, write_config
from bench.fleet import Part
from bench.following import following, spread
from bench.imagined import Class, Imagined, scheduled
from bench.machine import machine
from bench.metropolis_classes import SCENES, classes
from bench.progress import Committed, Pace, cpu_of, offset_of, watch
from bench.teller import told
from citybrain.bus.address import KafkaAddress
from citybrain.bus.kafka import KafkaBus
from citybrain.bus.local import LocalBus
from citybrain.bus.topics import PIPELINE
from citybrain.clock import SystemClock
from citybrain.errors import Transient, UsageError
from citybrain.wire import DETECTIONS, write_detections

log = logging.getLogger(__name__)

MESSAGES = 30_000
ROUNDS = 3
_CAMERAS = 1000
_SIDES = ("faust", "by hand", "embedded")
_PARTS = (*_SIDES, "latency")
_WITHIN_S = 300.0
_LATENCY_S = 60.0
_HALF = 0.5
SHARES = (0.02, 0.15, 0.35, 0.4, _HALF)
"""Of a worker's pace, at which the latency is measured; the target is for the last."""
_WARM_S = 15.0
TARGET_S = 1.0
_BUFFER = 20_000


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """`--only` measures a side of it (`latency` needs `faust`), `--seconds` says how long the latency is measured."""
    parts = tuple(given.only or _PARTS)
    if unknown := [part for part in parts if part not in _PARTS]:
        raise UsageError(f"bench throughput --only {unknown[0]!r}: expected one of {', '.join(_PARTS)}")
    values = looks(classes(_CAMERAS), MESSAGES)
    result: dict[str, Any] = {
        "machine": machine(),
        "messages": len(values),
        "bytes_each": round(sum(len(value) for _, value in values) / len(values)),
        "cameras": _CAMERAS,
        "rounds": ROUNDS,
    }
    paces: dict[str, list[Pace]] = {side: [] for side in _SIDES if side in parts}
    for _ in range(ROUNDS):
        for side, found in paces.items():
            found.append(SIDE[side](values))
            log.info("%s: %s", side, found[-1].told())
    result |= {side: summed(found) for side, found in paces.items()}
    if {"faust", "by hand"} <= paces.keys():
        result["faust_costs_times"] = round(result["faust"]["cpu_us_each"] / result["by hand"]["cpu_us_each"], 2)
    if "latency" in parts and "faust" in paces:
        pace, seconds = result["faust"]["messages_s"], given.seconds or _LATENCY_S
        result["latency"] = {f"{share:.0%}": latency(pace * share, seconds=seconds) for share in SHARES}
        result["holds"] = result["latency"][f"{_HALF:.0%}"]["detection_to_case_event_s"]["p99"] < TARGET_S
    return result


def looks(made_of: Sequence[Class], count: int) -> list[tuple[str, bytes]]:
    """So many looks of a city that has just now been looked at, by camera, in order."""
    imagined = Imagined(made_of)
    took = timedelta(seconds=count / imagined.looks_s)
    now = SystemClock().now()
    return [
        (each.camera, write_detections(each))
        for each in islice(imagined.looks(now - took, now + timedelta(hours=1)), count)
    ]


def summed(found: Sequence[Pace]) -> dict[str, Any]:
    """The medians, and each round's pace."""
    middle = Pace(
        median(each.messages_s for each in found),
        median(each.each_us for each in found),
        median(each.memory_mb for each in found),
    )
    return {**middle.told(), "each_round": [round(each.messages_s) for each in found]}


def faust(values: Sequence[tuple[str, bytes]], *, cameras: int = _CAMERAS, within_s: float = _WITHIN_S) -> Pace:
    """A worker of the pipeline as it ships."""

    def start(running: City) -> str:
        return running.start_pipeline("a")

    return _on_kafka(values, start, group=PIPELINE, cameras=cameras, within_s=within_s)


def by_hand(values: Sequence[tuple[str, bytes]]) -> Pace:
    def start(running: City) -> str:
        command = [sys.executable, "-m", "bench.by_hand", str(running.config)]
        running.fleet.start(Part("by-hand", command, running.environment))
        return "by-hand"

    return _on_kafka(values, start, group=GROUP, cameras=_CAMERAS, within_s=_WITHIN_S)


def embedded(values: Sequence[tuple[str, bytes]]) -> Pace:
    with city(Imagined(()), Engine(distributed=False, desk=False)) as running:
        write(running, _CAMERAS)
        bus = LocalBus(running.deployment.data.database)
        for key, value in values:
            bus.publish(DETECTIONS, key, value)
        bus.close()
        name = running.start_pipeline("a")
        return watch(
            lambda: offset_of(running.deployment.data.database),
            lambda: _pid(running, name),
            of=len(values),
            within_s=_WITHIN_S,
        )


SIDE: Mapping[str, Callable[[Sequence[tuple[str, bytes]]], Pace]] = {
    "faust": faust,
    "by hand": by_hand,
    "embedded": embedded,
}


def write(running: City, cameras: int) -> None:
    """The configuration of a city of so many cameras."""
    running.config = write_config(
        running.folder / f"of-{cameras}", imagined_cameras(Imagined(classes(cameras))), scenes=SCENES
    )


def fill(running: City, values: Sequence[tuple[str, bytes]]) -> float:
    """Put the looks into the log; how many a second the broker took."""
    began_s = time.monotonic()
    bus = KafkaBus(KafkaAddress.parse(str(running.deployment.bus)), buffer=_BUFFER)
    for key, value in values:
        while bus.figures()["waiting"] >= _BUFFER - 1:
            time.sleep(0.01)
        bus.offer(DETECTIONS, key, value)
    while bus.figures()["waiting"]:
        time.sleep(0.05)
    lost = bus.figures()["lost"]
    bus.close()
    if lost:
        raise Transient(f"the broker did not take {lost} of {len(values)} looks")
    return len(values) / (time.monotonic() - began_s)


def _on_kafka(
    values: Sequence[tuple[str, bytes]], start: Callable[[City], str], *, group: str, cameras: int, within_s: float
) -> Pace:
    engine = Engine(lasting=False, postgres=False, redis=False, desk=False)
    with city(Imagined(()), engine) as running:
        write(running, cameras)
        log.info("the broker took %.0f looks a second", fill(running, values))
        committed = Committed(KafkaAddress.parse(str(running.deployment.bus)), group=group, topic=DETECTIONS)
        try:
            name = start(running)
            return watch(committed, lambda: _pid(running, name), of=len(values), within_s=within_s)
        finally:
            committed.close()


def _pid(running: City, name: str) -> int | None:
    pids = running.fleet.pids(name)
    return pids[0] if pids else None


def latency(rate: float, *, seconds: float) -> dict[str, Any]:
    """Looks in the rhythm of life, so many a second, and a problem each half second that becomes a case."""
    count = max(40, round(rate * 2))
    made_of = [Class("cam", count, timedelta(seconds=2), "pavement", "stall", passing=2.0)]
    engine = Engine(lasting=False, postgres=False, redis=False, desk=False)
    with city(Imagined(made_of), engine) as running:
        name = running.start_pipeline("a")
        clock = SystemClock()
        begins = clock.now() + timedelta(seconds=_WARM_S)
        until = begins + timedelta(seconds=seconds)
        problems = scheduled(
            made_of, min(count, round(seconds * 2)), since=begins, until=until, lasts=timedelta(seconds=30), seed=1
        )
        running.start_tellers(Imagined(made_of, problems), batches=True)
        with following(running.open_bus()) as cases:
            while clock.now() < until + timedelta(seconds=10):
                time.sleep(0.5)
        return {
            "messages_s_wanted": round(rate),
            "messages_s_told": round(told(running.figures(0)).get("told", 0) / (seconds + _WARM_S + 10)),
            "cases": len(cases),
            "problems": len(problems),
            "detection_to_case_event_s": spread([each.took_s for each in cases]),
            "workers_cores": round(_cores(running, name, since=begins), 2),
        }


def _cores(running: City, name: str, *, since: datetime) -> float:
    pid = _pid(running, name)
    return 0.0 if pid is None else cpu_of(pid) / (SystemClock().now() - since).total_seconds()
