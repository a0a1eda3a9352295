"""A small town on a real broker: what happens in it, the processes that judge it, and when all of it has been taken in."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from citybrain.bus.address import KafkaAddress
from citybrain.bus.kafka import KafkaBus
from citybrain.bus.topics import CAMERA_COMMANDS, EPISODES, LOCALITY_COMMANDS, create, layout
from citybrain.clock import SystemClock
from citybrain.domain.detection import Detections, Usable
from citybrain.hot.sqlite import SqliteHot
from citybrain.wire import CASE_EVENTS, COMMANDS, DETECTIONS, write_detections
from tests.flows.days import CAMERAS
from tests.flows.street import FIRE, MINUTE, START, A, B, C, Street, Thing, camera, city, scene

ROOT = Path(__file__).parents[2]
PARTITIONS = 4
UNHURRIED = {"code": "01", "unit": "someone", "deadline": "8h", "close_after_clear": "12h"}
MORE = [camera(f"gd-{n}") for n in range(4, 10)]
TOWN = city(
    [
        scene(hold="60s", max_gap="20s", clear_after="30s", verify_for="20s", case=UNHURRIED),
        scene(FIRE, case=UNHURRIED),
    ],
    [*CAMERAS, *MORE],
)
SMALLER = replace(TOWN, cameras={id: each for id, each in TOWN.cameras.items() if id != "gd-4"}, revision="smaller")
"""The same without one camera."""
STREETS = [
    Street([Thing(A, 10, 200), Thing(B, 30, 300, who=2)], [(100, 140, Usable.LOST)], camera="gd-1", seed=1),
    Street([Thing(C, 5, who=3), Thing(B, 50, 90, "fire"), Thing(B, 250, 280, "fire")], camera="gd-3", seed=3),
    *(
        Street([Thing(A, 7 * n, 150 + 11 * n, who=n), Thing(C, 200, 260, "fire")], camera=f"gd-{n}", seed=n)
        for n in range(4, 10)
    ),
]
LATELY = SystemClock().now().replace(microsecond=0) - START - 7 * MINUTE
"""The day has just ended by the machine's clock, which tells the workers of deadlines."""


def lately(look: Detections) -> Detections:
    stamps = {name: at + LATELY for name, at in look.stamps.items()}
    return replace(look, captured_at=look.captured_at + LATELY, stamps=stamps)


def day_of(streets: Iterable[Street], *, every: float, until: float = 420) -> list[Detections]:
    """The looks of all cameras in the order in which they happened, lately."""
    looks = [lately(look) for street in streets for look in street.looks(every=every, until=until)]
    return sorted(looks, key=lambda look: (look.captured_at, look.camera))


DAY = day_of(STREETS, every=2)
VALUES = [(look.camera, write_detections(look)) for look in DAY]


class KafkaCity:
    """A bus with its topics, and the workers that share it."""

    def __init__(self, place: str, folder: Path) -> None:
        self.address = KafkaAddress.parse(place)
        create(self.address, layout(PARTITIONS), replicas=1)
        self.place, self.folder = place, folder
        self.bus = KafkaBus(self.address, buffer=100_000)
        self.hot = SqliteHot(folder / "hot.db")
        self.workers: list[subprocess.Popen[bytes]] = []
        self.ends = Ends(self.address)
        self._read: list[bytes] = []
        self._read_to = 0

    def worker(self, name: str, *desk: str, fault: str = "none", town: str = "whole") -> subprocess.Popen[bytes]:
        script = ROOT / "tests" / "services" / "pipeline_worker.py"
        log = (self.folder / f"worker-{name}.log").open("ab")
        command = [sys.executable, str(script), self.place, str(self.folder), name, fault, town, *desk]
        self.workers.append(
            subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=log, stderr=log)
        )
        log.close()
        return self.workers[-1]

    def said(self, name: str) -> str:
        return (self.folder / f"worker-{name}.log").read_text()

    def looks(self, values: Iterable[tuple[str, bytes]] = VALUES) -> None:
        for name, value in values:
            self.bus.offer(DETECTIONS, name, value)

    def offered(self) -> bool:
        """All that was offered is at the broker."""
        return self.bus.figures()["waiting"] == 0

    def case_events(self) -> list[bytes]:
        while page := self.bus.read([CASE_EVENTS], after=self._read_to):
            self._read += [message.value for message in page]
            self._read_to = page[-1].offset
        return self._read

    def figures(self) -> Counter[str]:
        """What the workers say of themselves, summed as the API sums it."""
        summed: Counter[str] = Counter()
        for _, raw in self.hot.scan("heartbeat/pipeline/"):
            summed.update(json.loads(raw)["figures"])
        return summed

    def is_settled(self) -> bool:
        """Everything in every topic was taken in, and what follows from it was told: done is read first, the ends later."""
        if not self.offered():
            return False
        done, ends = self.figures(), self.ends.now()
        everybodys = done["partitions"] == 2 * PARTITIONS + 1  # else somebody's last word counts one twice, or not yet
        return everybodys and all(done[f"done.{topic}"] == end for topic, end in ends.items())

    def until(self, claim: Callable[[], bool], seconds: float = 180) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if claim():
                return
            time.sleep(0.05)
        logs = "\n".join(path.read_text()[-3000:] for path in self.folder.glob("worker-*.log"))
        raise AssertionError(f"it did not come true in time\n{logs}\n{self.figures()}\n{self.ends.now()}")

    def close(self) -> None:
        for each in self.workers:
            each.kill()
            each.wait()
        self.ends.close()
        self.bus.close()
        self.hot.close()


class Ends:
    """Where the topics that the pipeline reads end, each summed over its partitions."""

    TOPICS = (DETECTIONS, CAMERA_COMMANDS, EPISODES, LOCALITY_COMMANDS, COMMANDS)

    def __init__(self, address: KafkaAddress) -> None:
        self._loop, self._address = asyncio.new_event_loop(), address
        self._loop.run_until_complete(self._begin())

    def now(self) -> Counter[str]:
        found = self._loop.run_until_complete(self._consumer.end_offsets(self._partitions))
        ends: Counter[str] = Counter()
        for partition, end in found.items():
            ends[self._address.name_of(partition.topic)] += end
        return ends

    def close(self) -> None:
        self._loop.run_until_complete(self._consumer.stop())
        self._loop.close()

    async def _begin(self) -> None:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=list(self._address.brokers), enable_auto_commit=False)
        await self._consumer.start()
        self._partitions = [
            TopicPartition(self._address.topic(topic), n)
            for topic in self.TOPICS
            for n in range(1 if topic == COMMANDS else PARTITIONS)
        ]
        self._consumer.assign(self._partitions)


def by_id(bodies: Iterable[bytes]) -> dict[str, bytes]:
    """The events by id; that an id said twice says the same is asserted."""
    found: dict[str, bytes] = {}
    for body in bodies:
        assert found.setdefault(json.loads(body)["id"], body) == body
    return found


def differing(found: Iterable[bytes], expected: Iterable[bytes]) -> dict[str, object]:
    """The events that only one of them has, and of those that differ the fields that do."""
    ones, others = by_id(found), by_id(expected)
    said: dict[str, object] = dict.fromkeys(others.keys() - ones, "missing")
    said |= dict.fromkeys(ones.keys() - others, "more")
    for id in ones.keys() & others:
        if ones[id] != others[id]:
            one, other = json.loads(ones[id]), json.loads(others[id])
            one, other = one | one.pop("data"), other | other.pop("data")
            said[id] = {name: (one[name], other.get(name)) for name in one if one[name] != other.get(name)}
    return said


@contextmanager
def desk(folder: Path, secret: str) -> Iterator[str]:
    """The address of a dispatch desk of the demo."""
    command = [sys.executable, "-m", "citybrain.demo.desk", "--port", "0", "--data", str(folder / "desk.db")]
    with subprocess.Popen(
        [*command, "--secret", secret],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            assert running.stdout is not None
            yield running.stdout.readline().split()[-1].removesuffix("/events")
        finally:
            running.kill()
