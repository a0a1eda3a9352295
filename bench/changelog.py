"""What the pipeline's tables hold, read from their changelogs as a worker without a disk would read them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from citybrain.bus.address import KafkaAddress
from citybrain.bus.topics import CAMERAS_TABLE, LOCALITIES_TABLE, changelog
from pipeline.runners.figures import Sums
from pipeline.runners.kafka.records import name_of, read_record
from pipeline.state import read_camera, read_locality


def sums(address: KafkaAddress, scenes: Iterable[str]) -> dict[str, Any]:
    """The ledger and its balance, looks, and what became of episodes: of all cameras and localities together."""
    summed = Sums(scenes)
    for raw in asyncio.run(records(address, CAMERAS_TABLE)).values():
        if raw is not None:
            summed.camera(read_camera(raw))
    for raw in asyncio.run(records(address, LOCALITIES_TABLE)).values():
        if raw is not None:
            summed.locality(read_locality(raw))
    return summed.figures()


async def records(address: KafkaAddress, table: str) -> dict[str, bytes | None]:
    """Each key's last state."""
    found: dict[str, bytes | None] = {}
    async for key, value in _messages(address, changelog(table)):
        if (name := name_of(key)) is not None:
            found[name] = read_record(value).state
    return found


async def _messages(address: KafkaAddress, topic: str) -> Any:
    from aiokafka import AIOKafkaConsumer, TopicPartition

    name = address.topic(topic)
    consumer = AIOKafkaConsumer(enable_auto_commit=False, **address.client())
    await consumer.start()
    try:
        await consumer._client.force_metadata_update()  # noqa: SLF001  # no public way to learn of a topic
        partitions = [TopicPartition(name, n) for n in sorted(consumer.partitions_for_topic(name) or ())]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        for each in partitions:
            consumer.seek(each, 0)
        while missing := [each for each in partitions if await consumer.position(each) < ends[each]]:
            for messages in (await consumer.getmany(*missing, timeout_ms=500)).values():
                for message in messages:
                    yield message.key or b"", message.value or b""
    finally:
        await consumer.stop()
