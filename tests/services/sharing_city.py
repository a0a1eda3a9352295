"""A city whose cameras several real ingest processes share: simulated RTSP cameras, a real broker, and every look that comes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiokafka
import psutil
import pytest
import yaml

from citybrain.bus import topics
from citybrain.bus.address import KafkaAddress
from citybrain.clock import SystemClock
from citybrain.demo.simulator import Simulator
from citybrain.domain.detection import Detections, Usable
from citybrain.hot.sqlite import SqliteHot
from citybrain.wire import DETECTIONS, read_detections
from tests.unit.ingest.clips import make_clip

GOOD = Path(__file__).parents[1] / "configs" / "folders" / "good"
PARTITIONS = 8


@dataclass(frozen=True, slots=True)
class Came:
    """A look as it came from the bus, and when."""

    look: Detections
    at_s: float


class Ingest:
    """One ingest process, on a machine of its own as far as it can tell: its own environment, its own log."""

    def __init__(self, city: SharingCity, name: str, *more: str) -> None:
        self.name, self.log = name, city.folder / f"{name}.log"
        options = ["--config", city.config, "--data", city.data, "--bus", city.bus, "--workers", "1", *more]
        environment = {**os.environ, "CAM_PASSWORD": "planted-7731"}
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "citybrain", "ingest", *map(str, options)],
                env=environment,
                stdout=out,
                stderr=out,
            )

    def says(self, text: str) -> bool:
        return text in self.log.read_text(encoding="utf-8")


class SharingCity:
    """What a test does with it and sees of it. All processes share one data folder, and so the hot store."""

    def __init__(self, folder: Path, bus: str, simulator: Simulator) -> None:
        self.folder, self.bus, self.simulator = folder, bus, simulator
        self.config, self.data = folder / "config", folder / "data"
        self.looks: dict[str, list[Came]] = defaultdict(list)
        self.running: dict[str, Ingest] = {}
        self._clock = SystemClock()
        shutil.copytree(GOOD, self.config)
        (self.config / "routes.yaml").write_text("timezone: Asia/Shanghai\nroutes: []\n", encoding="utf-8")
        (
            self.config / "scenes" / "burning.yaml"
        ).unlink()  # nothing is looked at closely: this is not about what is seen
        standing = self.config / "scenes" / "standing.yaml"
        standing.write_text(
            standing.read_text(encoding="utf-8").replace("inhibited_by: [burning]\n", ""), encoding="utf-8"
        )
        self.data.mkdir()
        self.hot = SqliteHot(self.data / "hot.db")

    @property
    def now_s(self) -> float:
        return self._clock.monotonic()

    def configure(self, *names: str, **detectors: str) -> None:
        """The folder has these cameras; `detectors` names another detector for some."""
        port = self.simulator.port
        cameras = [
            {
                "id": name,
                "name": name,
                "url": f"rtsp://admin:${{CAM_PASSWORD}}@127.0.0.1:{port}/street~{len(name) + int(name[-1:], 36) / 7:.2f}",
                "detector": detectors.get(name, "city"),
            }
            for name in names
        ]
        (self.config / "cameras.yaml").write_text(yaml.safe_dump({"cameras": cameras}), encoding="utf-8")

    async def publish(self, *options: str) -> str:
        """What `citybrain cameras publish` said."""
        command = [sys.executable, "-m", "citybrain", "cameras", "publish", "--config", str(self.config), *options]
        environment = {**os.environ, "CITYBRAIN_BUS": self.bus}
        done = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, name: str, *more: str) -> Ingest:
        self.running[name] = Ingest(self, name, *more)
        return self.running[name]

    async def kill(self, name: str, *, machine: bool = False) -> None:
        """SIGKILL: to the process, or to all that it started as well, as when its machine dies."""
        process = self.running.pop(name).process
        for each in psutil.Process(process.pid).children() if machine else ():
            each.kill()
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)

    # -- what is seen -------------------------------------------------------------------------------------------------

    def state(self, camera: str) -> dict[str, Any]:
        return json.loads(self.hot.get(f"camera/{camera}") or b"{}")

    def beats(self) -> dict[int, Mapping[str, float]]:
        """The figures of each process that told them in the last seconds, by its pid."""
        found = {}
        for _, value in self.hot.scan("heartbeat/ingest/"):
            beat = json.loads(value)
            if (self._clock.now() - datetime.fromisoformat(beat["at"])).total_seconds() < 3:
                found[beat["pid"]] = beat["figures"]
        return found

    def has(self, name: str, cameras: int) -> bool:
        """Whether the process has so many cameras and sees all of them."""
        figures = self.beats().get(self.running[name].process.pid, {})
        return figures.get("share.cameras") == figures.get("cameras.live") == cameras

    def is_shared_by(self, processes: int, *, cameras: int) -> bool:
        """Whether so many processes have some of the cameras each, all of them together, and see what they have."""
        beats = self.beats().values()
        return (
            len(beats) == processes
            and sum(each.get("share.cameras", 0) for each in beats) == cameras
            and all(0 < each.get("share.cameras", 0) == each["cameras.live"] for each in beats)
        )

    def taken_up(self) -> dict[str, datetime | None]:
        """Since when each camera is looked at by whoever looked at it last."""
        return {camera: came[-1].look.taken_up_at for camera, came in self.looks.items()}

    def longest_gap_s(self, camera: str, since_s: float) -> float:
        """The longest time without a look that saw something, since then."""
        seen = [each.at_s for each in self.looks[camera] if each.look.usable is Usable.OK]
        before = max((each for each in seen if each <= since_s), default=since_s)
        after = [before, *(each for each in seen if each > since_s), self.now_s]
        return max(b - a for a, b in pairwise(after))

    def is_unbroken(self, camera: str, since_s: float) -> bool:
        """Whether one process has looked at it all the time, and no look is missing."""
        looks = [each.look for each in self.looks[camera] if each.at_s >= since_s]
        same = len({each.taken_up_at for each in looks}) == 1
        # Of blindness and of looks two processes tell, each by a connection of its own: they may overtake each other.
        seqs = sorted(each.seq for each in looks)
        return same and seqs == list(range(seqs[0], seqs[0] + len(seqs)))

    async def until(self, claim: Callable[[], bool], *, seconds: float = 120) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not claim():  # noqa: ASYNC110  # the processes are others
                    await asyncio.sleep(0.1)
        except TimeoutError:
            logs = "\n".join(f"== {name}\n{each.log.read_text()[-3000:]}" for name, each in self.running.items())
            pytest.fail(f"it did not come true; {self.beats()}\n{logs}")

    async def follow(self) -> None:
        """Take every look that comes, until cancelled."""
        address = KafkaAddress.parse(self.bus)
        topic = address.topic(DETECTIONS)
        consumer = aiokafka.AIOKafkaConsumer(enable_auto_commit=False, **address.client())
        await consumer.start()
        try:
            partitions = [aiokafka.TopicPartition(topic, number) for number in range(PARTITIONS)]
            consumer.assign(partitions)
            for each in partitions:
                consumer.seek(each, 0)
            while True:
                for messages in (await consumer.getmany(timeout_ms=200)).values():
                    for each in messages:
                        look = read_detections(each.value)
                        self.looks[look.camera].append(Came(look, self.now_s))
        finally:
            await consumer.stop()


@asynccontextmanager
async def sharing_city(folder: Path, bus: str) -> AsyncIterator[SharingCity]:
    footage = folder / "footage"
    footage.mkdir()
    make_clip(footage / "street.mp4", seconds=3, group=4)
    await asyncio.to_thread(topics.create, KafkaAddress.parse(bus), topics.layout(PARTITIONS), replicas=1)
    async with Simulator(footage, users={"admin": "planted-7731"}) as simulator:
        city = SharingCity(folder, bus, simulator)
        following = asyncio.create_task(city.follow())
        try:
            yield city
        finally:
            for each in city.running.values():
                each.process.kill()
                await asyncio.to_thread(each.process.wait)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            city.hot.close()
