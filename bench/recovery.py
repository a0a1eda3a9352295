"""How long a worker of the pipeline takes until it goes on: with nothing to recover, with its disk, and with its disk lost.

The table holds 10,000 cameras. A worker is ended politely and started again; it has recovered when every partition is its own
again, and gone on when a look that came meanwhile is applied and committed.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import time
from statistics import median
from typing import Any

from bench.changelog import records
from bench.distributed import City, Engine, city, until
from bench.imagined import Imagined
from bench.machine import machine
from bench.metropolis_classes import classes
from bench.progress import Committed
from bench.throughput import fill, looks, write
from citybrain.bus.address import KafkaAddress
from citybrain.bus.topics import CAMERAS_TABLE, PIPELINE
from citybrain.errors import Transient
from citybrain.wire import DETECTIONS

CAMERAS = 10_000
TARGET_S = 30.0
_ROUNDS = 3
_WITHIN_S = 900.0
_OURS = re.compile(r"cameras: partitions \[([0-9, ]+)\] are ours")


def measure(_given: argparse.Namespace) -> dict[str, Any]:
    """Three times each; holds when the table takes less than half a minute beyond what a start takes anyhow."""
    engine = Engine(lasting=False, postgres=False, redis=False, desk=False)
    with city(Imagined(()), engine) as running:
        write(running, CAMERAS)
        address = KafkaAddress.parse(str(running.deployment.bus))
        committed = Committed(address, group=PIPELINE, topic=DETECTIONS)
        try:
            empty = [_restart(running, committed) for _ in range(_ROUNDS)]
            values = every_camera()
            _end(running)
            fill(running, values)
            running.start_pipeline("a")
            if not until(lambda: committed() >= len(values), within_s=_WITHIN_S):
                raise Transient(f"{committed()} of {len(values)} looks were applied in time")
            held = asyncio.run(records(address, CAMERAS_TABLE))
            with_disk = [_restart(running, committed) for _ in range(_ROUNDS)]
            without = [_restart(running, committed, fresh=True) for _ in range(_ROUNDS)]
        finally:
            committed.close()
    # What a start takes anyhow: the process, its configuration of so many cameras, and the group's round.
    start_s = median(each["recovered_s"] for each in empty)
    slowest_s = max(each["recovered_s"] for each in (*with_disk, *without)) - start_s
    return {
        "machine": machine(),
        "cameras": len(held),
        "state_bytes_each": round(sum(len(state or b"") for state in held.values()) / max(1, len(held))),
        "nothing_to_recover": _middle(empty),
        "with_its_disk": _middle(with_disk),
        "disk_lost": _middle(without),
        "table_s": {
            "with_its_disk": round(median(each["recovered_s"] for each in with_disk) - start_s, 1),
            "disk_lost": round(median(each["recovered_s"] for each in without) - start_s, 1),
            "slowest": round(slowest_s, 1),
        },
        "target_s": TARGET_S,
        "holds": slowest_s < TARGET_S and len(held) >= CAMERAS * 0.95,
    }


def every_camera() -> list[tuple[str, bytes]]:
    """Looks in order until the slowest camera has had its turn."""
    imagined = Imagined(classes(CAMERAS))
    slowest_s = max(one.every.total_seconds() for one in imagined.classes)
    return looks(imagined.classes, round(imagined.looks_s * slowest_s * 1.2))


def ours(said: str) -> set[int]:
    """The partitions of stage one that a worker's log says, last, that it has."""
    found = _OURS.findall(said)
    return {int(each) for each in found[-1].split(",")} if found else set()


def _restart(running: City, committed: Committed, *, fresh: bool = False) -> dict[str, float]:
    _end(running)
    before, at = committed(), len(running.fleet.said("pipeline-a")) if "pipeline-a" in running.fleet.starts else 0
    began_s = time.monotonic()
    running.start_pipeline("a", fresh=fresh)
    everything = set(range(running.engine.partitions))
    if not until(lambda: ours(running.fleet.said("pipeline-a")[at:]) == everything, within_s=_WITHIN_S, every_s=0.05):
        raise Transient(f"the worker did not recover in time:\n{running.fleet.said('pipeline-a')[-2000:]}")
    recovered_s = time.monotonic() - began_s
    fill(running, looks(classes(100), 50))
    if not until(lambda: committed() >= before + 50, within_s=_WITHIN_S, every_s=0.05):
        raise Transient("the worker did not go on in time")
    return {"recovered_s": recovered_s, "went_on_s": time.monotonic() - began_s}


def _end(running: City) -> None:
    if "pipeline-a" in running.fleet.starts:
        running.fleet.end("pipeline-a")


def _middle(found: list[dict[str, float]]) -> dict[str, Any]:
    return {
        "recovered_s": round(median(each["recovered_s"] for each in found), 1),
        "slowest_s": round(max(each["recovered_s"] for each in found), 1),
        "went_on_s": round(median(each["went_on_s"] for each in found), 1),
    }
