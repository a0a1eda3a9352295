"""Everything dies, again and again, and the desk fails in every way it can: one problem must still be one case."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from bench.machine import machine
from bench.running import Running, running, wait_until
from bench.trouble import disturb
from citybrain.clock import SystemClock

_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Story:
    """What a demo clip tells: which scene, from which second to which, of how many, seen by which cameras."""

    scene: str
    cameras: tuple[str, ...]
    from_s: float
    to_s: float
    clip_s: float


STORIES = (
    Story("illegal_parking", ("kerb-a", "kerb-b"), 17, 150, 200),
    Story("illegal_parking", ("dark",), 16, 175, 210),
    Story("waterlogging", ("flood",), 20, 190, 210),
    Story("fire_risk", ("fire",), 18, 165, 190),
    Story("stall_spillover", ("stalls",), 15, 160, 200),
)
"""As configs/demo/footage/*.yaml tell them; everything else in the demo is nothing."""

SETTLED = timedelta(seconds=100)
"""So long after its beginning a problem must have its case, whatever dies meanwhile: the longest hold, water's rise, repairs."""
LEEWAY = timedelta(seconds=40)
KILLS = ("worker", "worker", "ingest", "pipeline", "pipeline", "api", "up", "cameras", "desk")


@dataclass(frozen=True, slots=True)
class Problem:
    """One telling of a story: one case at the desk is right, two are wrong, and none is once it is `due`."""

    story: Story
    began_at: datetime
    ended_at: datetime
    due: bool


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Problems and cases after so many minutes (default 30) of chaos; holds when they are one to one and the ledger balances."""
    minutes = given.minutes or 30.0
    seed = 20261121
    with running() as city:
        done = _disturb(city, minutes=minutes, dice=Random(seed))  # a dice, not a secret
        _calm(city)
        found = city.get("/cases", desk=True)["cases"]
        deliveries = city.get("/deliveries", desk=True)["deliveries"]
        figures = city.get("/v1/stats")["figures"]
        told = list(problems(city.city.epoch, at=_CLOCK.now()))
    matched = match(told, [case["data"] for case in found])
    result: dict[str, Any] = {
        "machine": machine(),
        "minutes": minutes,
        "seed": seed,
        "done": dict(sorted(done.items())),
        "problems": sum(problem.due for problem in told),
        "undecided": sum(not problem.due for problem in told),
        "cases_at_desk": len(found),
        "lost": [_name(problem) for problem, cases in matched if problem.due and not cases],
        "twice": [_name(problem) for problem, cases in matched if len(cases) > 1],
        "false": len(found) - sum(len(cases) for _, cases in matched),
        "deliveries": len(deliveries),
        "delivered_again": sum(1 for each in deliveries if each["count"] > 1),
        "ids_twice": len(deliveries) - len({each["id"] for each in deliveries}),
        "ledger_imbalance": sum(abs(v) for name, v in figures.items() if name.endswith(".imbalance")),
        "set_aside": sum(v for name, v in figures.items() if name.startswith("pipeline.set_aside.")),
    }
    wrong = ("lost", "twice", "false", "ids_twice", "ledger_imbalance")
    result["holds"] = bool(told) and not any(result[name] for name in wrong)
    return result


def problems(epoch: datetime, *, at: datetime) -> Iterator[Problem]:
    """Every telling that had begun by then; due are those that began long enough before to have their case."""
    for story in STORIES:
        began_at = epoch + timedelta(seconds=story.from_s)
        while began_at < at:
            ended_at = began_at + timedelta(seconds=story.to_s - story.from_s)
            yield Problem(story, began_at, ended_at, due=began_at + SETTLED < at)
            began_at += timedelta(seconds=story.clip_s)


def match(told: Sequence[Problem], cases: Sequence[dict[str, Any]]) -> list[tuple[Problem, list[str]]]:
    """Each problem with the cases that are about it: same scene, one of its cameras, begun while it lasted."""

    def about(case: dict[str, Any], problem: Problem) -> bool:
        began_at = datetime.fromisoformat(case["began_at"])
        return (
            case["scene"] == problem.story.scene
            and bool(set(case["cameras"]) & set(problem.story.cameras))
            and problem.began_at - LEEWAY <= began_at <= problem.ended_at + LEEWAY
        )

    return [(problem, [case["id"] for case in cases if about(case, problem)]) for problem in told]


def _disturb(city: Running, *, minutes: float, dice: Random) -> Counter[str]:
    """Kill and break at random until the time is up, closing as an operator what was seen to be over."""

    def kill() -> str | None:
        role = dice.choice(KILLS)
        return role if city.kill(role, which=dice.randrange(8)) else None

    return disturb(
        until_at=_CLOCK.now() + timedelta(minutes=minutes),
        first=timedelta(seconds=10),
        kills=0.7,
        dice=dice,
        kill=kill,
        set_desk=city.set_desk,
        meanwhile=lambda: _close_what_is_over(city),
    )


def _calm(city: Running) -> None:
    """Nothing more is broken: what was broken last is repaired, and the outbox is empty."""
    wait_until(lambda: _heals(city), timeout_s=60, what="the desk is well again")
    time.sleep(LEEWAY.total_seconds())
    wait_until(
        lambda: city.get("/readyz")["ready"] and city.get("/v1/stats")["figures"]["pipeline.outbox.waiting"] == 0,
        timeout_s=180,
        what="the outbox is empty",
    )


def _heals(city: Running) -> bool:
    city.set_desk(mode="ok")
    return True


def _close_what_is_over(city: Running) -> None:
    for case in city.get("/v1/cases?open=true&limit=200")["items"]:
        if not case["present"]:
            city.post(f"/v1/cases/{case['id']}/actions", {"action": "close", "reason": "handled"})


def _name(problem: Problem) -> str:
    return f"{problem.story.scene} {'+'.join(problem.story.cameras)} {problem.began_at:%H:%M:%S}"
