"""Where reading goes on: what the state says, not what the group's committed offsets or the client's mood say.

Faust seeks to the committed offsets after each rebalance, and has been seen to begin at a log's end instead. Here every
partition begins at the offset that its own table says is next, and the first message that comes must be that one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Producer, Transport
from faust.types import TP

from citybrain.bus.address import KafkaAddress

Places = Callable[[], Mapping[TP, int | None]]
"""The next offset of each partition that is this worker's; None when nothing was ever applied there."""
Began = Callable[[TP, int], None]
"""Told where reading of a partition begins."""


class PromptThread(AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust's classes are untyped
    """Faust's thread around its client, whose reads wait at the broker as long as its consumer says: Faust has no setting."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        client = super()._create_worker_consumer(transport)
        wait_s = self.consumer.fetch_wait.total_seconds()
        client._fetch_max_wait_ms = round(wait_s * 1000)  # noqa: SLF001  # read when the client starts
        return client


class PlacedConsumer(Consumer):  # type: ignore[misc]  # Faust's classes are untyped
    """Faust's consumer, which after its own seek is put where the state says."""

    places: Places
    began: Began
    fetch_wait: timedelta

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return PromptThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        await super().perform_seek()
        places = {tp: offset for tp, offset in self.places().items() if tp in self.assignment()}
        fresh = [tp for tp, offset in places.items() if offset is None]
        begin = await self.earliest_offsets(*fresh) if fresh else {}
        for tp, offset in places.items():
            target = begin.get(tp, 0) if offset is None else offset
            await self.seek(tp, target)
            self._committed_offset[tp] = target or None
            self.began(tp, target)


class SteadyProducer(Producer):  # type: ignore[misc]
    """Faust's producer, with idempotence where the broker knows it: a retry writes nothing twice, in no other order."""

    idempotent: bool

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": self.idempotent}


def transport(url: Any, app: Any, places: Places, began: Began, address: KafkaAddress) -> Transport:
    """A transport of Faust's with these two."""
    told = {"places": staticmethod(places), "began": staticmethod(began), "fetch_wait": address.fetch_wait}
    consumer = type("Consumer", (PlacedConsumer,), told)
    producer = type("Producer", (SteadyProducer,), {"idempotent": address.idempotent})
    made: Transport = type("Placed", (Transport,), {"Consumer": consumer, "Producer": producer})(url, app)
    return made
