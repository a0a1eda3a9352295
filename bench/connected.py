"""The network process of a measurement: the real one, with workers that only take note (bench/glance.py).

python -m bench.connected     reads its cameras as one line of JSON: [[id, source, address, seconds between looks], …]
begin     opens them                         figures   processor time, memory, states, what is kept
lags      from capture to look, since asked  stop      leaves them
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvloop
from pydantic import SecretStr

from bench.pauses import Pauses
from citybrain import plugins
from citybrain.clock import SystemClock
from citybrain.domain.camera import Camera, Text
from citybrain.domain.frame import Frame
from ingest.config import SOURCES, CameraSettings
from ingest.kept import process_memory
from ingest.network import Network
from ingest.open_files import allow_connections
from ingest.plan import Plan
from ingest.worker_port import Report
from ingest.workers import WorkerPool, python

_WORKERS = 2


class Nowhere:
    """A bus and a hot store that keep nothing: what they cost is measured elsewhere."""

    def offer(self, topic: str, key: str, value: bytes) -> None: ...

    def put(self, key: str, value: bytes, *, ttl: timedelta | None = None) -> None: ...


class Noting(Network):
    """The network, which also notes how old each look's picture was."""

    lags: list[float]
    pauses: Pauses

    def done(self, frames: Sequence[Frame], reports: Sequence[Report]) -> None:
        now = self._clock.now()
        self.lags += [(now - frame.captured_at).total_seconds() for frame in frames]
        super().done(frames, reports)


async def run() -> None:
    lines = asyncio.StreamReader(limit=1 << 24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    cameras = [
        CameraSettings(Camera(name, Text(name, name)), source, SecretStr(url), url, timedelta(seconds=every))
        for name, source, url, every in json.loads(await lines.readline())
    ]
    allow_connections(len(cameras))
    for source in ("rtsp", "libav"):
        plugins.load(SOURCES, source)  # both are there before memory is measured
    nowhere: Any = Nowhere()
    workers = WorkerPool(python("bench.glance", "{fd}"), count=_WORKERS, max_batch=16)
    network = Noting(Plan(cameras), workers=workers, bus=nowhere, hot=nowhere, clock=SystemClock())
    network.lags, network.pauses = [], Pauses()
    pausing = asyncio.create_task(network.pauses.watch())
    stop, task = asyncio.Event(), None
    while line := (await lines.readline()).decode().strip():
        if line == "begin":
            task = asyncio.create_task(network.run(stop))
        if line == "stop":
            break
        print(json.dumps(lags(network) if line == "lags" else figures(network)), flush=True)
    stop.set()
    pausing.cancel()
    if task is not None:
        await task


def lags(network: Noting) -> list[float]:
    found, network.lags, network.pauses.longest_s = sorted(network.lags), [], 0.0
    return found


def figures(network: Noting) -> dict[str, Any]:
    gc.collect()
    used = resource.getrusage(resource.RUSAGE_SELF)
    memory = dict(
        line.split(":", 1) for line in Path("/proc/self/smaps_rollup").read_text().splitlines() if line.count(":") == 1
    )
    return {
        "cpu_s": used.ru_utime + used.ru_stime,
        "memory": int(memory["Pss"].split()[0]) * 1024,
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "longest_pause_s": network.pauses.longest_s,
        "kept": process_memory().figures(),
        "cameras": {
            state.id: [
                state.state.value,
                state.reason,
                state.looks,
                state.overtaken,
                state.lost_looks,
                state.reconnects,
            ]
            for state in network.states()
        },
    }


if __name__ == "__main__":
    uvloop.run(run())
