"""Nothing begins before a broker answers and every topic is there: one that Faust does not find it passes over in silence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from contextlib import suppress

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from citybrain.bus.address import KafkaAddress
from citybrain.bus.topics import layout

log = logging.getLogger(__name__)

_ASK_AGAIN_S = 2.0


async def topics_there(address: KafkaAddress, stop: asyncio.Event) -> bool:
    """Wait for them, and say what is waited for when that changes. False when told to stop before."""
    said = ""
    while not stop.is_set():
        try:
            missing = await _missing(address)
        except (KafkaError, OSError) as error:
            reason = f"no broker answers ({type(error).__name__})"
        else:
            if not missing:
                return True
            reason = f"there is no topic {', '.join(sorted(missing))}; make them: citybrain topics create --bus …"
        if reason != said:
            log.error("%s: %s", address, reason)
            said = reason
        with suppress(TimeoutError):
            async with asyncio.timeout(_ASK_AGAIN_S):
                await stop.wait()
    return False


async def _missing(address: KafkaAddress) -> Collection[str]:
    wanted = [address.topic(each.name) for each in layout(1)]
    admin = AIOKafkaAdminClient(request_timeout_ms=5000, **address.client())
    try:
        await admin.start()
        found = await admin.describe_topics(wanted)
        return set(wanted) - {each["topic"] for each in found if each["partitions"]}
    finally:
        await admin.close()
