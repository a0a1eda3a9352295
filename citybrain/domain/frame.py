"""A frame as it came from a camera, not yet decoded: what the network hands to the workers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Frame:
    """One undecoded picture.

    `packets` starts with a keyframe; when there are more, they are the rest of its group up to the picture meant, and the
    last one decoded is the picture. `codec` is libav's name (h264, hevc, mjpeg, png …), `extradata` the parameter sets when
    they came out of band. `captured_at` is the camera's time, or `received_at` when there is none (`clock_ok` false).
    """

    camera: str
    codec: str
    packets: tuple[bytes, ...]
    captured_at: datetime
    received_at: datetime
    clock_ok: bool = True
    extradata: bytes = b""
    seq: int = 0
