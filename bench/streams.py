"""The event streams with many clients: events a second, from the log to each client, memory for each client."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from bench.endtoend import percentile
from bench.machine import machine
from bench.ports import free_port
from bench.running import wait_until
from citybrain.bus.local import LocalBus
from citybrain.clock import SystemClock
from citybrain.deployment import DataFolder
from citybrain.domain.camera import Text
from citybrain.domain.case import STAMPS, Case, CaseEvent, CaseEventType, CaseState
from citybrain.domain.episode import Evidence
from citybrain.domain.geometry import Box
from citybrain.errors import Transient
from citybrain.wire import CASE_EVENTS, write_case_event

ROOT = Path(__file__).parents[1]
CLIENTS, WALLS, BURST = 100, 50, 300
TARGET_S = 1.0
_RATE, _WALL_RATE = 20.0, 2.0  # events a second; a district files some hundred cases a day
_ID = re.compile(rb'"specversion":"1\.0","id":"([^"]+)"')
_LONGEST_ID = 200  # bytes; what may be cut between two reads
_CAMERA = "gd-0001"


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """A burst and a steady stream to a hundred clients of each kind, then fifty walls in a city that files two cases a second.

    From the log to the picture in a real browser: `bench wall`.
    """
    seconds = given.seconds or 15.0
    parts = given.only or ["sse", "websocket", "walls"]
    found: dict[str, Any] = {"machine": machine(), "seconds": seconds}
    for part in parts:
        with _api() as city:
            found[part] = asyncio.run(_walls(city, seconds) if part == "walls" else _clients(city, part, seconds))
    walls = found.get("walls")
    found["target_s"] = TARGET_S
    found["holds"] = walls is None or walls["to_client_s"]["p99"] <= TARGET_S
    return found


@dataclass
class City:
    """The API in a process of its own, over a log that the bench writes."""

    url: str
    pid: int
    bus: LocalBus
    told: int = 0
    told_at: dict[str, float] = field(default_factory=dict)

    def tell(self) -> str:
        """Log that a case was filed; when, is kept by the event's id."""
        self.told += 1
        event = _event(self.told)
        raw = write_case_event(event)
        self.told_at[event.id] = time.perf_counter()
        self.bus.publish(CASE_EVENTS, event.case.locality, raw)
        return event.id

    def memory_kb(self) -> int:
        line = next(each for each in Path(f"/proc/{self.pid}/status").read_text().splitlines() if "VmRSS" in each)
        return int(line.split()[1])


@contextmanager
def _api() -> Iterator[City]:
    data = DataFolder(Path(tempfile.mkdtemp(prefix="citybrain-streams-")))
    data.make()
    port = free_port()
    words = ["api", "--config", str(ROOT / "configs"), "--data", str(data.path), "--port", str(port)]
    with (data.path / "log").open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "citybrain", *words], stderr=out, cwd=ROOT)
    bus = LocalBus(data.database)
    try:
        city = City(f"http://127.0.0.1:{port}", process.pid, bus)
        wait_until(lambda: _answers(city.url), timeout_s=60, what="the API answers")
        yield city
    finally:
        process.terminate()
        process.wait(30)
        bus.close()
        shutil.rmtree(data.path, ignore_errors=True)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").is_success
    except httpx.TransportError as error:
        raise Transient(str(error)) from None


class Client:
    """Reads one stream, and notes when each event's first bytes were there."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.seen: dict[str, float] = {}

    @classmethod
    async def open(cls, city: City, kind: str) -> Client:
        host = city.url.removeprefix("http://")
        reader, writer = await asyncio.open_connection(*host.split(":"), limit=1 << 20)
        upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        key = "Sec-WebSocket-Key: Y2l0eWJyYWluLXN0cmVhbQ==\r\n"
        path, more = ("ws", upgrade + key) if kind == "websocket" else ("stream", "")
        writer.write(f"GET /v1/events/{path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode())
        client = cls(reader, writer)
        await reader.readuntil(b"\r\n\r\n")
        await reader.read(1 << 16)  # where it stands
        return client

    async def follow(self) -> None:
        rest = b""
        while arrived := await self._reader.read(1 << 18):
            now = time.perf_counter()
            rest += arrived
            end = 0
            for match in _ID.finditer(rest):
                self.seen[match.group(1).decode()] = now
                end = match.end()
            rest = rest[end:][-_LONGEST_ID:]

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def _open(city: City, kind: str, count: int) -> AsyncIterator[list[Client]]:
    clients = [await Client.open(city, kind) for _ in range(count)]
    following = [asyncio.create_task(each.follow()) for each in clients]
    try:
        yield clients
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        for each in clients:
            each.close()


async def _clients(city: City, kind: str, seconds: float) -> dict[str, Any]:
    for _ in range(50):  # what the first request makes once is not a client's
        city.tell()
    await asyncio.sleep(1)
    before = city.memory_kb()
    async with _open(city, kind, CLIENTS) as clients:
        await asyncio.sleep(1)
        each_kb = (city.memory_kb() - before) / CLIENTS
        began = time.perf_counter()
        burst = [city.tell() for _ in range(BURST)]
        await _all_have(clients, burst[-1])
        took = time.perf_counter() - began
        steady = await _tell_for(city, seconds, _RATE)
        await _all_have(clients, steady[-1])
        delays = _delays(city, clients, steady)
    return {
        "clients": CLIENTS,
        "burst": BURST,
        "events_per_s": round(BURST / took),
        "handed_on_per_s": round(BURST * CLIENTS / took),
        "steady_per_s": _RATE,
        "to_client_s": _shares(delays),
        "memory_kb_per_client": round(each_kb, 1),
    }


async def _walls(city: City, seconds: float) -> dict[str, Any]:
    async with _open(city, "sse", WALLS) as clients:
        told = await _tell_for(city, seconds, _WALL_RATE)
        await _all_have(clients, told[-1])
        delays = _delays(city, clients, told)
    return {"walls": WALLS, "cases": len(told), "cases_per_s": _WALL_RATE, "to_client_s": _shares(delays)}


async def _tell_for(city: City, seconds: float, rate: float) -> list[str]:
    told = []
    began = time.perf_counter()
    while (now := time.perf_counter() - began) < seconds:
        told.append(city.tell())
        await asyncio.sleep(max(0.0, len(told) / rate - now))
    return told


async def _all_have(clients: Sequence[Client], id: str) -> None:
    async with asyncio.timeout(60):
        while not all(id in each.seen for each in clients):  # noqa: ASYNC110  # the same
            await asyncio.sleep(0.005)


def _delays(city: City, clients: Sequence[Client], told: Sequence[str]) -> list[float]:
    return [each.seen[id] - city.told_at[id] for each in clients for id in told]


def _shares(delays: Sequence[float]) -> dict[str, float]:
    ordered = sorted(delays)
    return {
        "p50": round(percentile(ordered, 0.5), 4),
        "p99": round(percentile(ordered, 0.99), 4),
        "max": round(ordered[-1], 4),
    }


def _event(n: int) -> CaseEvent:
    at = SystemClock().now()
    evidence = Evidence(f"{_CAMERA}/{n}.jpg", _CAMERA, at, "confirming", Box(0.25, 0.4, 0.5, 0.7))
    case = Case(
        id=f"case-{os.getpid()}-{n:06}",
        scene="illegal_parking",
        code="05-05",
        title=Text("机动车乱停放", "Illegal parking"),
        severity="normal",
        state=CaseState.FILED,
        cameras=(_CAMERA,),
        zone="kerb",
        place=f"{_CAMERA}/kerb",
        locality=f"illegal_parking:{_CAMERA}",
        began_at=at - timedelta(minutes=3),
        confirmed_at=at,
        filed_at=at,
        label="car",
        confidence=0.83,
        observed_s=150.0,
        assumed_s=30.0,
        unseen_s=0.0,
        grid_cell="530111001001003",
        location=(102.7411, 25.0142),
        due_at=at + timedelta(hours=2),
        stamps=dict.fromkeys(STAMPS[:6], at),
        evidence=(evidence,),
        version=1,
    )
    return CaseEvent(f"{case.id}-v1", CaseEventType.FILED, case, at)
