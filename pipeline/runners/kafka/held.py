"""The partitions that a worker has just now: of each its lane, where reading it goes on, and what is not acknowledged yet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from faust.types import TP, EventT

from citybrain.bus.address import KafkaAddress
from pipeline.runners.kafka.app import SOURCES
from pipeline.runners.kafka.lanes import Lane


@dataclass(slots=True)
class Held:
    """A lane with what is not acknowledged yet. `expected` is the next offset of each of its topics, None while nothing of it
    was ever applied."""

    stage: str
    partition: int
    lane: Lane
    expected: dict[str, int | None]
    events: list[EventT[Any]] = field(default_factory=list)
    committing: asyncio.Lock = field(default_factory=asyncio.Lock)
    committer: asyncio.Task[None] | None = None
    whole_due: bool = False
    """Everything is to be committed, not only what is urgent."""
    closed: bool = False
    configured: str | None = None
    """The revision that the partition was told of by this worker."""
    done: dict[str, int] = field(default_factory=dict)
    """Of each topic the offset below which everything is durable and told."""
    sought: set[str] = field(default_factory=set)
    """The topics whose next message is missing, and whose reading is being put back to it."""

    @classmethod
    def begin(cls, stage: str, partition: int, lane: Lane) -> Held:
        """Where the lane's own progress says that it goes on."""
        held = cls(stage, partition, lane, {topic: lane.places.get(topic) for topic in SOURCES[stage]})
        held.done = {} if lane.urgent else dict(lane.places)  # what is durable may still be owed
        return held


class Holding:
    """By stage and partition. Reading begins where it says, whatever the group's committed offsets say."""

    def __init__(self, address: KafkaAddress) -> None:
        self._address = address
        self._held: dict[tuple[str, int], Held] = {}

    def __iter__(self) -> Iterator[Held]:
        return iter(list(self._held.values()))

    def get(self, stage: str, partition: int) -> Held | None:
        return self._held.get((stage, partition))

    def put(self, held: Held) -> None:
        self._held[held.stage, held.partition] = held

    def drop(self, stage: str) -> None:
        """Know nothing any more of a stage's partitions."""
        for held in self:
            if held.stage == stage:
                held.closed = True
                del self._held[held.stage, held.partition]

    def take_all(self) -> list[Held]:
        """All of them, known no more."""
        taken = list(self)
        self._held.clear()
        return taken

    def places(self) -> Mapping[TP, int | None]:
        """The next offset of each partition of each topic that is read here."""
        return {
            TP(self._address.topic(topic), held.partition): offset
            for held in self
            for topic, offset in held.expected.items()
        }

    def began(self, tp: TP, offset: int) -> None:
        """Reading of a partition begins there."""
        topic = self._address.name_of(tp.topic)
        for held in self:
            if held.partition == tp.partition and topic in held.expected and held.expected[topic] is None:
                held.expected[topic] = offset
