"""How fast a reader of a log goes on, seen from outside: by the offsets that it commits, and what its process takes for them."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from bench.processes import memory_of
from citybrain.bus.address import KafkaAddress
from citybrain.errors import Transient

_TICK = os.sysconf("SC_CLK_TCK")
_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Sample:
    """So many messages applied and seconds of processor used, at that second."""

    at_s: float
    applied: int
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Pace:
    """`each_us`: processor time of the reader's process for one message, user and system."""

    messages_s: float
    each_us: float
    memory_mb: float

    def told(self) -> dict[str, float]:
        return {
            "messages_s": round(self.messages_s),
            "cpu_us_each": round(self.each_us),
            "memory_mb": round(self.memory_mb),
        }


def pace(samples: Sequence[Sample], *, of: int, memory_mb: float = 0.0) -> Pace:
    """Between a tenth and the end, taken where the count moved: a reader commits now and then.

    Raises Transient when it moved fewer than twice.
    """
    moved = [
        later for earlier, later in pairwise(samples) if later.applied > earlier.applied and later.applied >= of / 10
    ]
    if len(moved) < 2:
        raise Transient(f"{of} messages were applied in {len(moved)} steps: too few to tell a pace")
    first, last = moved[0], moved[-1]
    count, seconds = last.applied - first.applied, last.at_s - first.at_s
    return Pace(count / seconds, (last.cpu_s - first.cpu_s) / count * 1e6, memory_mb)


def watch(applied: Callable[[], int], pid: Callable[[], int | None], *, of: int, within_s: float) -> Pace:
    """Sample until all are applied. Raises Transient when that does not come in time."""
    samples: list[Sample] = []
    until_s = time.monotonic() + within_s
    while not samples or samples[-1].applied < of:
        if time.monotonic() > until_s:
            raise Transient(f"{samples[-1].applied if samples else 0} of {of} messages applied after {within_s:.0f} s")
        if (process := pid()) is not None:
            samples.append(Sample(time.monotonic(), applied(), cpu_of(process)))
        time.sleep(_EVERY_S)
    process = pid()
    return pace(samples, of=of, memory_mb=0.0 if process is None else memory_of(process) / 1e6)


def cpu_of(pid: int) -> float:
    """Seconds of processor time that a process has used; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK


class Committed:
    """The sum of a group's committed offsets of one topic, which begins at 0."""

    def __init__(self, address: KafkaAddress, *, group: str, topic: str) -> None:
        self._address, self._group, self._topic = address, group, address.topic(topic)
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._start())

    def __call__(self) -> int:
        return sum(self.by_partition().values())

    def by_partition(self) -> dict[int, int]:
        return self._loop.run_until_complete(self._ask())

    def lag(self) -> int:
        """Messages of the topic that are not committed yet."""
        ends = self._loop.run_until_complete(self._consumer.end_offsets(self._partitions))
        return int(sum(ends.values())) - self()

    def close(self) -> None:
        self._loop.run_until_complete(self._consumer.stop())
        self._loop.close()

    async def _start(self) -> None:
        from aiokafka import AIOKafkaConsumer, TopicPartition

        # Its own group would join: partitions are assigned by hand, and the group is only asked about.
        self._consumer = AIOKafkaConsumer(
            group_id=self._address.topic(self._group), enable_auto_commit=False, **self._address.client()
        )
        await self._consumer.start()
        await self._consumer._client.force_metadata_update()  # noqa: SLF001  # no public way to learn of a topic
        found = sorted(self._consumer.partitions_for_topic(self._topic) or ())
        self._partitions = [TopicPartition(self._topic, number) for number in found]
        self._consumer.assign(self._partitions)

    async def _ask(self) -> dict[int, int]:
        return {each.partition: await self._consumer.committed(each) or 0 for each in self._partitions}


def offset_of(database: Path) -> int:
    """How far the embedded pipeline is in its log."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            row = connection.execute("SELECT offset FROM offsets WHERE reader = 'pipeline'").fetchone()
        except sqlite3.OperationalError:
            return 0
    return int(row[0]) if row else 0
