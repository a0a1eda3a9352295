"""What a topic that is cut into parts still holds of a time: all its parts, read side by side and put in order of time again."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from citybrain.bus.address import KafkaAddress
from citybrain.bus.topics import needs_package
from citybrain.errors import BusAway, UsageError
from citybrain.ports import Message

SLACK = timedelta(minutes=10)
"""A message may lie behind others that are younger: it waited for a broker meanwhile, or for its own clock."""
_EVER = datetime.min.replace(tzinfo=UTC)
_ANSWER_S = 15.0
_FETCH_MS = 500
_WAIT_MS = 50  # parts that are at their end must not hold up the others
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Stretch:
    """Which messages of a topic are wanted: from shortly before `since` until shortly after `until`, of one key or of all."""

    topic: str
    since: datetime | None = None
    until: datetime | None = None
    key: str | None = None


def read_stretch(address: KafkaAddress, wanted: Stretch) -> Generator[Message, None, None]:
    """What is there of it now, in order of the instants at which it was logged; what is of one key, as it came.

    Raises BusAway when no broker answers, UsageError when there is no such topic.
    """
    loop = asyncio.new_event_loop()
    messages = _read(address, wanted)
    try:
        while page := loop.run_until_complete(_page(messages)):
            yield from page
    finally:
        loop.run_until_complete(messages.aclose())
        loop.close()


async def _page(messages: AsyncGenerator[Message, None]) -> list[Message]:
    found: list[Message] = []
    async for message in messages:
        found.append(message)
        if len(found) == _PAGE:
            break
    return found


async def _read(address: KafkaAddress, wanted: Stretch) -> AsyncGenerator[Message, None]:
    try:
        from aiokafka import AIOKafkaConsumer
        from aiokafka.errors import KafkaError
    except ImportError:
        raise needs_package(address) from None
    consumer = AIOKafkaConsumer(
        enable_auto_commit=False,
        auto_offset_reset="earliest",  # what is removed while it is read is passed over
        fetch_max_wait_ms=_WAIT_MS,
        **address.client(),
    )
    try:
        async with asyncio.timeout(_ANSWER_S):
            await consumer.start()
            ends = await _ends(consumer, address, wanted)
        first = _EVER if wanted.since is None else wanted.since - SLACK
        last = None if wanted.until is None else wanted.until + SLACK
        async for message in _merged(_Parts(consumer, ends, wanted.topic, last)):
            if message.logged_at >= first and wanted.key in (None, message.key):
                yield message
    except (KafkaError, OSError, TimeoutError) as error:
        raise BusAway(f"{address}: {type(error).__name__} {error}".rstrip()) from None
    finally:
        with suppress(KafkaError, OSError):
            await consumer.stop()


async def _ends(consumer: Any, address: KafkaAddress, wanted: Stretch) -> dict[Any, int]:
    """Where reading of each partition ends; the consumer is put where it begins: not after what is wanted, and not much before."""
    from aiokafka import TopicPartition
    from aiokafka.partitioner import DefaultPartitioner

    name = address.topic(wanted.topic)
    if name not in await consumer.topics():
        raise UsageError(f"{address} has no topic {name}; make them: citybrain topics create --bus …")
    numbers = sorted(consumer.partitions_for_topic(name))
    if wanted.key is not None:
        numbers = [DefaultPartitioner()(wanted.key.encode(), numbers, numbers)]
    partitions = [TopicPartition(name, number) for number in numbers]
    consumer.assign(partitions)
    begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    if wanted.since is not None:
        at_ms = int((wanted.since - SLACK).timestamp() * 1000)
        found = await consumer.offsets_for_times(dict.fromkeys(partitions, at_ms))
        begins |= {each: ends[each] if found.get(each) is None else found[each].offset for each in partitions}
    for partition in partitions:
        consumer.seek(partition, begins[partition])
    return {partition: end for partition, end in ends.items() if begins[partition] < end}


@dataclass(slots=True)
class _Parts:
    """The partitions as far as they were read. One is done when it is at its end, or has a message from `last` on."""

    consumer: Any
    ends: dict[Any, int]
    topic: str
    last: datetime | None
    ahead: dict[Any, deque[Message]] = field(init=False)

    def __post_init__(self) -> None:
        self.ahead = {partition: deque() for partition in self.ends}

    async def fetch(self, wanting: Iterable[Any]) -> None:
        """The next messages of each of these; none where there are no more."""
        async with asyncio.timeout(_ANSWER_S):
            while missing := [each for each in wanting if not self.ahead[each] and await self._goes_on(each)]:
                found = await self.consumer.getmany(*missing, timeout_ms=_FETCH_MS)
                for partition, records in found.items():
                    self._take(partition, records)

    async def _goes_on(self, partition: Any) -> bool:
        return bool(await self.consumer.position(partition) < self.ends[partition])

    def _take(self, partition: Any, records: Iterable[Any]) -> None:
        for each in records:
            at = datetime.fromtimestamp(each.timestamp / 1000, UTC)
            if self.last is not None and at >= self.last:
                self.ends[partition] = min(self.ends[partition], each.offset)
            if each.offset < self.ends[partition]:
                key = (each.key or b"").decode("utf-8", "replace")
                self.ahead[partition].append(Message(each.offset + 1, self.topic, key, each.value or b"", at))


async def _merged(parts: _Parts) -> AsyncIterator[Message]:
    """The oldest of what comes next in each partition, again and again."""
    heads: list[tuple[datetime, int, Any]] = []
    wanting = set(parts.ends)
    while wanting or heads:
        if not wanting:
            _, _, partition = heapq.heappop(heads)
            yield parts.ahead[partition].popleft()
            wanting = {partition}
        await parts.fetch(wanting)
        for partition in wanting:
            if parts.ahead[partition]:
                heapq.heappush(heads, (parts.ahead[partition][0].logged_at, partition.partition, partition))
        wanting = set()
