"""What passes between the network process and a worker, and the worker's side of it.

    briefing ──▸ {"ready": true}, once its models are loaded, or {"refused": why}     at first, and whenever it changes
    frames   ──▸ [report, …]

The network process sends pickles (it is trusted), the worker answers in JSON (it has touched strangers' bitstreams, so
nothing it says is executed). Each message has its length before it, in four bytes.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import pickle
import signal
import socket
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol

from citybrain.clock import instant, iso
from citybrain.domain.detection import Finding, Looked, Usable
from citybrain.domain.frame import Frame
from citybrain.errors import CityBrainError, Unreadable

LENGTH = struct.Struct(">I")
LONGEST = 256 * 1024 * 1024
_PR_SET_PDEATHSIG = 1

FOLLOWED = 8
"""Cameras that one worker follows at once, with a decoder for each: 3.8 MB at 704×576, 12.4 MB at 1080p."""

OUT_OF_STEP = "out of step"
"""A report's error: the frame did not go on where the camera's decoder stood. It begins at a keyframe next time."""

NOTHING_NEWER = "nothing newer"
"""A report's error: the frame's packets gave no picture after the last one that was looked at."""


@dataclass(frozen=True, slots=True)
class Began:
    """An episode that a worker saw begin: the scene, where, since when, and the instant of the look that confirmed it."""

    scene: str
    zone: str
    place: str
    locality: str
    began_at: datetime
    confirmed_at: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one frame. With an `error` nothing was published for it; `width` and `height` are then 0.

    `asks` names the scenes that have an open question on this camera after this look, and want it looked at closely;
    `began` the episodes to be filmed that this look began. `audited`: the gate would have skipped this look, and it was inferred
    all the same; `missed`: it then showed something new.
    """

    camera: str
    seq: int
    usable: Usable
    looked: Looked
    width: int = 0
    height: int = 0
    error: str | None = None
    cost_s: float = 0.0
    asks: tuple[str, ...] = ()
    began: tuple[Began, ...] = ()
    findings: tuple[Finding, ...] = ()
    audited: bool = False
    missed: bool = False


def write_frames(frames: Sequence[Frame]) -> bytes:
    return _message(pickle.dumps(tuple(frames), protocol=pickle.HIGHEST_PROTOCOL))


def write_briefing(briefing: bytes) -> bytes:
    return _message(pickle.dumps(briefing, protocol=pickle.HIGHEST_PROTOCOL))


def write_reports(reports: Sequence[Report]) -> bytes:
    return _message(json.dumps([asdict(each) for each in reports], default=iso).encode())


def read_reports(body: bytes) -> list[Report]:
    """Raises Unreadable when it is not what a worker says."""
    try:
        return [
            Report(
                camera=str(each["camera"]),
                seq=int(each["seq"]),
                usable=Usable(each["usable"]),
                looked=Looked(each["looked"]),
                width=int(each["width"]),
                height=int(each["height"]),
                error=None if each["error"] is None else str(each["error"]),
                cost_s=float(each["cost_s"]),
                asks=tuple(str(scene) for scene in each["asks"]),
                began=tuple(_began(began) for began in each["began"]),
                findings=tuple(Finding(finding) for finding in each["findings"]),
                audited=bool(each["audited"]),
                missed=bool(each["missed"]),
            )
            for each in json.loads(body)
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"expected a worker's reports, got {body[:60]!r} ({type(error).__name__})") from None


def _began(value: dict[str, Any]) -> Began:
    return Began(
        scene=str(value["scene"]),
        zone=str(value["zone"]),
        place=str(value["place"]),
        locality=str(value["locality"]),
        began_at=instant(value["began_at"]),
        confirmed_at=instant(value["confirmed_at"]),
    )


def read_answer(body: bytes) -> str | None:
    """What a worker answered to a briefing: None when it is ready, else why it refuses. Raises Unreadable."""
    with contextlib.suppress(ValueError):
        answer = json.loads(body)
        if answer == {"ready": True}:
            return None
        if isinstance(answer, dict) and isinstance(answer.get("refused"), str):
            return str(answer["refused"])
    raise Unreadable(f"expected a worker's answer to its briefing, got {body[:60]!r}")


class Looks(Protocol):
    """What a worker does with what it is sent."""

    def brief(self, briefing: bytes) -> None:
        """Work by this from now on. Raises CityBrainError when that cannot be; then the last briefing holds."""
        ...

    def look(self, frames: Sequence[Frame]) -> Sequence[Report]:
        """A report for each frame, bad ones included."""
        ...


def serve(fd: int, worker: Looks, *, max_batch: int) -> None:
    """Look at batches of at most `max_batch` frames until the network process is gone."""
    die_with_parent()
    with socket.socket(fileno=fd) as port:
        port.setblocking(True)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while (body := _receive(port)) is not None:
                sent: bytes | tuple[Frame, ...] = pickle.loads(body)  # noqa: S301  # from our own parent, over an inherited socket
                port.sendall(_briefed(worker, sent) if isinstance(sent, bytes) else _looked(worker, sent, max_batch))


def _briefed(worker: Looks, briefing: bytes) -> bytes:
    try:
        worker.brief(briefing)
    except CityBrainError as error:
        return _message(json.dumps({"refused": str(error) or type(error).__name__}).encode())
    return _message(json.dumps({"ready": True}).encode())


def _looked(worker: Looks, frames: Sequence[Frame], max_batch: int) -> bytes:
    reports: list[Report] = []
    for start in range(0, len(frames), max_batch):
        reports.extend(worker.look(frames[start : start + max_batch]))
    return write_reports(reports)


def _message(body: bytes) -> bytes:
    return LENGTH.pack(len(body)) + body


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies; elsewhere the closed socket ends it."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _receive(port: socket.socket) -> bytes | None:
    head = _exactly(port, LENGTH.size)
    return None if head is None else _exactly(port, LENGTH.unpack(head)[0])


def _exactly(port: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = port.recv(min(size - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)
