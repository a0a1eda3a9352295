"""The simulated cameras of a measurement, in a process of their own that is asked through its standard input.

python -m bench.simulated FOLDER [PORT]      says its port, then answers line by line, in JSON:
sent      keyframes sent, by camera          connects  connections taken, by second
cpu       seconds of processor time          halt      nobody is sent anything any more
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from pathlib import Path
from typing import Any

import uvloop

from bench.pauses import Pauses
from citybrain.demo.simulator import Simulator
from ingest.open_files import allow_connections


async def serve(folder: Path, port: int) -> None:
    allow_connections(0)
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    pauses = Pauses()
    watching = asyncio.create_task(pauses.watch())
    async with Simulator(folder, port=port) as simulator:
        print(simulator.port, flush=True)
        while line := (await lines.readline()).decode().strip():
            print(json.dumps(answer(simulator, pauses, line)), flush=True)
    watching.cancel()


def answer(simulator: Simulator, pauses: Pauses, line: str) -> Any:
    if line == "pause":
        return pauses.longest_s
    if line == "sent":
        return simulator.keyframes()
    if line == "connects":
        return sorted(simulator.connects.values())
    if line == "halt":
        simulator.halt()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
