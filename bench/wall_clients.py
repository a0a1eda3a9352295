"""So many walls without a screen: each follows the stream and fetches the picture of every new case.

python -m bench.wall_clients URL COUNT     says "ready" once all follow; what each has had is told when it is ended
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import httpx


class Walls:
    """The clients, in one event loop."""

    def __init__(self, url: str, count: int) -> None:
        self._url = url
        self._count = count
        self._opened = 0
        self._all_open = asyncio.Event()
        self.events = 0
        self.pictures = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            following = [group.create_task(self._follow()) for _ in range(self._count)]
            await self._all_open.wait()
            print("ready", flush=True)
            ended = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
            await ended.wait()
            for each in following:
                each.cancel()
        print(json.dumps({"events": self.events, "pictures": self.pictures}), flush=True)

    async def _follow(self) -> None:
        limits = httpx.Limits(max_connections=4)
        timeout = httpx.Timeout(10, read=60)
        async with (
            httpx.AsyncClient(base_url=self._url, timeout=timeout, limits=limits) as http,
            http.stream("GET", "/v1/events/stream") as stream,
        ):
            self._opened += 1
            if self._opened == self._count:
                self._all_open.set()
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    await self._seen(http, json.loads(line.removeprefix("data: ")))

    async def _seen(self, http: httpx.AsyncClient, event: dict[str, object]) -> None:
        self.events += 1
        data = event["data"]
        if event["type"] == "citybrain.case.filed" and isinstance(data, dict):
            answer = await http.get(f"/v1/evidence/{data['evidence'][0]['ref']}")
            self.pictures += answer.status_code == httpx.codes.OK


if __name__ == "__main__":
    asyncio.run(Walls(sys.argv[1], int(sys.argv[2])).run())
