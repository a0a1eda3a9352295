"""Coded pictures as RTP packets (RFC 6184, RFC 7798), sender reports (RFC 3550), descriptions (RFC 4566)."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from citybrain.demo.rtsp_clip import Clip

CLOCK_HZ = 90_000
PAYLOAD_TYPE = 96
LONGEST = 1400
_NTP_EPOCH = 2_208_988_800  # seconds from 1900 to 1970
_HEADER = struct.Struct(">BBHII")
_REPORT = struct.Struct(">BBHIIIIII")
_EXTENDED = 0x80 | 0x20 | 0x10 | 2  # padding, extension, two contributing sources


def payloads(codec: str, units: Sequence[bytes], *, longest: int = LONGEST, aggregate: bool = False) -> list[bytes]:
    """RTP payloads of one picture: each unit alone or with its neighbours, the long ones in fragments."""
    found: list[bytes] = []
    together: list[bytes] = []
    for unit in units:
        if aggregate and sum(len(each) + 2 for each in (*together, unit)) + 2 <= longest:
            together.append(unit)
            continue
        found += _together(codec, together)
        together = []
        if len(unit) <= longest:
            found.append(unit)
        elif codec == "h264":
            found += _fragments(unit[1:], bytes([unit[0] & 0xE0 | 28]), unit[0] & 0x1F, longest)
        else:
            found += _fragments(unit[2:], bytes([unit[0] & 0x81 | 49 << 1, unit[1]]), unit[0] >> 1 & 0x3F, longest)
    return found + _together(codec, together)


def _together(codec: str, units: Sequence[bytes]) -> list[bytes]:
    if len(units) < 2:
        return list(units)
    head = bytes([max(unit[0] & 0x60 for unit in units) | 24]) if codec == "h264" else bytes([48 << 1, 1])
    return [head + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)]


def _fragments(body: bytes, head: bytes, kind: int, longest: int) -> list[bytes]:
    parts = [body[start : start + longest] for start in range(0, len(body), longest)]
    last = len(parts) - 1
    return [head + bytes([kind | (index == 0) << 7 | (index == last) << 6]) + part for index, part in enumerate(parts)]


@dataclass(slots=True)
class Sender:
    """One RTP sender: numbers its packets and counts what it sent."""

    ssrc: int
    sequence: int = 0
    packets: int = 0
    octets: int = 0
    extended: bool = False

    def packet(self, payload: bytes, stamp: int, *, last: bool) -> bytes:
        first = _EXTENDED if self.extended else 0x80
        header = _HEADER.pack(first, PAYLOAD_TYPE | last << 7, self.sequence, stamp & 0xFFFFFFFF, self.ssrc)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.packets += 1
        self.octets += len(payload)
        if self.extended:
            return header + bytes(8) + b"\xab\xac\0\1" + bytes(4) + payload + b"\0\0\3"
        return header + payload

    def report(self, wall_s: float, stamp: int) -> bytes:
        """A sender report that says: `wall_s` (Unix time) is `stamp`."""
        seconds = int(wall_s)
        fraction = int((wall_s - seconds) * (1 << 32))
        counts = self.packets & 0xFFFFFFFF, self.octets & 0xFFFFFFFF
        return _REPORT.pack(
            0x80, 200, 6, self.ssrc, (seconds + _NTP_EPOCH) & 0xFFFFFFFF, fraction, stamp & 0xFFFFFFFF, *counts
        )

    def goodbye(self) -> bytes:
        return struct.pack(">BBHI", 0x81, 203, 1, self.ssrc)


def interleaved(channel: int, packet: bytes) -> bytes:
    """A packet within the RTSP connection (RFC 2326 §10.12)."""
    return b"$" + bytes([channel]) + len(packet).to_bytes(2, "big") + packet


def description(clip: Clip, host: str, *, sets: bool = True, only: Literal["", "jpeg", "audio"] = "") -> bytes:
    """The session description, parameter sets included or not; `only` something else than the clip's video."""
    lines = ["v=0", f"o=- 1 1 IN IP4 {host}", f"s={clip.name}", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*"]
    lines += ["a=range:npt=now-", "m=audio 0 RTP/AVP 8", "a=control:trackID=1"]
    if only == "jpeg":
        lines += ["m=video 0 RTP/AVP 26", "a=control:trackID=0"]
    elif not only:
        kind = "H264" if clip.codec == "h264" else "H265"
        lines += [
            f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
            f"a=rtpmap:{PAYLOAD_TYPE} {kind}/{CLOCK_HZ}",
            f"a=fmtp:{PAYLOAD_TYPE} {_format(clip, sets=sets)}",
            "a=control:trackID=0",
        ]
    return ("\r\n".join(lines) + "\r\n").encode()


def _format(clip: Clip, *, sets: bool) -> str:
    coded = [base64.b64encode(unit).decode() for unit in clip.parameters]
    if clip.codec == "h264":
        profile = clip.parameters[0][1:4].hex() if clip.parameters else "42c01e"
        told = f";sprop-parameter-sets={','.join(coded)}" if sets else ""
        return f"packetization-mode=1;profile-level-id={profile}{told}"
    names = {32: "sprop-vps", 33: "sprop-sps", 34: "sprop-pps"}
    pairs = zip(clip.parameters, coded, strict=True)
    told = ";".join(f"{names[unit[0] >> 1 & 0x3F]}={text}" for unit, text in pairs)
    return told if sets else "sprop-max-don-diff=0"
