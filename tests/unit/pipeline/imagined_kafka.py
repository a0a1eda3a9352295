"""A broker and workers that are imagined: topics are lists, tables are dicts, and a commit may end at any of its points.

Everything of the runner is here but Kafka and Faust: the lanes, in the order in which a worker commits them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any
from zlib import crc32

from citybrain.bus.topics import (
    CAMERA_COMMANDS,
    CAMERAS_TABLE,
    DEAD_LETTERS,
    EPISODES,
    LOCALITIES_TABLE,
    LOCALITY_COMMANDS,
    ORDERED,
    SWITCH_TABLE,
)
from citybrain.clock import ManualClock
from citybrain.wire import CASE_EVENTS, COMMANDS, DETECTIONS
from pipeline.flow import Pipeline
from pipeline.runners.kafka.camera_lane import CameraLane
from pipeline.runners.kafka.lanes import Cut, Lane
from pipeline.runners.kafka.locality_lane import LocalityLane
from pipeline.runners.kafka.records import Owed
from pipeline.runners.kafka.switch_lane import SwitchLane
from tests.flows.street import START

POINTS = ("before durable", "half durable", "before told", "half told", "after told")
"""Where a crash may end a commit."""
READS = {
    CAMERAS_TABLE: (DETECTIONS, CAMERA_COMMANDS),
    LOCALITIES_TABLE: (EPISODES, LOCALITY_COMMANDS),
    SWITCH_TABLE: (COMMANDS,),
}


class ImaginedKafka:
    """A city over so many partitions. `crashes` is the share of commits that do not come to their end."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        partitions: int = 3,
        random: Random | None = None,
        crashes: float = 0.0,
        endpoints: Sequence[str] = (),
    ) -> None:
        self.pipeline, self.partitions, self.clock = pipeline, partitions, ManualClock(START)
        self.random, self.crashes, self.endpoints = random or Random(0), crashes, endpoints
        self.logs: Mapping[tuple[str, int], list[tuple[str, bytes]]] = defaultdict(list)
        self.tables: Mapping[tuple[str, int], dict[bytes, bytes]] = defaultdict(dict)
        self.lanes: dict[tuple[str, int], Lane] = {}
        self.places: dict[tuple[str, int], dict[str, int]] = {}
        self.posts: list[Owed] = []
        for stage in (CAMERAS_TABLE, LOCALITIES_TABLE):
            for partition in range(partitions):
                self.begin(stage, partition)
        self.begin(SWITCH_TABLE, 0)

    def begin(self, stage: str, partition: int) -> None:
        """A lane anew, from what was durable."""
        stored: dict[bytes, bytes] = dict(self.tables[stage, partition])
        common: dict[str, Any] = {"partition": partition, "clock": self.clock}
        lane: Lane
        if stage == CAMERAS_TABLE:
            lane = CameraLane(self.pipeline, stored, **common)
        elif stage == LOCALITIES_TABLE:
            lane = LocalityLane(self.pipeline, stored, endpoints=self.endpoints, **common)
        else:
            lane = SwitchLane(self.pipeline, stored, partitions=self.partitions, **common)
        self.lanes[stage, partition] = lane
        self.places[stage, partition] = {topic: lane.places.get(topic, 0) for topic in READS[stage]}

    def publish(self, topic: str, key: str, value: bytes, partition: int | None = None) -> None:
        own = 0 if topic in ORDERED else crc32(key.encode()) % self.partitions
        self.logs[topic, own if partition is None else partition].append((key, value))

    def settle(self) -> None:
        """Go on until nobody has anything to read or to tell."""
        while any(self.advance(*lane) for lane in list(self.lanes)) or any(
            self.tidy(*lane) for lane in list(self.lanes)
        ):
            pass

    def advance(self, stage: str, partition: int) -> bool:
        """Some messages and a commit of one lane; false when there was nothing to do."""
        lane = self.lanes[stage, partition]
        busy = self.take(stage, partition) or lane.urgent
        if busy:
            self.commit(stage, partition, whole=self.random.random() < 0.5)
        return busy

    def take(self, stage: str, partition: int) -> bool:
        """Some messages for one lane; false when there were none."""
        lane, places = self.lanes[stage, partition], self.places[stage, partition]
        waiting = [topic for topic in places if places[topic] < len(self.logs[topic, partition])]
        self.random.shuffle(waiting)
        for topic in waiting:
            log = self.logs[topic, partition]
            for _ in range(self.random.randint(1, len(log) - places[topic])):
                lane.take(topic, places[topic], *log[places[topic]])
                places[topic] += 1
        return bool(waiting)

    def tidy(self, stage: str, partition: int) -> bool:
        """The commit that comes each second; whether anybody has something to do because of it."""
        before = sum(map(len, self.logs.values()))
        crashed = not self.commit(stage, partition)
        return crashed or sum(map(len, self.logs.values())) > before

    def commit(self, stage: str, partition: int, *, whole: bool = True, crash: str = "") -> bool:
        """Whether it came to its end."""
        if crash:
            return self.carry_out(stage, partition, self.lanes[stage, partition].cut(whole=whole), crash)
        last = self.random.randint(0, 3) if self.random.random() < self.crashes else None
        for n, cut in enumerate(self.cuts(stage, partition, whole=whole)):
            if not self.carry_out(stage, partition, cut, self.random.choice(POINTS) if n == last else ""):
                return False
        return True

    def cuts(self, stage: str, partition: int, *, whole: bool) -> Iterator[Cut]:
        """As a worker does: everything in pieces, between which messages come and the urgent goes."""
        lane = self.lanes[stage, partition]
        if not whole:
            yield lane.cut(whole=False)
            return
        due, size = lane.due(), self.random.randint(1, 3)
        for start in range(0, max(1, len(due.names)), size):
            yield lane.piece(due.names[start : start + size])
            if self.random.random() < 0.3:
                self.take(stage, partition)
            if lane.urgent:
                yield lane.cut(whole=False)
        yield due.closing

    def carry_out(self, stage: str, partition: int, cut: Cut, crash: str) -> bool:
        """Make durable, tell, forget; or end at the point that is named."""
        lane, table = self.lanes[stage, partition], self.tables[stage, partition]
        records = list(cut.records.items())
        kept = (
            0
            if crash == "before durable"
            else self.random.randint(0, len(records))
            if crash == "half durable"
            else None
        )
        table |= dict(records[:kept])
        told = cut.owed
        if crash in POINTS[:3]:
            told = []
        elif crash == "half told":
            told = told[: self.random.randint(0, len(told))]
        for each in told:
            self.publish(each.topic, each.key, each.body, each.partition)
        if crash:
            self.begin(stage, partition)
            return False
        lane.told(cut)
        self.posts += cut.posts
        return True

    def case_events(self) -> list[bytes]:
        return [value for _, value in self.logs[CASE_EVENTS, 0]]

    def dead_letters(self) -> list[bytes]:
        return [value for _, value in self.logs[DEAD_LETTERS, 0]]
