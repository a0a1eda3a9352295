"""Says goodbye for a process that was killed: of the silent a group waits for the end of their session, of the dead it need not.

    process ── pipe: who it is, in which group ──► `python -m citybrain.bus.farewell`, which sleeps until the pipe is closed,
                                                    and then has that member leave

A machine that dies takes this with it: then the session decides.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import subprocess
import sys
from contextlib import suppress

from citybrain import telemetry
from citybrain.bus.address import KafkaAddress

log = logging.getLogger(__name__)

_AT_MOST_S = 10.0
_AGAIN_S = 0.5


class Farewell:
    """The process's side of it."""

    def __init__(self, url: str, group: str) -> None:
        """`url` is the bus's, with its password: it goes through the pipe, where nobody else sees it."""
        self._url, self._group = url, group
        command = [sys.executable, "-m", "citybrain.bus.farewell"]
        # A session of its own: what a terminal or a supervisor sends to our group must not end it before us.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def tell(self, member: str) -> None:
        """We are this member from now on; empty: of none."""
        will = {"url": self._url, "group": self._group, "member": member}
        if self._process.stdin is not None:
            with suppress(OSError):  # it was killed: then the session decides
                self._process.stdin.write(json.dumps(will).encode() + b"\n")
                self._process.stdin.flush()

    def close(self) -> None:
        """We have said goodbye ourselves."""
        self.tell("")
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(2)


def main() -> None:
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    will: dict[str, str] = {}
    for line in sys.stdin.buffer:
        with suppress(ValueError):  # half a line: it was killed while it wrote
            will = json.loads(line)
    if will.get("member"):
        telemetry.start_logging("farewell")
        asyncio.run(_leave(KafkaAddress.parse(will["url"]), will["group"], will["member"]))


async def _leave(address: KafkaAddress, group: str, member: str) -> None:
    from aiokafka.client import AIOKafkaClient, CoordinationType
    from aiokafka.errors import KafkaError
    from aiokafka.protocol.group import LeaveGroupRequest

    name = address.topic(group)
    client = AIOKafkaClient(request_timeout_ms=5000, **address.client())
    try:
        async with asyncio.timeout(_AT_MOST_S):
            while True:
                try:
                    await client.bootstrap()
                    node = await client.coordinator_lookup(CoordinationType.GROUP, name)
                    answer = await client.send(node, LeaveGroupRequest(name, member))
                except (KafkaError, OSError):
                    await asyncio.sleep(_AGAIN_S)
                else:
                    log.info("%s: a process was killed; the others are told (%s)", name, answer.error_code)
                    return
    except TimeoutError:
        log.warning("%s: a process was killed, and no broker answers: the others will miss it", name)
    finally:
        await client.close()


if __name__ == "__main__":
    main()
