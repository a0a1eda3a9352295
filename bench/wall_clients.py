"""So many walls without a screen: each follows the stream and fetches the picture of every new case.

python -m bench.wall_clients HOST PORT COUNT     says "ready" once all follow; what they had is told when it is ended
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys

_LONGEST_LINE = 1 << 20


class Walls:
    """The clients, in one event loop. They speak as much HTTP as it takes, so that the server is measured and not they."""

    def __init__(self, host: str, port: int, count: int) -> None:
        self._host = host
        self._port = port
        self._count = count
        self._opened = 0
        self._all_open = asyncio.Event()
        self.events = 0
        self.pictures = 0

    async def run(self) -> None:
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        async with asyncio.TaskGroup() as group:
            following = [group.create_task(self._follow()) for _ in range(self._count)]
            await self._all_open.wait()
            print("ready", flush=True)
            await ended.wait()
            for each in following:
                each.cancel()
        print(json.dumps({"events": self.events, "pictures": self.pictures}), flush=True)

    async def _follow(self) -> None:
        stream, asking = await self._ask("/v1/events/stream")
        pictures = await asyncio.open_connection(self._host, self._port)
        try:
            await stream.readline()
            self._opened += 1
            if self._opened == self._count:
                self._all_open.set()
            # Chunks begin with a line of their own, and an event's data is one line within one chunk.
            while line := await stream.readline():
                if line.startswith(b"data: "):
                    await self._seen(json.loads(line[6:]), *pictures)
        finally:
            asking.close()
            pictures[1].close()

    async def _seen(self, event: dict[str, object], answer: asyncio.StreamReader, ask: asyncio.StreamWriter) -> None:
        self.events += 1
        data = event["data"]
        if event["type"] != "citybrain.case.filed" or not isinstance(data, dict):
            return
        ask.write(self._request(f"/v1/evidence/{data['evidence'][0]['ref']}"))
        head = await answer.readuntil(b"\r\n\r\n")
        size = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await answer.readexactly(int(size.partition(b":")[2]))
        self.pictures += head.startswith(b"HTTP/1.1 200")

    async def _ask(self, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        answer, ask = await asyncio.open_connection(self._host, self._port, limit=_LONGEST_LINE)
        ask.write(self._request(path))
        return answer, ask

    def _request(self, path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n\r\n".encode()


if __name__ == "__main__":
    asyncio.run(Walls(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])).run())
