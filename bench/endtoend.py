"""From frame to desk: how long the demo city's cases take to be posted, and which stage takes how much of it."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from bench.machine import machine
from bench.running import Running, running, seconds, wait_until

TARGET_S = 10.0
STAGES = ("captured", "received", "decoded", "inferred", "filed", "posted")
"""The stations on the way to the desk; `confirmed` is the captured instant of the confirming look, said again."""
_NAMES = {"received": "network", "decoded": "decode", "inferred": "detect", "filed": "pipeline", "posted": "delivery"}


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Latency of every case filed in so many minutes (default 4: each clip tells its story once), and its shares."""
    minutes = given.minutes or 4.0
    with running() as city:
        time.sleep(minutes * 60)
        wait_until(lambda: not _waiting(city), timeout_s=60, what="everything filed was posted")
        cases = _cases(city)
        figures = city.get("/v1/stats")["figures"]
    latencies = sorted(case["latency_s"] for case in cases)
    result: dict[str, Any] = {
        "machine": machine(),
        "minutes": minutes,
        "cameras": len({camera for case in cases for camera in case["cameras"]}),
        "looks": int(figures.get("pipeline.looks", 0)),
        "cases": len(cases),
        "latency_s": {"p50": percentile(latencies, 0.5), "p99": percentile(latencies, 0.99), "max": latencies[-1]}
        if latencies
        else None,
        "stages": _stages(cases),
        "target_s": TARGET_S,
    }
    breaches = [case for case in cases if case["latency_s"] > TARGET_S]
    result["breaches"] = [
        {"case": case["id"], "latency_s": case["latency_s"], "stage": guilty(case)} for case in breaches
    ]
    result["holds"] = bool(latencies) and percentile(latencies, 0.99) <= TARGET_S
    return result


def percentile(ascending: Sequence[float], share: float) -> float:
    """Nearest rank."""
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)]


def stage_seconds(case: dict[str, Any]) -> dict[str, float]:
    """Seconds a case's confirming look spent in each stage."""
    stamps = case["stamps"]
    return {_NAMES[later]: seconds(stamps[later], stamps[earlier]) for earlier, later in pairwise(STAGES)}


def guilty(case: dict[str, Any]) -> str:
    """The stage that took longest."""
    spent = stage_seconds(case)
    return max(spent, key=lambda stage: spent[stage])


def _stages(cases: Sequence[dict[str, Any]]) -> dict[str, Any]:
    total = sum(case["latency_s"] for case in cases) or 1.0
    found = {}
    for stage in _NAMES.values():
        spent = sorted(stage_seconds(case)[stage] for case in cases)
        if spent:
            share = f"{sum(spent) / total:.0%}"
            found[stage] = {"p50_s": percentile(spent, 0.5), "p99_s": percentile(spent, 0.99), "share": share}
    return found


def _cases(city: Running) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = city.get("/v1/cases?limit=200")["items"]
    return [case for case in found if case["latency_s"] is not None]


def _waiting(city: Running) -> bool:
    return any(case["posted_at"] is None for case in city.get("/v1/cases?limit=200")["items"])
