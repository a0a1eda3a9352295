"""A city of 11,000 cameras: the messages it makes, what a worker here carries of them, and so how many workers it takes.

    needed    the looks a second of the assumed city (bench/metropolis_classes.py)
    carried   what one worker does of them as fast as it can, and its memory with few and with all cameras
    life      the whole city in the rhythm of life for some minutes, with two workers, tellers and broker on this machine
    ingest    the machines that look at so many cameras, by what `citybrain bench city` found for one like this

`--only` measures a part, `--seconds` says how long life lasts.
"""

from __future__ import annotations

import argparse
import logging
import math
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from bench.distributed import City, Engine, city, imagined_cameras, until, write_config
from bench.following import following, spread
from bench.imagined import Imagined, scheduled
from bench.machine import machine
from bench.metropolis_classes import CAMERAS, SCENES, classes
from bench.processes import memory_of
from bench.progress import Committed, Pace, cpu_of
from bench.recovery import ours
from bench.teller import told
from bench.throughput import faust, looks
from citybrain.bus.address import KafkaAddress
from citybrain.bus.topics import PIPELINE
from citybrain.clock import SystemClock
from citybrain.errors import Transient, UsageError
from citybrain.wire import DETECTIONS

log = logging.getLogger(__name__)

_PARTS = ("needed", "carried", "life", "ingest")
_FEW = 1100
_MESSAGES = 30_000
_WITHIN_S = 600.0
_LIFE_S = 180.0
_WARM_S = 30.0
_FULL = 0.6
"""A worker is planned to be busy for so much of its time: the rest is for bursts and for a dead neighbour's share."""
_PROBLEMS_S = 0.5
LOOKS_S_OF_A_MACHINE = 68 / 2.0
"""Cameras that one such machine looks at each two seconds (docs/evaluation.md, "How many cameras one machine carries")."""


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Everything takes some 15 minutes."""
    parts = tuple(given.only or _PARTS)
    if unknown := [part for part in parts if part not in _PARTS]:
        raise UsageError(f"bench metropolis --only {unknown[0]}: expected one of {', '.join(_PARTS)}")
    imagined = Imagined(classes())
    result: dict[str, Any] = {"machine": machine(), "cameras": CAMERAS, "needed": needed(imagined)}
    if "carried" in parts:
        few = faust(looks(classes(_FEW), _MESSAGES), cameras=_FEW, within_s=_WITHIN_S)
        whole = faust(looks(classes(), _MESSAGES), cameras=CAMERAS, within_s=_WITHIN_S)
        result["carried"] = carried(few, whole, wanted=result["needed"]["messages_s"])
    if "life" in parts:
        result["life"] = life(given.seconds or _LIFE_S)
        result["holds"] = result["life"]["holds"]
    if "ingest" in parts:
        result["ingest"] = ingest(imagined)
    return result


def needed(imagined: Imagined) -> dict[str, Any]:
    """What the assumptions come to."""
    by_class = {
        one.name: {
            "cameras": one.count,
            "looked_at_each_s": one.every.total_seconds(),
            "messages_s": round(Imagined([one]).looks_s),
        }
        for one in imagined.classes
    }
    sample = looks(imagined.classes, 2000)
    return {
        "messages_s": round(imagined.looks_s),
        "bytes_each": round(sum(len(value) for _, value in sample) / len(sample)),
        "classes": by_class,
        "open_questions_s": _PROBLEMS_S,
    }


def carried(few: Pace, whole: Pace, *, wanted: float) -> dict[str, Any]:
    """One worker's pace with a tenth of the cameras and with all, and the number of workers by the latter."""
    return {
        f"one_worker_{_FEW}_cameras": few.told(),
        f"one_worker_{CAMERAS}_cameras": whole.told(),
        "memory_kb_per_camera": round((whole.memory_mb - few.memory_mb) * 1000 / (CAMERAS - _FEW), 1),
        "workers_at_full_pace": math.ceil(wanted / whole.messages_s),
        f"workers_at_{_FULL:.0%}": math.ceil(wanted / (whole.messages_s * _FULL)),
    }


def ingest(imagined: Imagined) -> dict[str, Any]:
    """Looks are what costs, however they are shared out over cameras; blind cameras cost nothing."""
    seen_s = sum(one.count * (1 - one.unusable) / one.every.total_seconds() for one in imagined.classes)
    return {
        "looks_s": round(seen_s),
        "looks_s_of_one_machine": LOOKS_S_OF_A_MACHINE,
        "machines_of_two_cores": math.ceil(seen_s / LOOKS_S_OF_A_MACHINE),
    }


def life(seconds: float, *, workers: Sequence[str] = ("a", "b")) -> dict[str, Any]:
    """The city as it would be: nothing lies ready, and what is not carried shows as a lag that grows."""
    made_of = classes()
    engine = Engine(lasting=False, postgres=False, redis=False, desk=False)
    with city(Imagined(()), engine) as running:
        running.config = write_config(running.folder / "whole", imagined_cameras(Imagined(made_of)), scenes=SCENES)
        names = [running.start_pipeline(name) for name in workers]
        everything = set(range(engine.partitions))
        if not until(
            lambda: set().union(*(ours(running.fleet.said(each)) for each in names)) == everything, within_s=240
        ):
            raise Transient("the workers did not share the partitions out in time")
        clock = SystemClock()
        begins = clock.now() + timedelta(seconds=_WARM_S)
        ends = begins + timedelta(seconds=seconds)
        key = [one for one in made_of if one.label == "fire"]
        problems = scheduled(
            key, round(seconds * _PROBLEMS_S), since=begins, until=ends, lasts=timedelta(seconds=60), seed=2
        )
        with following(running.open_bus()) as cases:
            running.start_tellers(Imagined(made_of, problems), count=2, batches=True)
            time.sleep(max(0.0, (begins - clock.now()).total_seconds()))
            before = _taken(running, names)
            time.sleep(max(0.0, (ends - clock.now()).total_seconds()))
            after = _taken(running, names)
            time.sleep(15)
        of_problems = [each for each in cases if each.detected_at >= begins]
        tellers = [told(running.figures(number)) for number in range(2)]
        lag = _lag(running, sum(each.get("told", 0) for each in tellers))
        found = spread([each.took_s for each in of_problems])
        return {
            "workers": len(names),
            "messages_s_told": round(sum(each.get("told", 0) for each in tellers) / (seconds + _WARM_S + 15)),
            "late_looks": sum(each.get("overtaken", 0) for each in tellers),
            "lag_at_the_end": lag,
            "problems": len(problems),
            "cases": len(of_problems),
            "detection_to_case_event_s": found,
            "workers_cores": [round((after[each][0] - before[each][0]) / seconds, 2) for each in names],
            "workers_memory_mb": [round(after[each][1] / 1e6) for each in names],
            "broker_cores": round((after["broker"][0] - before["broker"][0]) / seconds, 2),
            "tellers_cores": round(sum(after[n][0] - before[n][0] for n in running.names("teller")) / seconds, 2),
            "holds": found["p99"] <= 10.0 and len(of_problems) >= len(problems) * 0.95,
        }


def _taken(running: City, names: Sequence[str]) -> Mapping[str, tuple[float, int]]:
    """Processor seconds and memory of each process."""
    found = {}
    for name in (*names, "broker", *running.names("teller")):
        pids = running.fleet.pids(name)
        found[name] = (cpu_of(pids[0]), memory_of(pids[0])) if pids else (0.0, 0)
    return found


def _lag(running: City, said: int) -> int:
    committed = Committed(KafkaAddress.parse(str(running.deployment.bus)), group=PIPELINE, topic=DETECTIONS)
    try:
        return max(0, said - committed())
    finally:
        committed.close()
