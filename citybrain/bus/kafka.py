"""The Bus of many machines: Kafka, spoken to from one thread of its own, with a bounded buffer before it.

    publish ──► ┌────────┐      ┌──────────┐           waits until a broker has confirmed it, for a bounded time
    offer ────► │ buffer │ ───► │ producer │ ══► Kafka
                └────────┘      └──────────┘           a full buffer refuses what is new: nobody waits, nothing is overtaken

While no broker answers, every request is refused at once, the buffer fills, and what was taken into it stays there; one
question a second finds out when a broker is back.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as NotInTime
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from citybrain.bus.address import KafkaAddress
from citybrain.bus.sending import Sending, Sends
from citybrain.bus.topics import ORDERED, layout, needs_package
from citybrain.clock import Clock, SystemClock
from citybrain.errors import BusAway, UsageError
from citybrain.ports import Message
from citybrain.wire import CASE_EVENTS, COMMANDS

log = logging.getLogger(__name__)

T = TypeVar("T")

ANSWER = timedelta(seconds=5)
"""A request that takes longer counts as failed: who asked may ask again, and a person is not kept waiting."""
_REQUEST_MS = 15_000  # a produce request; longer than an election of a new leader usually takes
_ASK_AGAIN_S = 1.0
_SAY_AGAIN_S = 60.0
_FETCH_MS = 500
_LOOK_S = 0.05  # between two looks at the topics' ends while somebody waits
_FAREWELL_S = 3.0
_FOLLOWED = (COMMANDS, CASE_EVENTS)


class KafkaBus:
    """Safe to share between threads. Offsets told here are Kafka's plus one, so that 0 is before the first message.

    What is read must have one order: one topic of one partition (`commands`, `case-events`, `dead-letters`). Opening it waits for
    no broker: whatever is asked before one answers raises BusAway, as later.
    """

    def __init__(
        self, address: KafkaAddress, *, clock: Clock | None = None, buffer: int = 1000, answer: timedelta = ANSWER
    ) -> None:
        """Raises UsageError when the package is missing or the address's certificates are unreadable."""
        try:
            import aiokafka
            from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError
        except ImportError:
            raise needs_package(address) from None
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it says each second what is said once here
        self._kafka, self._errors = aiokafka, (KafkaError, OSError, TimeoutError)
        self._absences = (NotInTime, OSError, KafkaConnectionError, KafkaTimeoutError)
        self._address, self._clock = address, clock or SystemClock()
        self._client = address.client()
        self._buffer, self._waiting, self._answer_s = buffer, 0, answer.total_seconds()
        self._guard = threading.Lock()
        self._handed: list[Sending] = []
        self._counts = {"refused": 0, "lost": 0, "aways": 0}
        self._away = "it has not answered yet"
        self._ahead: dict[str, deque[Message]] = {}
        self._ends: dict[str, int] = {}
        self._closed = threading.Event()
        self._first, self._loop_has_begun = threading.Event(), threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._turn, name="kafka", daemon=True)
        self._thread.start()
        self._chores = asyncio.run_coroutine_threadsafe(self._run(), self._loop)
        self._chores.add_done_callback(self._ended)
        self._loop_has_begun.wait()
        self._first.wait(self._answer_s)  # a broker that is there has answered by then: nobody need be refused

    def publish(self, topic: str, key: str, value: bytes) -> int:
        """Raises BusAway when no broker has confirmed it in time; it may have arrived all the same."""
        self._refuse_if_away()
        return self._ask(self._confirmed(self._put(topic, key, value))) + 1

    def offer(self, topic: str, key: str, value: bytes) -> None:
        """Raises BusAway when the buffer is full, for what is newer is worth more and nobody waits here; and once it is closed."""
        self._put(topic, key, value, offered=True).add_done_callback(self._offered)

    def read(self, topics: Sequence[str], *, after: int, limit: int = 500) -> list[Message]:
        if len(topics) != 1:
            raise UsageError(f"{self._address}: {', '.join(topics)} have no one order to be read by")
        return self._ask(self._read(topics[0], after, limit))

    def end(self, topic: str) -> int:
        return self._ask(self._end_of(topic))

    def start(self, topic: str) -> int:
        return self._ask(self._start_of(topic))

    def wait(self, timeout: timedelta) -> bool:
        """Looks at the topics that are followed; while no broker answers nothing can be there, and the time is waited out."""
        until = time.monotonic() + timeout.total_seconds()
        while True:
            with suppress(BusAway):
                if self._ask(self._moved(max(0.0, until - time.monotonic())), patience=timeout.total_seconds()):
                    return True
            left = until - time.monotonic()
            if left <= 0 or self._closed.wait(min(left, _ASK_AGAIN_S)):
                return False

    def figures(self) -> Mapping[str, int]:
        """Messages in the buffer, refused because it was full, taken into it but never confirmed; how often brokers went."""
        with self._guard:
            return {
                "waiting": self._waiting,
                "away": bool(self._away),
                "renewed": self._sends.renewed,
                **self._counts,
            }

    def close(self) -> None:
        """What was offered is given some seconds to arrive. Who asks or waits meanwhile is told that there is no bus any more."""
        with self._guard:
            if self._closed.is_set():
                return
            self._closed.set()
        with suppress(NotInTime, *self._errors):
            asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(_FAREWELL_S * 3)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)

    # -- the thread: coming and going -----------------------------------------------------------------------------------

    def _turn(self) -> None:
        """The thread's life; what is still under way at its end is cancelled."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.get_loop().run_forever()

    async def _run(self) -> None:
        """Open the clients as soon as a broker answers, then send what comes and notice when they answer again."""
        self._reading = asyncio.Lock()
        producer = partial(self._kafka.AIOKafkaProducer, request_timeout_ms=_REQUEST_MS, **self._address.producing())
        self._sends = Sends(producer, errors=self._errors)
        self._loop_has_begun.set()
        self._consumer = self._kafka.AIOKafkaConsumer(
            enable_auto_commit=False,
            auto_offset_reset="none",  # a place that is not there any more is asked for anew, never guessed
            request_timeout_ms=_REQUEST_MS,
            **self._client,
        )
        said_at, said = -_SAY_AGAIN_S, ""
        for each in (self._sends, self._consumer):
            while True:
                try:
                    await each.start()
                    break
                except self._errors as error:
                    self._first.set()
                    self._away, now = f"{type(error).__name__}: {error}", self._clock.monotonic()
                    if self._away != said or now - said_at >= _SAY_AGAIN_S:
                        said_at, said = now, self._away
                        log.warning("%s: no broker answers (%s); trying again", self._address, self._away)
                    await asyncio.sleep(_ASK_AGAIN_S)
        pump: asyncio.Task[None] | None = None
        try:
            while True:
                if self._away and await self._is_back() and pump is None:
                    pump = asyncio.create_task(self._sends.run())
                self._first.set()
                await asyncio.sleep(_ASK_AGAIN_S)
        finally:
            if pump is not None:
                pump.cancel()

    def _ended(self, chores: Future[None]) -> None:
        """Nothing but a defect of ours, or closing, ends the thread's work: whoever asks is to hear of it."""
        if not chores.cancelled() and (error := chores.exception()) is not None:
            log.error("%s: the bus has ended", self._address, exc_info=error)
            self._gone(f"it has ended ({type(error).__name__}: {error})")
        self._loop_has_begun.set()
        self._first.set()

    async def _is_back(self) -> bool:
        try:
            async with asyncio.timeout(self._answer_s):
                missing = await self._missing()
        except self._errors as error:
            self._away = f"{type(error).__name__}: {error}".rstrip(": ")
            return False
        if missing:
            self._gone(f"has no topic {missing}; make them: citybrain topics create --bus …")
            return False
        self._away = ""
        log.info("%s answers", self._address)
        return True

    async def _missing(self) -> str:
        """The first topic that is not there. A message to it would make it, cut as the brokers like; so none is sent before."""
        found = (await self._sends.producer.client.fetch_all_metadata()).topics()
        return next((name for each in layout(1) if (name := self._address.topic(each.name)) not in found), "")

    def _gone(self, why: str) -> None:
        """From now on everybody is refused, until a broker answers again."""
        with self._guard:
            was, self._away = self._away, why
            self._counts["aways"] += not was
        if was != why:
            log.error("%s: %s", self._address, why)

    async def _stop(self) -> None:
        until = time.monotonic() + _FAREWELL_S
        while self._waiting and not self._away and time.monotonic() < until:  # noqa: ASYNC110  # the pump has its turn
            await asyncio.sleep(0.01)
        self._away = "it is closed"
        self._chores.cancel()
        for each in (self._sends, self._consumer):
            with suppress(TimeoutError, *self._errors):
                async with asyncio.timeout(_FAREWELL_S):
                    await each.stop()

    # -- the thread: sending ----------------------------------------------------------------------------------------------

    def _put(self, topic: str, key: str, value: bytes, *, offered: bool = False) -> Future[int]:
        """Queue a message behind all that were put before; the future has Kafka's offset. Raises BusAway when it cannot be."""
        at_ms = int(self._clock.now().timestamp() * 1000)
        sending = Sending(self._address.topic(topic), key, value, at_ms, offered)
        with self._guard:
            self._refuse_if_closed()
            if offered and self._waiting >= self._buffer:
                self._counts["refused"] += 1
                raise BusAway(f"{self._address}: {self._waiting} messages wait for a broker, {topic} takes no more")
            self._waiting += offered
            if not self._handed:  # the thread is woken once for all that is there by the time it looks
                self._loop.call_soon_threadsafe(self._collect)
            self._handed.append(sending)
        return sending.sent

    def _collect(self) -> None:
        with self._guard:
            handed, self._handed = self._handed, []
        for each in handed:
            self._sends.put(each)

    async def _confirmed(self, sent: Future[int]) -> int:
        return await asyncio.wrap_future(sent)

    def _offered(self, sent: Future[int]) -> None:
        lost = sent.cancelled() or sent.exception() is not None
        with self._guard:
            self._waiting -= 1
            self._counts["lost"] += lost
        if lost and not sent.cancelled():
            log.error("%s: a message that was taken is lost (%s)", self._address, sent.exception())

    # -- the thread: reading ----------------------------------------------------------------------------------------------

    async def _partition(self, topic: str) -> Any:
        """The topic's one partition, assigned to the consumer. Raises UsageError when it has several."""
        partition = self._kafka.TopicPartition(self._address.topic(topic), 0)
        if partition in self._consumer.assignment():
            return partition
        known = await self._sends.producer.partitions_for(partition.topic)
        if len(known) != 1:
            raise UsageError(f"{partition.topic} has {len(known)} partitions and therefore no one order to read it by")
        self._consumer.assign([*self._consumer.assignment(), partition])
        self._ahead.clear()
        for each in self._consumer.assignment():
            self._consumer.seek(each, 0)
        self._consumer.pause(*self._consumer.assignment())  # only what is asked for is fetched
        return partition

    async def _end_of(self, topic: str) -> int:
        async with self._reading:
            partition = await self._partition(topic)
            return int((await self._consumer.end_offsets([partition]))[partition])

    async def _start_of(self, topic: str) -> int:
        async with self._reading:
            partition = await self._partition(topic)
            first = int((await self._consumer.beginning_offsets([partition]))[partition])
            last = int((await self._consumer.end_offsets([partition]))[partition])
            return first + 1 if last > first else 0

    async def _read(self, topic: str, after: int, limit: int) -> list[Message]:
        async with self._reading:
            partition = await self._partition(topic)
            ahead = self._ahead.setdefault(topic, deque())
            if not ahead or ahead[0].offset != after + 1:
                ahead.clear()
                end = int((await self._consumer.end_offsets([partition]))[partition])
                if after >= end:
                    return []
                first = int((await self._consumer.beginning_offsets([partition]))[partition])
                if first >= end:
                    return []
                await self._fetch(partition, topic, ahead, max(after, first))
            return [ahead.popleft() for _ in range(min(limit, len(ahead)))]

    async def _fetch(self, partition: Any, topic: str, ahead: deque[Message], place: int) -> None:
        self._consumer.seek(partition, place)
        self._consumer.resume(partition)
        try:
            while not ahead:
                found = await self._consumer.getmany(partition, timeout_ms=_FETCH_MS)
                for each in found.get(partition, ()):
                    at = datetime.fromtimestamp(each.timestamp / 1000, UTC)
                    ahead.append(Message(each.offset + 1, topic, (each.key or b"").decode(), each.value or b"", at))
        finally:
            self._consumer.pause(partition)

    async def _moved(self, seconds: float) -> bool:
        """Whether a topic that is followed has another end than when it was last waited for."""
        until = time.monotonic() + seconds
        while True:
            async with self._reading:
                partitions = [await self._partition(topic) for topic in _FOLLOWED]
                found = await self._consumer.end_offsets(partitions)
            ends = {self._address.name_of(each.topic): int(end) for each, end in found.items()}
            if ends != self._ends:
                self._ends = ends
                return True
            left = until - time.monotonic()
            if left <= 0:
                return False
            await asyncio.sleep(min(_LOOK_S, left))

    # -- asking -----------------------------------------------------------------------------------------------------------

    def _refuse_if_closed(self) -> None:
        if self._closed.is_set():
            raise BusAway(f"{self._address}: it is closed")

    def _refuse_if_away(self) -> None:
        self._refuse_if_closed()
        if self._away:
            raise BusAway(f"{self._address}: {self._away}")

    def _ask(self, work: Coroutine[Any, Any, T], *, patience: float = 0.0) -> T:
        """Raises BusAway when there is no answer in time, and at once while no broker is there."""
        try:
            with self._guard:  # nothing is asked of a loop that has begun to end
                self._refuse_if_away()
                asked = asyncio.run_coroutine_threadsafe(work, self._loop)
        except BusAway:
            work.close()
            raise
        try:
            return asked.result(self._answer_s + patience)
        except (CancelledError, NotInTime, *self._errors) as error:
            asked.cancel()
            self._refuse_if_closed()
            why = f"{type(error).__name__} {error}".rstrip()
            if isinstance(error, self._absences):  # else it is about this request, and others may be answered
                self._gone(f"no answer within {self._answer_s:g} s ({why})")
            raise BusAway(f"{self._address}: {why}") from None


assert set(_FOLLOWED) <= set(ORDERED)  # noqa: S101  # what is waited for can be read
