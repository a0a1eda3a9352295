"""What it costs a city's cameras that their process is killed, says goodbye, dies with its machine, or gets company.

Real ingest processes share simulated cameras, which they look at each half second; detection is left out (the detector is
`scripted`). Each look is read from the bus: the longest time between two of one camera, around each event, is what it went unseen.
The broker is Tansu, whose rounds take three seconds each; Kafka waits so long for the first one only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from bench import footage
from bench.fleet import Fleet, Part
from bench.machine import machine
from bench.ports import free_port
from bench.servers import listens, start_broker
from citybrain.bus.address import KafkaAddress
from citybrain.bus.topics import create, layout
from citybrain.clock import SystemClock, instant
from citybrain.domain.detection import Detections, Usable
from citybrain.hot.sqlite import SqliteHot
from citybrain.supervisor import citybrain
from citybrain.wire import DETECTIONS, read_detections

CAMERAS, PARTITIONS = 16, 16
TARGET_S = 10.0
EVENTS = ("company", "killed", "goodbye", "machine")
_ROUNDS = 2
_LOOK_S = 0.5
_SHIPPED = Path(__file__).parents[1] / "configs"


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Each event twice, or those named with `--only`, company before each. Holds when what moves is unseen for ten seconds at
    most, or no longer than what stays, and what stays is untouched."""
    rows: dict[str, list[dict[str, float]]] = {event: [] for event in EVENTS}
    with tempfile.TemporaryDirectory(prefix="citybrain-") as folder:
        city = City(Path(folder))
        try:
            city.start("elder")
            city.until(lambda: city.shares() == [CAMERAS])
            events = {"killed": city.kill, "goodbye": city.end, "machine": city.kill_machine}
            for number in range(_ROUNDS):
                for event, ends in events.items():
                    if given.only and event not in given.only:
                        continue
                    name = f"{event}-{number}"
                    rows["company"].append(city.seen_through(partial(city.start, name), processes=2))
                    rows[event].append(city.seen_through(partial(ends, name), processes=1))
        finally:
            city.close()
    found = {event: _summed(events) for event, events in rows.items() if events}
    return {
        "measured_on": machine(),
        "cameras": CAMERAS,
        "look_every_s": _LOOK_S,
        "session_s": 6.0,
        "target_s": TARGET_S,
        "times": {event: len(events) for event, events in rows.items()},
        **found,
        "holds": all(
            each["unseen_s"]["longest"] <= max(TARGET_S, each["staying_unseen_s"]) and not each["touched"]
            for each in found.values()
        ),
    }


def _summed(events: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    return {
        "unseen_s": {
            "median": round(median(each["median_s"] for each in events), 1),
            "longest": round(max(each["longest_s"] for each in events), 1),
        },
        "staying_unseen_s": round(max(each["staying_s"] for each in events), 1),
        "moved": round(sum(each["moved"] for each in events) / len(events)),
        "stayed": round(sum(each["stayed"] for each in events) / len(events)),
        "touched": int(sum(each["touched"] for each in events)),
        "two_looked_s": round(max(each["two_looked_s"] for each in events), 1),
    }


class City:
    """Broker, cameras and ingest processes of their own; every look that comes is read by a thread."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._clock = folder, SystemClock()
        self.fleet = Fleet(folder)
        self.bus = start_broker(self.fleet)
        create(KafkaAddress.parse(self.bus), layout(PARTITIONS), replicas=1)
        port = free_port()
        clips = next(iter(footage.clips(("sub-h264",)).values())).parent
        self.fleet.start(
            Part(
                "cameras",
                [sys.executable, "-m", "citybrain.demo.simulator", "--folder", str(clips), "--port", str(port)],
            ),
            ready=lambda: listens(port),
        )
        self._configure(port)
        self.hot = SqliteHot(folder / "data" / "hot.db")
        self._looks: dict[str, list[tuple[float, Detections]]] = {}
        self._stop = threading.Event()
        self._reading = threading.Thread(target=lambda: asyncio.run(self._read()), daemon=True)
        self._reading.start()

    def _configure(self, port: int) -> None:
        config = self.folder / "config"
        shutil.copytree(
            _SHIPPED, config, ignore=shutil.ignore_patterns("demo", "services", "areas.yaml", "routes.yaml")
        )
        (config / "routes.yaml").write_text("timezone: Asia/Shanghai\n", encoding="utf-8")
        for each in (*(config / "detectors").glob("*.yaml"), *(config / "scenes").glob("*.yaml")):
            if each.stem != "stall_spillover":
                each.unlink()
        city = {"backend": "scripted", "gate": False}
        (config / "detectors" / "city.yaml").write_text(yaml.safe_dump(city), encoding="utf-8")
        cameras = [
            {
                "id": f"cam-{number:03}",
                "name": f"cam-{number:03}",
                "url": f"rtsp://127.0.0.1:{port}/sub-h264~{number * 0.618:.2f}",
                "look_every": f"{_LOOK_S}s",
            }
            for number in range(CAMERAS)
        ]
        (config / "cameras.yaml").write_text(yaml.safe_dump({"cameras": cameras}), encoding="utf-8")
        (self.folder / "data").mkdir()
        publish = citybrain("cameras", "publish", "--config", str(config), "--bus", self.bus)
        subprocess.run(publish, check=True, stdout=subprocess.DEVNULL)

    def start(self, name: str) -> None:
        words = ["--config", str(self.folder / "config"), "--data", str(self.folder / "data"), "--bus", self.bus]
        self.fleet.start(Part(name, citybrain("ingest", *words, "--workers", "1")))

    def end(self, name: str) -> None:
        self.fleet.end(name)

    def kill(self, name: str) -> None:
        self.fleet.end(name, by=signal.SIGKILL)

    def kill_machine(self, name: str) -> None:
        """With everything that it started, so that nobody can say goodbye for it."""
        _, *children = self.fleet.pids(name)
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.kill(name)

    def seen_through(self, happens: Callable[[], None], *, processes: int) -> dict[str, float]:
        """What it costs that this happens, until so many processes see everything again."""
        time.sleep(3)
        since_s, before = self._clock.monotonic(), self._takers()
        happens()
        self.until(lambda: len(self.shares()) == processes and sum(self.shares()) == CAMERAS)
        time.sleep(7)  # until nobody lingers
        after = self._takers()
        moved = [camera for camera in before if before[camera] != after[camera]]
        stayed = [camera for camera in before if before[camera] == after[camera]]
        gaps = [self._gap(camera, since_s) for camera in moved]
        return {
            "median_s": median(gaps),
            "longest_s": max(gaps),
            "staying_s": max(self._gap(camera, since_s) for camera in stayed),
            "moved": len(moved),
            "stayed": len(stayed),
            "touched": sum(not self._is_unbroken(camera, since_s) for camera in stayed),
            "two_looked_s": max(self._overlap(camera, since_s) for camera in moved),
        }

    def shares(self) -> list[float]:
        """How many cameras each process has that lives and sees all of its own."""
        found = []
        for _, value in self.hot.scan("heartbeat/ingest/"):
            beat = json.loads(value)
            old_s = (self._clock.now() - instant(beat["at"])).total_seconds()
            has = beat["figures"].get("share.cameras", 0)
            if old_s < 3 and has == beat["figures"]["cameras.live"]:
                found.append(has)
        return [each for each in found if each]

    def until(self, claim: Callable[[], bool], *, within_s: float = 120) -> None:
        until_s = self._clock.monotonic() + within_s
        while not claim():
            if self._clock.monotonic() > until_s:
                raise TimeoutError(f"shares: {self.shares()}")
            time.sleep(0.2)

    def close(self) -> None:
        self._stop.set()
        self._reading.join(10)
        self.hot.close()
        self.fleet.close()

    def _takers(self) -> dict[str, Any]:
        return {camera: looks[-1][1].taken_up_at for camera, looks in self._looks.items()}

    def _gap(self, camera: str, since_s: float) -> float:
        seen = [at_s for at_s, look in list(self._looks[camera]) if look.usable is Usable.OK]
        begin = max((at_s for at_s in seen if at_s <= since_s), default=since_s)
        return max(b - a for a, b in pairwise([each for each in seen if each >= begin]))

    def _is_unbroken(self, camera: str, since_s: float) -> bool:
        # The network process tells of blindness and its worker of looks, each by a connection of its own: they may overtake.
        seqs = sorted(look.seq for at_s, look in list(self._looks[camera]) if at_s >= since_s)
        return seqs == list(range(seqs[0], seqs[0] + len(seqs)))

    def _overlap(self, camera: str, since_s: float) -> float:
        """For how long the one who had it still looked when the other one had begun."""
        spans: dict[Any, list[float]] = {}
        for at_s, look in list(self._looks[camera]):
            if at_s >= since_s:
                spans.setdefault(look.taken_up_at, []).append(at_s)
        if len(spans) < 2:
            return 0.0
        elder, younger = (spans[each] for each in sorted(spans)[-2:])
        return max(0.0, elder[-1] - younger[0])

    async def _read(self) -> None:
        import aiokafka

        address = KafkaAddress.parse(self.bus)
        consumer = aiokafka.AIOKafkaConsumer(enable_auto_commit=False, **address.client())
        await consumer.start()
        try:
            partitions = [aiokafka.TopicPartition(address.topic(DETECTIONS), number) for number in range(PARTITIONS)]
            consumer.assign(partitions)
            for each in partitions:
                consumer.seek(each, 0)
            while not self._stop.is_set():
                for messages in (await consumer.getmany(timeout_ms=100)).values():
                    for each in messages:
                        look = read_detections(each.value)
                        self._looks.setdefault(look.camera, []).append((self._clock.monotonic(), look))
        finally:
            await consumer.stop()
