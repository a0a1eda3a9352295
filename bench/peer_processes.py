"""The processes of one probe: the simulated cameras, one side that watches them, and what each takes of the processor."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.freshness import Sight
from bench.running import descendants
from citybrain.demo.city import USER

ROOT = Path(__file__).parents[1]
_TICK = os.sysconf("SC_CLK_TCK")
_LIBAV = "rtsp_transport;tcp|analyzeduration;1|probesize;32"
"""OpenCV opens a camera in a tenth of a second with these, instead of one to three: peers get them as a gift."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """The running simulator: every clip of a folder, as many times as wanted."""

    process: subprocess.Popen[bytes]
    port: int
    password: str

    def url(self, name: str) -> str:
        return f"rtsp://{USER}:{self.password}@127.0.0.1:{self.port}/{name}"


@contextmanager
def simulated(folder: Path) -> Iterator[Simulated]:
    """A simulator for the clips of a folder, listening when it is given."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    password = secrets.token_urlsafe(9)
    command = [sys.executable, "-m", "citybrain.demo.simulator", "--folder", str(folder), "--port", str(port)]
    with started([*command, "--user", f"{USER}:{password}"], {}, out=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it names its clips once it listens
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield Simulated(process, port, password)


@contextmanager
def started(
    command: Sequence[str], environment: Mapping[str, str], *, out: int, log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own; it and all below it are gone afterwards."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    with (log or Path(os.devnull)).open("ab") as said:
        process = subprocess.Popen(command, env=variables, stdout=out, stderr=said, start_new_session=True)
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


@dataclass(slots=True)
class Listener:
    """Collects what a peer's script tells, line by line."""

    process: subprocess.Popen[bytes]
    heard: dict[str, list[Sight]] = field(default_factory=lambda: defaultdict(list))

    def start(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with suppress(ValueError):  # closed while it was read: the probe is over
            for line in self.process.stdout:
                camera, taken, told = line.split()
                self.heard[camera.decode()].append((float(taken), float(told)))


def peer_environment() -> dict[str, str]:
    return {"OPENCV_FFMPEG_CAPTURE_OPTIONS": _LIBAV, "OPENCV_LOG_LEVEL": "ERROR", "OPENCV_FFMPEG_LOGLEVEL": "8"}


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds until an instant, of a process and all below it."""

    at_s: float
    cpu_s: float

    def cores_since(self, before: Usage) -> float:
        """How many cores it kept busy."""
        return (self.cpu_s - before.cpu_s) / (self.at_s - before.at_s)


def usage(process: subprocess.Popen[bytes]) -> Usage:
    total = 0.0
    for pid in [process.pid, *(pid for pid, _ in descendants(process.pid))]:
        with suppress(OSError, ValueError, IndexError):  # it may have ended meanwhile
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / _TICK
    return Usage(time.monotonic(), total)
