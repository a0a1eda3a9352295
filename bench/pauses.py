"""For how long a process did nothing although it had something to do: what others took from it, or what held it up."""

from __future__ import annotations

import asyncio

_BEAT_S = 0.05


class Pauses:
    """Watches one event loop. `longest_s`: how late it was with a timer, at most."""

    longest_s = 0.0

    async def watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            begun_s = loop.time()
            await asyncio.sleep(_BEAT_S)
            self.longest_s = max(self.longest_s, loop.time() - begun_s - _BEAT_S)
