"""Whether messages are missing at the broker itself, asked by a client of its own.

Offsets need not be without gaps: what was compacted or belonged to a transaction leaves some, and so does a broker that died
between counting a message and keeping it. Nobody was ever told that such a message is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from faust.types import TP

_ANSWER_S = 10.0


async def first_from(client: Mapping[str, Any], tp: TP, offset: int) -> int | None:
    """The offset of the first message that the broker gives from this one on; None when it gives none in time."""
    from aiokafka import AIOKafkaConsumer, TopicPartition

    partition = TopicPartition(tp.topic, tp.partition)
    consumer = AIOKafkaConsumer(enable_auto_commit=False, **client)
    await consumer.start()
    try:
        consumer.assign([partition])
        consumer.seek(partition, offset)
        async with asyncio.timeout(_ANSWER_S):
            return int((await consumer.getone(partition)).offset)
    except TimeoutError:
        return None
    finally:
        await consumer.stop()
