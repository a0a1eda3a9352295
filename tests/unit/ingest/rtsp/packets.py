"""A camera's packets made by code: pictures of a known look, packed as asked, numbered, framed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from citybrain.demo.rtsp_packets import Sender, interleaved, payloads
from citybrain.domain.frame import Frame
from ingest.kept import Kept, KeptMemory
from ingest.rtsp.flow import Flow
from ingest.rtsp.messages import read_message
from ingest.rtsp.ranges import Bytes

START = datetime(2026, 11, 21, 8, tzinfo=UTC)
STEP = 3600
SETS = {"h264": [b"\x67sps", b"\x68pps"], "hevc": [b"\x40\x01vps", b"\x42\x01sps", b"\x44\x01pps"]}


def key_slice(codec: str, size: int = 3000, *, first: bool = True, fill: int = 1) -> bytes:
    head = b"\x65" if codec == "h264" else b"\x26\x01"
    return head + (b"\x88" if first else b"\x08") + bytes([fill]) * size


def slice_(codec: str, size: int = 200, *, fill: int = 2) -> bytes:
    head = b"\x41" if codec == "h264" else b"\x02\x01"
    return head + b"\x88" + bytes([fill]) * size


def stream(units: Sequence[bytes]) -> bytes:
    return b"".join(b"\0\0\0\1" + unit for unit in units)


@dataclass
class Camera:
    """Packs pictures."""

    codec: str = "h264"
    longest: int = 1000
    aggregate: bool = False
    marks: str = "last"
    sender: Sender = field(default_factory=lambda: Sender(ssrc=7, sequence=65_500))
    stamp: int = (1 << 32) - 5 * STEP

    def picture(self, *units: bytes) -> list[bytes]:
        """One picture's packets, framed; time goes on by one step."""
        parts = payloads(self.codec, units, longest=self.longest, aggregate=self.aggregate)
        last = len(parts) - 1
        marked = {"last": lambda index: index == last, "none": lambda _: False, "all": lambda _: True}[self.marks]
        packets = [self.sender.packet(part, self.stamp, last=marked(index)) for index, part in enumerate(parts)]
        self.stamp += STEP
        return [interleaved(0, packet) for packet in packets]

    def group(self, pictures: int = 4, *, sets: bool = True, fill: int = 1) -> list[bytes]:
        """A keyframe and what follows it."""
        units = [*(SETS[self.codec] if sets else ()), key_slice(self.codec, fill=fill)]
        found = self.picture(*units)
        for index in range(1, pictures):
            found += self.picture(slice_(self.codec, fill=10 * fill + index))
        return found


class Listener:
    """What a flow told."""

    def __init__(
        self, codec: str = "h264", *, sets: Sequence[bytes] = (), memory: KeptMemory | None = None, kept: bool = True
    ) -> None:
        self.keyframes: list[bytes] = []
        self.stamps: list[int] = []
        self.controls: list[bytes] = []
        self.said: list[object] = []
        self.kept = Kept(memory or KeptMemory(), take_apart=lambda group: self.flow.take_apart(group, 90_000))
        self.flow = Flow(codec, 96, taker=self, kept=self.kept, sets=tuple(sets))

    def keyframe(self, data: bytes, stamp: int) -> None:
        self.keyframes.append(data)
        self.stamps.append(stamp)
        at = START + timedelta(seconds=len(self.keyframes))
        self.kept.begin(Frame("a", self.flow.codec.name, (data,), at, at), mark=stamp)

    def control(self, packet: bytes) -> None:
        self.controls.append(packet)

    def words(self, data: Bytes, start: int, end: int) -> int:
        found = read_message(data, start, end)
        if found is None:
            return start
        self.said.append(found[0])
        return found[1]

    def hear(self, *parts: bytes) -> None:
        """As one read each, as the network cuts them."""
        rest = b""
        for part in parts:
            data = bytearray(rest + part)
            taken = self.flow.feed(data, len(data))
            rest = bytes(data[taken:])
        self.rest = rest

    def units(self) -> list[bytes]:
        """Everything kept, asked for now."""
        found = self.kept.footage(START)
        return [] if found is None else [unit.data for unit in found.units]
