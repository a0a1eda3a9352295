"""What passes between the network process and a worker, and the worker's side of it.

The network process sends frames (pickled: it is trusted), the worker answers with `Report`s (JSON: it has touched
strangers' bitstreams, so nothing it says is executed). Each message has its length before it, in four bytes.
The first message a worker sends is `{"ready": true}`, once its model is loaded.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import pickle
import signal
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from citybrain.clock import instant, iso
from citybrain.domain.detection import Looked, Usable
from citybrain.domain.frame import Frame
from citybrain.errors import Unreadable

LENGTH = struct.Struct(">I")
LONGEST = 256 * 1024 * 1024
_PR_SET_PDEATHSIG = 1


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
    `began` the episodes that this look was seen to begin.
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


def write_frames(frames: Sequence[Frame]) -> bytes:
    body = pickle.dumps(tuple(frames), protocol=pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(body)) + body


def write_reports(reports: Sequence[Report]) -> bytes:
    body = json.dumps([asdict(each) for each in reports], default=iso).encode()
    return LENGTH.pack(len(body)) + body


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


READY = json.dumps({"ready": True}).encode()


def serve(fd: int, look: Callable[[Sequence[Frame]], Sequence[Report]], *, max_batch: int) -> None:
    """Look at batches of at most `max_batch` frames until the network process is gone; `look` reports bad frames."""
    die_with_parent()
    with socket.socket(fileno=fd) as port:
        port.setblocking(True)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            port.sendall(LENGTH.pack(len(READY)) + READY)
            while (body := _receive(port)) is not None:
                frames: tuple[Frame, ...] = pickle.loads(body)  # noqa: S301  # from our own parent, over an inherited socket
                reports: list[Report] = []
                for start in range(0, len(frames), max_batch):
                    reports.extend(look(frames[start : start + max_batch]))
                port.sendall(write_reports(reports))


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
