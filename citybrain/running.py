"""A role's work in an event loop of its own, until a polite signal."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

import uvloop


def run_until_told(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    """Run until done; SIGTERM and SIGINT set `stop`."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, stop.set)
        await work

    uvloop.run(main())
