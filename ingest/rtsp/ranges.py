"""Ranges of packets that were set aside as they came, taken apart when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ingest.rtsp import codecs
from ingest.rtsp.codecs import AGGREGATE, FRAGMENT, KEY, SLICE, Codec

LEAST = 17
"""Bytes of the smallest packet of a video inside a connection: 4 of the frame, 12 of the header, 1 of payload."""

Bytes = bytearray | memoryview | bytes


class Packet(NamedTuple):
    """One packet of a range, and where the next one begins."""

    stamp: int
    marker: bool
    payload: memoryview
    begins: int
    ends: int


class Of(NamedTuple):
    """Whose packets they are: '$' and channel as a number, payload type."""

    head: int
    type: int


def payload_of(data: Bytes, begins: int, ends: int, of: Of) -> tuple[int, int] | None:
    """Where the payload of a packet begins and ends, whatever its header carries; None when it is not of our video."""
    if ends - begins < LEAST or data[begins] << 8 | data[begins + 1] != of.head:
        return None
    first, at = data[begins + 4], begins + 16
    if first >> 6 != 2 or data[begins + 5] & 0x7F != of.type:
        return None
    at += 4 * (first & 0x0F)
    if first & 0x10:
        if at + 4 > ends:
            return None
        at += 4 + 4 * (data[at + 2] << 8 | data[at + 3])
    if first & 0x20:
        ends -= data[ends - 1]
    return (at, ends) if at < ends else None


def packets(raw: bytes, of: Of) -> Iterator[Packet]:
    """The packets of our video in a range."""
    view, begins, end = memoryview(raw), 0, len(raw)
    while end - begins >= 4:
        ends = begins + 4 + (raw[begins + 2] << 8 | raw[begins + 3])
        found = payload_of(raw, begins, min(ends, end), of)
        if found is not None:
            stamp = int.from_bytes(raw[begins + 8 : begins + 12], "big")
            yield Packet(stamp, raw[begins + 5] & 0x80 != 0, view[found[0] : found[1]], begins, ends)
        begins = ends


def units_of(raw: bytes, of: Of, codec: Codec) -> list[bytes]:
    """All network units of a range."""
    return list(codecs.units(codec, (packet.payload for packet in packets(raw, of))))


def pictures(
    raw: bytes, of: Of, codec: Codec, *, by_marker: bool, closed: bool = False
) -> Iterator[tuple[int, bytes, int]]:
    """The pictures of a range that are known to be complete: stamp, Annex B, and where the rest begins.

    A picture ends at its marker (where `by_marker` says that this camera's markers can be trusted), at another stamp, or
    with the range when that is `closed`.
    """
    parts: list[memoryview] = []
    stamp, drawn = -1, False
    for packet in packets(raw, of):
        if packet.stamp != stamp:
            if drawn:
                yield stamp, codecs.annex_b(list(codecs.units(codec, parts))), packet.begins
                parts, drawn = [], False
            stamp = packet.stamp  # parameter sets that came under a stamp of their own go with what follows them
        parts.append(packet.payload)
        drawn = drawn or _draws(codec, packet.payload)
        if packet.marker and drawn and by_marker:
            yield stamp, codecs.annex_b(list(codecs.units(codec, parts))), packet.ends
            parts, drawn = [], False
    if drawn and closed:
        yield stamp, codecs.annex_b(list(codecs.units(codec, parts))), len(raw)


def _draws(codec: Codec, payload: memoryview) -> bool:
    kind = codec.kinds[payload[0]]
    if kind == FRAGMENT:
        kind = codec.fragments[payload[codec.head]] if len(payload) > codec.head else FRAGMENT
    elif kind == AGGREGATE:
        kind = codecs.kind_within(codec, payload)
    return kind in (SLICE, KEY)
