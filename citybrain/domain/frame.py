"""A frame as it came from a camera, not yet decoded: what the network hands to the workers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Frame:
    """One undecoded picture.

    `packets` starts with a keyframe (but see `since`); when there are more, they are the rest of its group up to the picture
    meant, and the last one decoded is the picture. `codec` is libav's name (h264, hevc, mjpeg, png …), `extradata` the
    parameter sets when they came out of band. `captured_at` is the camera's time, or `received_at` when there is none
    (`clock_ok` false).

    `group` counts the groups of pictures of one connection (0: the source keeps none), `since` is the index in its group of
    `packets[0]`. With `since` above 0 there is no keyframe: the packets go on where a decoder stands that has decoded exactly
    `since` packets of that group. `instants` says when each packet was captured, where there are several and the source knows;
    a decoder that holds pictures back (B-frames) gives one that is older than the last packet.

    `seq` counts the camera's frames that were given to a worker since `taken_up_at`.

    `again`: somebody waits for what is seen now. It is inferred, and its picture kept, also when nothing is there.
    """

    camera: str
    codec: str
    packets: tuple[bytes, ...]
    captured_at: datetime
    received_at: datetime
    clock_ok: bool = True
    extradata: bytes = b""
    seq: int = 0
    group: int = 0
    since: int = 0
    instants: tuple[datetime, ...] = ()
    again: bool = False
    taken_up_at: datetime | None = None
