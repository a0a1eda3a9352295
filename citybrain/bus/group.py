"""A process's place among those that share out the partitions of a compacted topic: Kafka's coordinator says who is there.

    coordinator ── a round ──► one of us shares out ──► assigned(partitions, generation) ─► read from where each was left
                                                        heard(…) of each message, caught_up once a partition was read whole

Rounds are eager in Kafka's clients: everything is taken away and given again. Nobody is told of the taking away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any, Protocol

import aiokafka
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.errors import IllegalStateError, KafkaError

from citybrain.bus.address import KafkaAddress
from citybrain.clock import Clock

log = logging.getLogger(__name__)

SESSION_MS = 6000
"""A process that says nothing for so long is dead to the others; the least that brokers allow unless told otherwise."""

HEARTBEAT_MS = 500
_REQUEST_MS = 10_000  # longer than a round may take
_POLL_MS = 200
_ASK_EVERY_S = 2.0
_ANSWER_S = 3.0
_AGAIN_S = 1.0
_SAY_AGAIN_S = 60.0
_READ_WITHIN_S = 3.0
"""After so long without a message a partition counts as read: the end that a broker tells may lie beyond the last message."""

_FAULTS = (KafkaError, OSError, TimeoutError)


class Follows(Protocol):
    """Who takes part. Called in the event loop; must not block."""

    def says(self) -> bytes:
        """What the others are to know of us when a round begins."""
        ...

    def shared_out(self, partitions: Collection[int], members: Mapping[str, bytes]) -> Mapping[str, Collection[int]]:
        """The partitions of each member, by what each says. One of us is asked, for all."""
        ...

    def assigned(self, partitions: Collection[int], *, generation: int) -> Mapping[int, int]:
        """These are ours from now on; from which offset each is to be read on."""
        ...

    def heard(self, partition: int, offset: int, key: str, value: bytes | None) -> None: ...

    def caught_up(self, partition: int) -> None: ...


class Group:
    """Takes part until cancelled, whatever becomes of the brokers.

    `member` is a name that a process keeps over restarts: one that is back within the session gets what it had without a
    round; but it does not say goodbye either. `joined` is told who we are in the group, after each round; nobody after goodbye.
    """

    def __init__(
        self,
        address: KafkaAddress,
        topic: str,
        *,
        name: str,
        follows: Follows,
        clock: Clock,
        member: str | None = None,
        joined: Callable[[str], None] = lambda _member: None,
    ) -> None:
        self._address, self._topic, self._name, self._member = address, address.topic(topic), name, member
        self._follows, self._clock, self._joined = follows, clock, joined
        self._assigned_s = 0.0
        self._unread: set[int] = set()
        self._away_since_s: float | None = None
        self._said, self._said_s = "", 0.0
        self.rounds = 0

    @property
    def away_s(self) -> float:
        """For how long no broker has answered; 0 while one does."""
        return 0.0 if self._away_since_s is None else self._clock.monotonic() - self._away_since_s

    async def run(self) -> None:
        """Until cancelled; then the others are told, and the partitions are theirs within a second or two."""
        self._away_since_s = self._clock.monotonic()
        while True:
            try:
                await self._take_part()
            except _FAULTS as error:
                self._gone(error)
            await asyncio.sleep(_AGAIN_S)

    async def _take_part(self) -> None:
        consumer = aiokafka.AIOKafkaConsumer(
            group_id=self._address.topic(self._name),
            group_instance_id=self._member,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            rebalance_timeout_ms=SESSION_MS,
            max_poll_interval_ms=3_600_000,  # we poll several times a second; a loop that stands still misses its heartbeats
            request_timeout_ms=_REQUEST_MS,
            fetch_max_wait_ms=_POLL_MS,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            partition_assignment_strategy=(_Assignor(self._follows),),
            **self._address.client(),
        )
        asking: asyncio.Task[None] | None = None
        try:
            await consumer.start()
            if self._topic not in await consumer.topics():
                raise KafkaError(f"there is no topic {self._topic}; make it: citybrain topics create --bus …")
            consumer.subscribe([self._topic], listener=_Listener(self, consumer))
            self._back()
            asking = asyncio.create_task(self._ask(consumer))
            while True:
                await self._read(consumer)
        finally:
            if asking is not None:
                asking.cancel()
            with suppress(TimeoutError, *_FAULTS):
                async with asyncio.timeout(_ANSWER_S):
                    await consumer.stop()
                    self._joined("")

    async def _read(self, consumer: Any) -> None:
        found = await consumer.getmany(timeout_ms=_POLL_MS)
        for partition, messages in found.items():
            self._assigned_s = self._clock.monotonic()
            for each in messages:
                key = (each.key or b"").decode(errors="replace")
                self._follows.heard(partition.partition, each.offset, key, each.value or None)
        for number in list(self._unread):
            with suppress(IllegalStateError, AssertionError):  # a round has begun meanwhile
                if await self._is_read(consumer, aiokafka.TopicPartition(self._topic, number)):
                    self._unread.discard(number)
                    self._follows.caught_up(number)

    async def _is_read(self, consumer: Any, partition: Any) -> bool:
        end = consumer.highwater(partition)
        if end is not None and await consumer.position(partition) >= end:
            return True
        return end is not None and self._clock.monotonic() - self._assigned_s > _READ_WITHIN_S

    def assigned(self, consumer: Any, partitions: Iterable[Any]) -> None:
        """A round is over."""
        coordinator = consumer._coordinator  # noqa: SLF001  # told nowhere else
        generation: int = coordinator.generation
        self._joined(coordinator.member_id)
        places = self._follows.assigned([each.partition for each in partitions], generation=generation)
        for number, place in places.items():
            consumer.seek(aiokafka.TopicPartition(self._topic, number), place)
        self._unread, self._assigned_s = set(places), self._clock.monotonic()
        self.rounds += 1

    async def _ask(self, consumer: Any) -> None:
        """Whether a broker is there: the client itself tells nobody."""
        while True:
            try:
                async with asyncio.timeout(_ANSWER_S):
                    await consumer.end_offsets([aiokafka.TopicPartition(self._topic, 0)])
            except _FAULTS as error:
                self._gone(error)
            else:
                self._back()
            await asyncio.sleep(_ASK_EVERY_S)

    def _gone(self, error: BaseException) -> None:
        now_s, why = self._clock.monotonic(), str(error) or type(error).__name__
        if self._away_since_s is None or why != self._said or now_s - self._said_s >= _SAY_AGAIN_S:
            log.warning("%s: %s: no answer (%s)", self._address, self._name, why)
            self._said, self._said_s = why, now_s
        if self._away_since_s is None:
            self._away_since_s = now_s

    def _back(self) -> None:
        if self._away_since_s is not None and self.rounds:
            log.info("%s: %s: it answers again, after %.0f s", self._address, self._name, self.away_s)
        self._away_since_s = None


class _Listener(aiokafka.ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka's, untyped here
    def __init__(self, group: Group, consumer: Any) -> None:
        self._group, self._consumer = group, consumer

    def on_partitions_revoked(self, revoked: Collection[Any]) -> None:
        """Nobody is told: most of them come back a moment later."""

    def on_partitions_assigned(self, assigned: Collection[Any]) -> None:
        self._group.assigned(self._consumer, assigned)


class _Assignor(AbstractPartitionAssignor):  # type: ignore[misc]  # the same
    """Kafka's socket for whoever shares out, filled by `Follows`; an instance, for each process says something of its own."""

    def __init__(self, follows: Follows) -> None:
        self._follows = follows

    @property
    def name(self) -> str:
        return "citybrain-1"

    def metadata(self, topics: Iterable[str]) -> Any:
        return ConsumerProtocolMemberMetadata(0, list(topics), self._follows.says())

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        (topic,) = {topic for each in members.values() for topic in each.subscription}
        partitions = sorted(cluster.partitions_for_topic(topic) or ())
        shares = self._follows.shared_out(partitions, {name: bytes(each.user_data) for name, each in members.items()})
        return {
            name: ConsumerProtocolMemberAssignment(0, [(topic, sorted(mine))], b"") for name, mine in shares.items()
        }

    def on_assignment(self, assignment: Any) -> None:
        """The listener is told."""
