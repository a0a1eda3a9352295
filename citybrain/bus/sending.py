"""The way of messages to Kafka: one after the other, each until a broker has it, by a producer that is replaced when it is spent.

    put ──► queue ──► send ──► under way ──► confirmed
                        ▲          │
                        └── again ◄┘   the producer is spent: brokers refuse its numbers, or it gave up waiting

An idempotent producer numbers its messages; brokers that do not know the number before (their disk is another, or they forgot it
after a day) refuse all that it will ever send. Then another takes over what is under way, in the same order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

log = logging.getLogger(__name__)

_ASK_AGAIN_S = 1.0


@dataclass(slots=True, eq=False)
class Sending:
    """One message on its way. `offered`: nobody waits for it, so it is tried until it is taken."""

    topic: str
    key: str
    value: bytes
    at_ms: int
    offered: bool
    sent: Future[int] = field(default_factory=Future)
    """Kafka's offset, once a broker has it."""

    def fail(self, error: BaseException) -> None:
        if self.sent.set_running_or_notify_cancel():
            self.sent.set_exception(error)


class Sends:
    """Lives in one loop. `make` makes a producer, which is started here; `errors` are those that any of its calls may raise."""

    def __init__(self, make: Callable[[], Any], *, errors: tuple[type[Exception], ...]) -> None:
        from aiokafka import errors as kafka

        self._make, self._errors = make, errors
        self._spent_by = (
            kafka.OutOfOrderSequenceNumber,
            kafka.UnknownProducerId,
            kafka.InvalidProducerIdMapping,
            kafka.ProducerFenced,
            kafka.ProducerClosed,
        )
        self._no_room = kafka.KafkaTimeoutError
        self._queue: asyncio.Queue[Sending] = asyncio.Queue()
        self._under_way: dict[Sending, None] = {}
        self._spent = asyncio.Event()
        self.producer: Any = None
        self.renewed = 0

    async def start(self) -> None:
        """Raises when no broker answers; it may be called again."""
        if self.producer is None:
            producer = self._make()
            try:
                await producer.start()
            except BaseException:
                with suppress(*self._errors):
                    await producer.stop()
                raise
            self.producer = producer

    def put(self, sending: Sending) -> None:
        """Behind all that were put before."""
        self._queue.put_nowait(sending)

    async def run(self) -> None:
        """One after the other: sends that wait for room side by side would overtake each other."""
        taking: asyncio.Task[Sending] | None = None
        spent = asyncio.create_task(self._spent.wait())
        try:
            while True:
                taking = taking or asyncio.create_task(self._queue.get())
                await asyncio.wait([taking, spent], return_when=asyncio.FIRST_COMPLETED)
                if spent.done():
                    await self._renew()
                    spent = asyncio.create_task(self._spent.wait())
                elif taking.done():
                    await self._send(taking.result())
                    taking = None
                    while not (self._queue.empty() or self._spent.is_set()):  # without a task for each
                        await self._send(self._queue.get_nowait())
        finally:
            spent.cancel()
            if taking is not None:
                taking.cancel()

    async def stop(self) -> None:
        if self.producer is not None:
            await self.producer.stop()

    async def _send(self, sending: Sending) -> None:
        while not sending.sent.cancelled():  # else who published it has given up
            try:
                arriving = await self.producer.send(
                    sending.topic, sending.value, key=sending.key.encode(), timestamp_ms=sending.at_ms
                )
            except self._no_room as error:  # what was sent before is not confirmed
                if not sending.offered:
                    sending.fail(error)
                    return
                if self._spent.is_set():
                    self._under_way[sending] = None
                    return
            except self._errors as error:
                sending.fail(error)
                return
            else:
                self._under_way[sending] = None
                arriving.add_done_callback(partial(self._arrived, sending))
                return

    def _arrived(self, sending: Sending, arriving: asyncio.Future[Any]) -> None:
        error = asyncio.CancelledError() if arriving.cancelled() else arriving.exception()
        if error is None:
            del self._under_way[sending]
            if sending.sent.set_running_or_notify_cancel():
                sending.sent.set_result(int(arriving.result().offset))
        elif isinstance(error, self._spent_by) or (sending.offered and getattr(error, "retriable", False)):
            if not self._spent.is_set():
                log.warning("a producer is spent (%s: %s); another takes over", type(error).__name__, error)
            self._spent.set()
        else:
            del self._under_way[sending]
            sending.fail(ConnectionError("the producer was closed") if arriving.cancelled() else error)

    async def _renew(self) -> None:
        """What the spent producer has under way ends first, one way or the other; what did not arrive goes by the new one."""
        with suppress(*self._errors):
            await self.producer.stop()
        await asyncio.sleep(0)  # what arrived last is noted
        again, self._under_way = list(self._under_way), {}
        self.renewed += 1
        producer = self._make()
        while True:
            try:
                await producer.start()
                break
            except self._errors:
                await asyncio.sleep(_ASK_AGAIN_S)
        self.producer = producer
        self._spent.clear()
        for sending in again:
            await self._send(sending)
