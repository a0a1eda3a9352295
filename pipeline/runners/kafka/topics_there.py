"""Nothing begins before a broker answers and every topic is there: one that Faust does not find it passes over in silence."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from citybrain.bus.address import KafkaAddress
from citybrain.bus.topics import layout
from citybrain.wire import DETECTIONS

log = logging.getLogger(__name__)

_ASK_AGAIN_S = 2.0


async def topics_there(address: KafkaAddress, stop: asyncio.Event) -> int:
    """Wait for them, and say what is waited for when that changes. Returns into how many parts the city is cut; 0 when told
    to stop before."""
    said = ""
    while not stop.is_set():
        try:
            partitions, reason = await _found(address)
        except (KafkaError, OSError) as error:
            partitions, reason = 0, f"no broker answers ({type(error).__name__})"
        if partitions:
            return partitions
        if reason != said:
            log.error("%s: %s", address, reason)
            said = reason
        with suppress(TimeoutError):
            async with asyncio.timeout(_ASK_AGAIN_S):
                await stop.wait()
    return 0


async def _found(address: KafkaAddress) -> tuple[int, str]:
    """The number of parts, or 0 and why nothing can begin yet. Asked of all topics first, and not by name: some brokers make
    what they are asked for, cut as they like."""
    admin = AIOKafkaAdminClient(request_timeout_ms=5000, **address.client())
    try:
        await admin.start()
        there = set(await admin.list_topics())
        missing = [name for each in layout(1) if (name := address.topic(each.name)) not in there]
        if missing:
            return 0, f"there is no topic {', '.join(missing)}; make them: citybrain topics create --bus …"
        found = await admin.describe_topics([address.topic(each.name) for each in layout(1)])
    finally:
        await admin.close()
    counts = {address.name_of(each["topic"]): len(each["partitions"]) for each in found}
    parts = counts[DETECTIONS]
    if wrong := [
        f"{each.name} ({counts[each.name]})" for each in layout(parts) if counts[each.name] != each.partitions
    ]:
        return 0, f"topics are not cut as {DETECTIONS} with its {parts} partitions asks for: {', '.join(wrong)}"
    return parts, ""
