"""A thousand problems through a whole city while everything is killed and the desk fails: one problem, one case, told once.

Every server and role is a process of its own on this machine; imagined cameras tell what ingest would, beside two real ones.
`--only distributed | embedded` measures one of the two engines, `--minutes` says for how long there is trouble.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import yaml

from bench import chaos
from bench.changelog import sums
from bench.counting import Count, Log, count, differing, read_log
from bench.distributed import QUICK, SCENE, City, Engine, city, imagined_cameras, until, write_config
from bench.endtoend import percentile
from bench.fleet import Part
from bench.imagined import Class, Imagined, scheduled
from bench.machine import machine
from bench.ports import free_port
from bench.progress import Committed
from bench.running import FOOTAGE
from bench.servers import listens
from bench.teller import told as told_by_tellers
from bench.trouble import disturb
from citybrain.bus.address import KafkaAddress
from citybrain.bus.topics import CAMERA_COMMANDS, EPISODES, LOCALITY_COMMANDS, PIPELINE
from citybrain.clock import SystemClock, instant, iso
from citybrain.demo.city import CONFIG as DEMO
from citybrain.demo.city import USER, DemoCity, Ports
from citybrain.errors import Transient, UsageError
from citybrain.supervisor import citybrain
from citybrain.wire import COMMANDS, DETECTIONS

SEED = 20261122
PROBLEMS = 1000
_CAMERAS, _ZONES = 100, 10
_LOOKED, _CLOSELY = timedelta(seconds=5), timedelta(seconds=1)
_LASTS = timedelta(minutes=2)
_MINUTES = 12.0
_FIRST = timedelta(seconds=15)
_REAL = ("fire", "quiet")
_FIRE = "fire_risk"
_PASSWORD = "bench"  # noqa: S105  # of simulated cameras on loopback
_CLEARS_S = 25.0
_SOME = 10
_SETTLES_S = 420.0
_TOPICS = (DETECTIONS, EPISODES, COMMANDS, LOCALITY_COMMANDS, CAMERA_COMMANDS)
_KILLED = {
    "pipeline": 5,
    "api": 3,
    "teller": 2,
    "ingest": 2,
    "worker": 2,
    "broker": 2,
    "postgres": 2,
    "redis": 2,
    "desk": 2,
}
"""How often each is chosen, of so many. `worker` is ingest's; who sends to the desk is the pipeline."""
_ENGINES = {"distributed": Engine(partitions=4), "embedded": Engine(distributed=False, pipelines=1, replicas=1)}


@dataclass(frozen=True)
class Found:
    """What there was at the end, read when nothing moved any more."""

    log: Log
    cases: Sequence[dict[str, Any]]
    deliveries: Sequence[dict[str, Any]]
    views: Sequence[Sequence[dict[str, Any]]]
    settled: bool


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Both engines, or those that `--only` names; holds when nothing is lost, twice, false or told under a second id."""
    engines = tuple(given.only or ("distributed",))
    if unknown := [name for name in engines if name not in _ENGINES]:
        raise UsageError(f"bench crash --only {unknown[0]}: expected one of {', '.join(_ENGINES)}")
    result: dict[str, Any] = {"machine": machine(), "seed": SEED, "minutes": given.minutes or _MINUTES}
    for name in engines:
        result[name] = trouble(_ENGINES[name], minutes=given.minutes or _MINUTES)
    result["holds"] = all(result[name]["holds"] for name in engines)
    return result


def trouble(engine: Engine, *, minutes: float) -> dict[str, Any]:
    """Problems over that time, trouble all the while, then peace until everything has been told; and what came of it."""
    clock = SystemClock()
    imagined = Imagined([kerbs()])
    with city(imagined, engine) as running:
        epoch = clock.now()
        real = RealCameras.begin(running, imagined, epoch)
        _start(running)
        since = clock.now() + _FIRST
        problems = scheduled(
            imagined.classes, PROBLEMS, since=since, until=since + timedelta(minutes=minutes), lasts=_LASTS, seed=SEED
        )
        running.start_tellers(Imagined(imagined.classes, problems, SEED))
        done = _disturb(running, until_at=since + timedelta(minutes=minutes), dice=Random(SEED))
        starts = running.fleet.starts
        _calm(running)
        time.sleep(max(0.0, (problems[-1].ends_at - clock.now()).total_seconds()) + _CLEARS_S)
        running.fleet.end("teller-0")  # nothing new: what is there is to be applied, told and shown
        found = _settled(running)
        fires = real.seen(clock.now(), [each["data"] for each in found.cases])
        counted = count(problems, found.log, cases=found.cases, deliveries=found.deliveries, scene=SCENE)
        told = _told(running, engine, found, counted, fires)
        running.left = not told["holds"]
        return told | {
            "killed": dict(sorted(done.items())),
            "started": {name: each for name, each in starts.items() if each > 1},
            "teller": told_by_tellers(running.figures(0)),
        }


@dataclass(frozen=True)
class RealCameras:
    """Two real cameras with what they show, so that ingest and its workers have something to be killed at."""

    epoch: datetime

    @classmethod
    def begin(cls, running: City, imagined: Imagined, epoch: datetime) -> RealCameras:
        """Their simulator, and the configurations: ingest knows the real ones, the others all."""
        DemoCity(running.data, FOOTAGE, epoch, ports=Ports()).build_footage(lambda _camera, _share: None)
        port = free_port()
        running.config = whole(running.folder / "whole", imagined)
        whole(running.folder / "real", Imagined(()))
        environment = {"DEMO_RTSP_PORT": str(port), "DEMO_CAMERA_PASSWORD": _PASSWORD}
        running.environment = {**running.environment, **environment}
        command = [sys.executable, "-m", "citybrain.demo.simulator", "--folder", str(FOOTAGE), "--port", str(port)]
        command += ["--epoch", iso(epoch), "--user", f"{USER}:{_PASSWORD}"]
        running.fleet.start(Part("cameras", command), ready=lambda: listens(port))
        return cls(epoch)

    def seen(self, at: datetime, cases: Sequence[dict[str, Any]]) -> list[tuple[chaos.Problem, int, int]]:
        """Each fire that is due by then, how many cases began with it, and how many there were while it burnt.

        Who was blind from one fire to the next cannot know that there were two: the first one's case is right for both.
        """
        due = [each for each in chaos.problems(self.epoch, at=at) if each.story.scene == _FIRE and each.due]
        mine = [each for each in cases if each["scene"] == _FIRE]
        began = [len(found) for _, found in chaos.match(due, mine)]
        return [(each, count, sum(_burns(case, each) for case in mine)) for each, count in zip(due, began, strict=True)]


def kerbs() -> Class:
    """The imagined cameras: a zone for each problem."""
    return Class("cam", _CAMERAS, _LOOKED, "pavement", "stall", zones=_ZONES, passing=1.0, closely=_CLOSELY)


def whole(folder: Path, imagined: Imagined) -> Path:
    """A configuration of the two real cameras and of all imagined ones, by the demo's scenes."""
    shown = yaml.safe_load((DEMO / "cameras.yaml").read_text())["cameras"]
    # Without zones, of which the imagined ones' hold of seconds would judge too: fires alone are counted of them.
    real = [{key: value for key, value in each.items() if key != "zones"} for each in shown if each["id"] in _REAL]
    # Who is looked at each five seconds must have as long a gap.
    scenes: Mapping[str, Mapping[str, Any]] = {_FIRE: {"max_gap": "12s"}, SCENE: QUICK}
    return write_config(folder, [*real, *imagined_cameras(imagined)], scenes=scenes, shipped=DEMO)


def _burns(case: dict[str, Any], fire: chaos.Problem) -> bool:
    cleared = case.get("cleared_at")
    return instant(case["began_at"]) <= fire.ended_at + chaos.LEEWAY and (
        cleared is None or instant(cleared) >= fire.began_at
    )


def _start(running: City) -> None:
    for name in "abcdefgh"[: running.engine.replicas]:
        running.start_api(name)
    for name in "abcdefgh"[: running.engine.pipelines]:
        running.start_pipeline(name)
    where = ["--config", str(running.folder / "real")]
    command = citybrain("ingest", *where, "--data", str(running.data), "--workers", "1")
    if running.engine.distributed:
        _publish(running, where)
        command += ["--member", "one"]
    running.fleet.start(Part("ingest", command, running.environment))
    if not until(lambda: running.get("/readyz")["ready"], within_s=120):
        raise Transient(f"the city was not ready in time, see {running.folder}/log")


def _publish(running: City, where: Sequence[str]) -> None:
    """The real cameras into the topic that ingest takes them from."""
    said = subprocess.run(
        citybrain("cameras", "publish", *where),
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **running.environment},
    )
    if said.returncode:
        raise Transient(f"the cameras were not published: {said.stdout}{said.stderr}")


def _disturb(running: City, *, until_at: datetime, dice: Random) -> Counter[str]:
    """Kill and break at random until then, and close as an operator what was seen to be over."""
    there = [role for role in _KILLED if role == "worker" or running.names(role)]

    def kill_one() -> str | None:
        role = dice.choices(there, [_KILLED[each] for each in there])[0]
        return role if kill(running, role, dice) else None

    return disturb(
        until_at=until_at,
        first=timedelta(seconds=20),
        kills=0.75,
        dice=dice,
        kill=kill_one,
        set_desk=running.set_desk,
        meanwhile=lambda: _close_what_is_over(running),
    )


def kill(running: City, role: str, dice: Random) -> bool:
    """One process of the role; of PostgreSQL any of its own."""
    if role == "worker":
        return len(running.fleet.pids("ingest")) > 1 and running.fleet.kill("ingest", which=1)
    name = dice.choice(running.names(role))
    return running.fleet.kill(name, which=dice.randrange(8) if role == "postgres" else 0)


def _calm(running: City) -> None:
    def heals() -> bool:
        running.set_desk(mode="ok")
        return True

    until(heals, within_s=60)


def _settled(running: City) -> Found:
    """Everything as it is once the desk has all that the log says, and each view shows it; or when that does not come.

    Raises Transient when nothing can be read at all.
    """
    end, last = time.monotonic() + _SETTLES_S, None
    events: list[dict[str, Any]] = []
    bus = running.open_bus()
    try:
        while last is None or not last.settled:
            if time.monotonic() > end:
                break
            with suppress(Transient):
                running.more_events(bus, events)
                last = _read(running, events)
            time.sleep(5)
    finally:
        bus.close()
    if last is None:
        raise Transient(f"desk, log or views could not be read for {_SETTLES_S:.0f} s, see {running.folder}/log")
    return last


def _read(running: City, events: Sequence[dict[str, Any]]) -> Found:
    with suppress(Transient):
        _close_what_is_over(running)
    cases, deliveries = (running.get(f"/{what}", of=running.desk)[what] for what in ("cases", "deliveries"))
    views = [running.cases(wall) for wall in running.wall]
    log = read_log(events)
    counted = count([], log, cases=cases, deliveries=deliveries, scene=SCENE)
    settled = not counted.undelivered and not any(differing(log, view) for view in views)
    return Found(log, cases, deliveries, views, settled and _applied(running))


def _applied(running: City) -> bool:
    """Whether everything that was told has been applied and committed; the real cameras look on, so that some is always new."""
    if not running.engine.distributed:
        return bool(running.get("/v1/stats")["figures"]["pipeline.lag"] <= _SOME)
    address = KafkaAddress.parse(str(running.deployment.bus))
    for topic in _TOPICS:
        committed = Committed(address, group=PIPELINE, topic=topic)
        try:
            if committed.lag() > _SOME:
                return False
        finally:
            committed.close()
    return True


def _told(
    running: City, engine: Engine, found: Found, counted: Count, fires: Sequence[tuple[chaos.Problem, int, int]]
) -> dict[str, Any]:
    imbalance = ledger_imbalance(running, engine)
    latencies = sorted(each["data"]["latency_s"] for each in found.cases if each["data"].get("latency_s") is not None)
    views = [len(differing(found.log, view)) for view in found.views]
    fires_lost = sum(not there for _, _, there in fires)
    fires_twice = sum(began > 1 for _, began, _ in fires)
    wrong = (not counted.right, imbalance, any(views), fires_lost, fires_twice, not found.settled)
    return {
        "problems": PROBLEMS,
        "cases_at_desk": len(found.cases),
        **counted.told(),
        "fires_seen_by_a_real_camera": {
            "due": len(fires),
            "lost": fires_lost,
            "twice": fires_twice,
        },
        "ledger_imbalance": imbalance,
        "view_differs_from_log": views,
        "events": len(found.log.events),
        "events_said_again": found.log.repeated,
        "messages": len(found.deliveries),
        "messages_delivered_again": sum(each["count"] > 1 for each in found.deliveries),
        "latency_s": {"p50": percentile(latencies, 0.5), "p99": percentile(latencies, 0.99), "max": latencies[-1]}
        if latencies
        else None,
        "settled": found.settled,
        "holds": not any(wrong),
    }


def ledger_imbalance(running: City, engine: Engine) -> float:
    """Detections whose end nobody knows, of all scenes: as the tables' changelogs have them, else as the pipeline says."""
    if engine.distributed:
        address = KafkaAddress.parse(str(running.deployment.bus))
        scenes = sums(address, (SCENE, _FIRE))["scenes"]
        return float(sum(abs(each["imbalance"]) for each in scenes.values()))
    figures = running.get("/v1/stats")["figures"]
    return float(sum(abs(figure) for name, figure in figures.items() if name.endswith(".imbalance")))


def _close_what_is_over(running: City) -> None:
    """The real camera's fires come again where they were: each must be a problem of its own."""
    for wall in running.wall[:1]:
        for case in running.get(f"/v1/cases?open=true&scene={_FIRE}&limit=200", of=wall)["items"]:
            if not case["present"]:
                running.post(f"/v1/cases/{case['id']}/actions", {"action": "close", "reason": "handled"})
