"""Coded pictures as RTP packets (RFC 6184, RFC 7798), sender reports (RFC 3550), descriptions (RFC 4566)."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from citybrain.demo.rtsp_clip import Clip

CLOCK_HZ = 90_000
PAYLOAD_TYPE = 96
_LONGEST = 1400
_NTP_EPOCH = 2_208_988_800  # seconds from 1900 to 1970
_HEADER = struct.Struct(">BBHII")
_REPORT = struct.Struct(">BBHIIIIII")


def payloads(codec: str, units: Sequence[bytes]) -> list[bytes]:
    """RTP payloads of one picture: each unit alone, the long ones in fragments."""
    found: list[bytes] = []
    for unit in units:
        if len(unit) <= _LONGEST:
            found.append(unit)
        elif codec == "h264":
            found += _fragments(unit[1:], bytes([unit[0] & 0xE0 | 28]), unit[0] & 0x1F)
        else:
            found += _fragments(unit[2:], bytes([unit[0] & 0x81 | 49 << 1, unit[1]]), unit[0] >> 1 & 0x3F)
    return found


def _fragments(body: bytes, head: bytes, kind: int) -> list[bytes]:
    parts = [body[start : start + _LONGEST] for start in range(0, len(body), _LONGEST)]
    last = len(parts) - 1
    return [head + bytes([kind | (index == 0) << 7 | (index == last) << 6]) + part for index, part in enumerate(parts)]


@dataclass(slots=True)
class Sender:
    """One RTP sender: numbers its packets and counts what it sent."""

    ssrc: int
    sequence: int = 0
    packets: int = 0
    octets: int = 0

    def packet(self, payload: bytes, stamp: int, *, last: bool) -> bytes:
        header = _HEADER.pack(0x80, PAYLOAD_TYPE | last << 7, self.sequence, stamp & 0xFFFFFFFF, self.ssrc)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.packets += 1
        self.octets += len(payload)
        return header + payload

    def report(self, wall_s: float, stamp: int) -> bytes:
        """A sender report that says: `wall_s` (Unix time) is `stamp`."""
        seconds = int(wall_s)
        fraction = int((wall_s - seconds) * (1 << 32))
        counts = self.packets & 0xFFFFFFFF, self.octets & 0xFFFFFFFF
        return _REPORT.pack(
            0x80, 200, 6, self.ssrc, (seconds + _NTP_EPOCH) & 0xFFFFFFFF, fraction, stamp & 0xFFFFFFFF, *counts
        )


def interleaved(channel: int, packet: bytes) -> bytes:
    """A packet within the RTSP connection (RFC 2326 §10.12)."""
    return b"$" + bytes([channel]) + len(packet).to_bytes(2, "big") + packet


def description(clip: Clip, host: str) -> bytes:
    """The session description, parameter sets included."""
    sets = [base64.b64encode(unit).decode() for unit in clip.parameters]
    if clip.codec == "h264":
        profile = clip.parameters[0][1:4].hex() if clip.parameters else "42c01e"
        kind = f"H264/{CLOCK_HZ}"
        format_ = f"packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={','.join(sets)}"
    else:
        names = {32: "sprop-vps", 33: "sprop-sps", 34: "sprop-pps"}
        kind = f"H265/{CLOCK_HZ}"
        pairs = zip(clip.parameters, sets, strict=True)
        format_ = ";".join(f"{names[unit[0] >> 1 & 0x3F]}={text}" for unit, text in pairs)
    lines = [
        "v=0",
        f"o=- 1 1 IN IP4 {host}",
        f"s={clip.name}",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=control:*",
        "a=range:npt=now-",
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
        f"a=rtpmap:{PAYLOAD_TYPE} {kind}",
        f"a=fmtp:{PAYLOAD_TYPE} {format_}",
        "a=control:trackID=0",
    ]
    return ("\r\n".join(lines) + "\r\n").encode()
