"""What senders report and viewers answer (RFC 3550 §6): the camera's clock, and that we are still here."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1900, 1, 1, tzinfo=UTC)
_ERA = 1 << 32  # NTP seconds turn over in 2036: small ones are of the next era
_ERA_TURNS = 1 << 31
_SENDER = struct.Struct(">IIII")
_RECEIVER = struct.Struct(">BBHIIBBHIIII")
_NAME = b"citybrain"
_SENDER_REPORT, _RECEIVER_REPORT, _DESCRIPTION, _BYE = 200, 201, 202, 203


@dataclass(frozen=True, slots=True)
class SenderReport:
    """The camera's wall clock at one of its stamps. `middle` is what a receiver report quotes of it."""

    source: int
    at: datetime
    stamp: int
    middle: int


def read_control(packet: memoryview | bytes) -> Iterator[SenderReport | int]:
    """What a compound packet holds that matters: sender reports, and the sources (as numbers) that say goodbye."""
    at, end = 0, len(packet)
    while at + 8 <= end:
        first, kind = packet[at], packet[at + 1]
        size = 4 * (1 + (packet[at + 2] << 8 | packet[at + 3]))
        if first >> 6 != 2 or at + size > end:
            return
        source = int.from_bytes(packet[at + 4 : at + 8], "big")
        if kind == _SENDER_REPORT and size >= 28:
            seconds, fraction, stamp, _ = _SENDER.unpack_from(packet, at + 8)
            # An all-zero time is how a camera without a clock says so (§6.4.1).
            if seconds or fraction:
                whole = seconds + (_ERA if seconds < _ERA_TURNS else 0)
                when = _EPOCH + timedelta(seconds=whole, microseconds=fraction * 1_000_000 >> 32)
                yield SenderReport(source, when, stamp, (seconds & 0xFFFF) << 16 | fraction >> 16)
        elif kind == _BYE and first & 0x1F:
            yield source
        at += size


def receiver_report(
    *, ours: int, source: int, highest: int, lost: int, share_lost: int, middle: int, since_s: float
) -> bytes:
    """A receiver report with our name behind it, as a compound packet must have. `share_lost` in 256ths."""
    delay = min(0xFFFFFFFF, int(since_s * 65536)) if middle else 0
    missing = min(lost, 0x7FFFFF)
    report = _RECEIVER.pack(
        0x81,
        _RECEIVER_REPORT,
        7,
        ours,
        source,
        min(255, share_lost),
        missing >> 16,
        missing & 0xFFFF,
        highest & 0xFFFFFFFF,
        0,
        middle,
        delay,
    )
    name = bytes([1, len(_NAME)]) + _NAME + b"\0"
    name += b"\0" * (-len(name) % 4)
    return report + struct.pack(">BBHI", 0x81, _DESCRIPTION, 1 + len(name) // 4, ours) + name
