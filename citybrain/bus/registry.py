"""The compacted topic `cameras`, read whole and written: for people who change it, not for who follows it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from citybrain.bus.address import KafkaAddress
from citybrain.bus.topics import needs_package
from citybrain.errors import BusAway, UsageError
from citybrain.wire.cameras import CAMERAS

_REQUEST_MS = 10_000
_POLL_MS = 200
_AT_MOST_S = 60.0
_QUIET_POLLS = 5
"""After so many without a message everything was read: the end that a broker tells may lie beyond the last message."""


def registered(address: KafkaAddress) -> dict[str, bytes]:
    """What the topic says of each camera. Raises BusAway, and UsageError when there is no topic."""
    return asyncio.run(_asked(address, _registered(address)))


def register(address: KafkaAddress, said: Mapping[str, bytes | None]) -> None:
    """Say this of these cameras; None: it is no more. Returns when brokers have confirmed all of it. Raises BusAway."""
    asyncio.run(_asked(address, _register(address, said)))


async def _asked(address: KafkaAddress, work: Any) -> Any:
    try:
        from aiokafka.errors import KafkaError
    except ImportError:
        work.close()
        raise needs_package(address) from None
    try:
        async with asyncio.timeout(_AT_MOST_S):
            return await work
    except (KafkaError, OSError, TimeoutError) as error:
        raise BusAway(f"{address}: no answer ({type(error).__name__}: {error})".rstrip(": )") + ")") from None


async def _registered(address: KafkaAddress) -> dict[str, bytes]:
    import aiokafka

    topic = address.topic(CAMERAS)
    consumer = aiokafka.AIOKafkaConsumer(
        enable_auto_commit=False, request_timeout_ms=_REQUEST_MS, fetch_max_wait_ms=_POLL_MS, **address.client()
    )
    try:
        await consumer.start()
        if topic not in await consumer.topics():
            raise UsageError(f"{address} has no topic {topic}; make it: citybrain topics create --bus …")
        partitions = [aiokafka.TopicPartition(topic, each) for each in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(partitions)
        for each in partitions:
            consumer.seek(each, 0)
        said: dict[str, bytes | None] = {}
        quiet, unread = 0, set(partitions)
        while unread and quiet < _QUIET_POLLS:
            found = await consumer.getmany(timeout_ms=_POLL_MS)
            quiet = 0 if found else quiet + 1
            for messages in found.values():
                said.update((each.key.decode(), each.value) for each in messages if each.key)
            for partition in list(unread):
                end = consumer.highwater(partition)
                if end is not None and await consumer.position(partition) >= end:
                    unread.discard(partition)
        return {camera: value for camera, value in said.items() if value}
    finally:
        await consumer.stop()


async def _register(address: KafkaAddress, said: Mapping[str, bytes | None]) -> None:
    import aiokafka

    producer = aiokafka.AIOKafkaProducer(request_timeout_ms=_REQUEST_MS, **address.producing())
    try:
        await producer.start()
        topic = address.topic(CAMERAS)
        await asyncio.gather(
            *[await producer.send(topic, value, key=camera.encode()) for camera, value in said.items()]
        )
    finally:
        await producer.stop()
