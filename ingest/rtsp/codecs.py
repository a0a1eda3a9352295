"""H.264 and H.265 in RTP payloads (RFC 6184, RFC 7798): what a payload holds, and units put together again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

# What a payload holds, by its first byte. SLICE is what comes most often, and what is passed on unopened.
SLICE, PRELUDE, SETS, KEY, AGGREGATE, FRAGMENT, FOREIGN = range(7)
START_CODE = b"\0\0\0\1"

Name = Literal["h264", "hevc"]


@dataclass(frozen=True, slots=True)
class Codec:
    """One codec's numbers. `kinds` is by the payload's first byte, `fragments` by the fragment header's."""

    name: Name
    kinds: bytes
    fragments: bytes
    head: int  # bytes of a unit's header
    order: tuple[int, ...]  # unit types of parameter sets, in the order in which decoders want them
    delimiter: int

    def type_of(self, unit: bytes | memoryview) -> int:
        return unit[0] & 0x1F if self.name == "h264" else unit[0] >> 1 & 0x3F

    def kind_of(self, unit: bytes | memoryview) -> int:
        return self.kinds[unit[0]]

    def is_first_slice(self, unit: bytes | memoryview) -> bool:
        """Whether a slice is the first of its picture."""
        return len(unit) > self.head and unit[self.head] & 0x80 != 0


def _h264_kind(type_: int) -> int:
    if type_ == 1:
        return SLICE
    if type_ == 5:
        return KEY
    if type_ in (7, 8, 13, 15):
        return SETS
    if type_ in (24, 25, 26, 27):
        return AGGREGATE if type_ == 24 else FOREIGN
    if type_ in (28, 29):
        return FRAGMENT if type_ == 28 else FOREIGN
    # Data partitions (2–4) are no camera's; 0, 30 and 31 are nobody's.
    return FOREIGN if type_ in (0, 2, 3, 4, 30, 31) else PRELUDE


def _h265_kind(type_: int) -> int:
    if type_ <= 9:
        return SLICE
    if 16 <= type_ <= 21:
        return KEY
    if type_ in (32, 33, 34):
        return SETS
    if type_ in (48, 49):
        return AGGREGATE if type_ == 48 else FRAGMENT
    return PRELUDE if 35 <= type_ <= 40 else FOREIGN


# The first bit of a unit's header must be 0; in H.265 the last one too, as long as there is one layer.
_H264_KINDS = bytes(FOREIGN if byte & 0x80 else _h264_kind(byte & 0x1F) for byte in range(256))
_H265_KINDS = bytes(FOREIGN if byte & 0x81 else _h265_kind(byte >> 1 & 0x3F) for byte in range(256))


def _within(kind: int) -> int:
    """What may travel in fragments are units, not packets."""
    return FOREIGN if kind in (AGGREGATE, FRAGMENT) else kind


CODECS: dict[str, Codec] = {
    "h264": Codec("h264", _H264_KINDS, bytes(_within(_h264_kind(byte & 0x1F)) for byte in range(256)), 1, (7, 8), 9),
    "hevc": Codec(
        "hevc", _H265_KINDS, bytes(_within(_h265_kind(byte & 0x3F)) for byte in range(256)), 2, (32, 33, 34), 35
    ),
}


def kind_within(codec: Codec, payload: memoryview | bytes) -> int:
    """What an aggregate holds that matters most: a key slice, a slice, parameter sets, or something before them."""
    kinds = {codec.kind_of(unit) for unit in _aggregated(codec, payload)}
    return next((kind for kind in (KEY, SLICE, SETS, PRELUDE) if kind in kinds), FOREIGN)


def recovers(codec: Codec, payload: memoryview | bytes) -> bool:
    """Whether a unit is the H.264 message that decoding may begin at this picture, though it is no IDR."""
    if codec.name != "h264" or payload[0] & 0x1F != 6:
        return False
    at, end = 1, len(payload)
    while at + 2 < end:
        type_ = size = 0
        while at < end and payload[at] == 0xFF:
            type_, at = type_ + 255, at + 1
        if at >= end:
            return False
        type_, at = type_ + payload[at], at + 1
        while at < end and payload[at] == 0xFF:
            size, at = size + 255, at + 1
        if at >= end:
            return False
        size, at = size + payload[at], at + 1
        if type_ == 6:
            return at < end and payload[at] & 0x80 != 0  # recovery_frame_cnt is 0
        at += size
    return False


def units(codec: Codec, payloads: Iterable[memoryview | bytes]) -> Iterator[bytes]:
    """The network units that payloads hold, in order. What is no unit, or lacks its beginning, is left out."""
    parts: list[bytes | memoryview] = []
    head = codec.head
    for payload in payloads:
        if len(payload) <= head:
            continue
        kind = codec.kinds[payload[0]]
        if kind == FRAGMENT:
            mark = payload[head]
            if mark & 0x80:
                if parts:
                    yield b"".join(parts)
                parts = [_header(codec, payload, mark)]
            if parts:
                parts.append(payload[head + 1 :])
                if mark & 0x40:
                    yield b"".join(parts)
                    parts = []
            continue
        if parts:
            yield b"".join(parts)
            parts = []
        if kind == AGGREGATE:
            yield from (bytes(each) for each in _aggregated(codec, payload))
        elif kind != FOREIGN:
            yield bytes(payload)
    if parts:
        yield b"".join(parts)


def annex_b(found: Sequence[bytes]) -> bytes:
    """Units as a byte stream."""
    return b"".join(part for unit in found for part in (START_CODE, unit))


def _header(codec: Codec, payload: memoryview | bytes, mark: int) -> bytes:
    if codec.name == "h264":
        return bytes([payload[0] & 0xE0 | mark & 0x1F])
    return bytes([payload[0] & 0x81 | (mark & 0x3F) << 1, payload[1]])


def _aggregated(codec: Codec, payload: memoryview | bytes) -> Iterator[memoryview | bytes]:
    at, end = codec.head, len(payload)
    while at + 2 < end:
        size = payload[at] << 8 | payload[at + 1]
        at += 2
        if size == 0 or at + size > end:
            return
        unit = payload[at : at + size]
        if codec.kinds[unit[0]] not in (AGGREGATE, FRAGMENT, FOREIGN) and size >= codec.head:
            yield unit
        at += size
