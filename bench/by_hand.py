"""Stage one on Kafka without Faust: the pipeline's own lanes between a plain consumer and a plain producer, no tables, no guards.

python -m bench.by_hand CONFIG      reads `detections` of the bus that the environment says, until told to stop

It writes what a worker writes (the records to the changelog, the episodes to their topic) and commits in the same rhythm. What
it lacks: recovery, standbys, rebalances, and every check that a message was not passed over.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvloop

from citybrain import assembly
from citybrain.bus.address import KafkaAddress
from citybrain.bus.topics import CAMERAS_TABLE, changelog
from citybrain.clock import Clock, SystemClock
from citybrain.deployment import Deployment
from citybrain.wire import DETECTIONS
from pipeline.flow import Pipeline
from pipeline.runners.kafka.camera_lane import CameraLane

GROUP = "by-hand"
_EVERY = timedelta(seconds=1)


class ByHand:
    """One reader of all partitions."""

    def __init__(self, address: KafkaAddress, pipeline: Pipeline, *, clock: Clock) -> None:
        self._address, self._pipeline, self._clock = address, pipeline, clock
        self._lanes: dict[int, CameraLane] = {}

    async def run(self, stop: asyncio.Event) -> None:
        from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

        consumer = AIOKafkaConsumer(
            self._address.topic(DETECTIONS),
            group_id=self._address.topic(GROUP),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            **self._address.client(),
        )
        self._producer = AIOKafkaProducer(**self._address.producing())
        await consumer.start()
        await self._producer.start()
        whole_at = self._clock.monotonic() + _EVERY.total_seconds()
        while not stop.is_set():
            for partition, messages in (await consumer.getmany(timeout_ms=100)).items():
                lane = self._lane(partition.partition)
                for message in messages:
                    lane.take(DETECTIONS, message.offset, message.key.decode(), message.value)
            whole = self._clock.monotonic() >= whole_at
            for lane in self._lanes.values():
                if whole or lane.urgent:
                    await self._commit(lane, whole=whole)
            if whole:
                whole_at = self._clock.monotonic() + _EVERY.total_seconds()
                await consumer.commit()
        await consumer.stop()
        await self._producer.stop()

    async def _commit(self, lane: CameraLane, *, whole: bool) -> None:
        cut = lane.cut(whole=whole)
        table = self._address.topic(changelog(CAMERAS_TABLE))
        await self._all([await self._producer.send(table, value, key=key) for key, value in cut.records.items()])
        told = [
            await self._producer.send(self._address.topic(each.topic), each.body, key=each.key.encode())
            for each in cut.owed
        ]
        await self._all(told)
        lane.told(cut)

    @staticmethod
    async def _all(sent: list[Any]) -> None:
        await asyncio.gather(*sent)

    def _lane(self, partition: int) -> CameraLane:
        if partition not in self._lanes:
            self._lanes[partition] = CameraLane(self._pipeline, {}, partition=partition, clock=self._clock)
        return self._lanes[partition]


async def main(config: Path) -> None:
    bus = Deployment.told(config).bus
    assert bus is not None, "the environment names no bus"
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    by_hand = ByHand(KafkaAddress.parse(bus), assembly.load(config).pipeline(), clock=SystemClock())
    await by_hand.run(stop)


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
