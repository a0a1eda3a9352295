"""A demo city in processes of its own, on free ports and a data folder that is thrown away: what benches and tests act on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.ports import free_ports
from citybrain.clock import SystemClock, iso
from citybrain.demo.city import CONFIG, DemoCity
from citybrain.errors import Transient

FOOTAGE = Path(__file__).parents[1] / "data" / "footage"
"""Where `make run` builds its clips too: they are composed once for all."""

_ROLES = {
    "cameras": "citybrain.demo.simulator",
    "desk": "citybrain.demo.desk",
    "up": "citybrain up ",
    "ingest": "citybrain ingest ",
    "pipeline": "citybrain pipeline ",
    "api": "citybrain api ",
    "worker": "citybrain.worker",
}


@dataclass(frozen=True)
class Running:
    """A started demo city. `process` is its root, which stands for the machine's service manager."""

    city: DemoCity
    process: subprocess.Popen[bytes]
    log: Path

    def get(self, path: str, *, desk: bool = False) -> Any:
        """A JSON answer of the API or the desk. Raises Transient when there is none."""
        return asked(urllib.request.Request((self.city.desk if desk else self.city.wall) + path))  # noqa: S310

    def post(self, path: str, body: object) -> Any:
        return said(self.city.wall + path, body)

    def fetch(self, path: str) -> bytes:
        """The API's answer as it is. Raises Transient when there is none."""
        try:
            with urllib.request.urlopen(self.city.wall + path, timeout=10) as answer:  # noqa: S310  # loopback, our own
                body: bytes = answer.read()
                return body
        except OSError as error:
            raise Transient(f"{path}: {error}") from None

    def set_desk(self, **fault: object) -> None:
        """Make the desk fail in some way: `mode=…`, see citybrain/demo/desk_faults.py."""
        said(self.city.desk + "/faults", fault, "PUT")

    def pids(self, role: str) -> list[int]:
        """The processes of a role that live now."""
        return [pid for pid, words in descendants(self.process.pid) if _ROLES[role] in words]

    def kill(self, role: str, *, which: int = 0) -> bool:
        """SIGKILL one process of the role; false when none lives."""
        return self.send(role, signal.SIGKILL, which=which)

    def send(self, role: str, number: signal.Signals, *, which: int = 0) -> bool:
        """Send one process of the role a signal; false when none lives."""
        pids = self.pids(role)
        if not pids:
            return False
        with suppress(ProcessLookupError):
            os.kill(pids[which % len(pids)], number)
        return True


def said(url: str, body: object, method: str = "POST") -> Any:
    """The JSON answer to a JSON body. Raises Transient when there is none."""
    headers = {"content-type": "application/json"}
    return asked(urllib.request.Request(url, json.dumps(body).encode(), headers, method=method))  # noqa: S310


def asked(request: urllib.request.Request) -> Any:
    """The JSON answer. Raises Transient when there is none."""
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # loopback, our own
            return json.loads(answer.read() or b"null")
    except (OSError, ValueError) as error:
        raise Transient(f"{request.full_url}: {error}") from None


@contextmanager
def running(
    *, config: Path = CONFIG, footage: Path = FOOTAGE, workers: int | None = None, keep: Path | None = None
) -> Iterator[Running]:
    """A demo city, ready: all roles answer. Ends with every process gone. Raises Transient when it does not get ready."""
    data = keep or Path(tempfile.mkdtemp(prefix="citybrain-"))
    clock = SystemClock()
    city = DemoCity(data=data, footage=footage, epoch=clock.now(), ports=free_ports(), config=config, workers=workers)
    city.build_footage(lambda _camera, _share: None)
    city = city.begin_at(clock.now())
    log = data / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(_command(city), stdout=out, stderr=out, start_new_session=True)
    started = Running(city, process, log)
    try:
        wait_until(lambda: started.get("/readyz").get("ready"), timeout_s=120, what=f"the city is ready ({log})")
        yield started
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if keep is None:
            shutil.rmtree(data, ignore_errors=True)


def wait_until(holds: Any, *, timeout_s: float, what: str, every_s: float = 0.5) -> None:
    """Ask until it holds; Transient answers count as not yet. Raises Transient naming what did not come."""
    clock = SystemClock()
    until = clock.monotonic() + timeout_s
    while clock.monotonic() < until:
        with suppress(Transient):
            if holds():
                return
        time.sleep(every_s)
    raise Transient(f"waited {timeout_s:.0f} s in vain until {what}")


def seconds(later: str, earlier: str) -> float:
    """Between two instants as the wire writes them."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def _command(city: DemoCity) -> list[str]:
    command = [sys.executable, "-m", "citybrain.demo", "--data", str(city.data), "--footage", str(city.footage)]
    command += ["--port", str(city.ports.wall), "--camera-port", str(city.ports.cameras)]
    command += ["--desk-port", str(city.ports.desk), "--epoch", iso(city.epoch), "--config", str(city.config)]
    return [*command, "--workers", str(city.workers)] if city.workers else command


def descendants(root: int) -> Iterator[tuple[int, str]]:
    """Every living process below the root, with its command line, from /proc."""
    parents: dict[int, int] = {}
    words: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                pid = int(folder.name)
                parents[pid] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                words[pid] = (folder / "cmdline").read_text().replace("\0", " ")
    for pid in sorted(words):
        ancestor: int | None = pid
        while ancestor is not None and ancestor != root:
            ancestor = parents.get(ancestor)
        if ancestor == root and pid != root:
            yield pid, words[pid]
