"""Decodes on from picture to picture: a decoder for each followed camera, which remembers where in its group it stands."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime

import av
import av.error

from citybrain.domain.frame import Frame
from citybrain.errors import Unreadable
from citybrain.ports import Picture
from ingest.decode import Decoder, coded, opened, said
from ingest.worker_port import FOLLOWED, NOTHING_NEWER, OUT_OF_STEP

_HELD_BACK = 32  # instants remembered for pictures that a decoder gives later; the standards allow 16


@dataclass(slots=True)
class _Kept:
    """One camera's decoder, the group it is in, how many packets of it were decoded, and the newest picture's instant."""

    context: av.VideoCodecContext
    group: int
    count: int = 0
    instants: dict[int, datetime] = field(default_factory=dict)
    newest_at: datetime | None = None


class Following:
    """Decodes the frames of followed cameras (`is_for`). Not for several threads at once."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def is_for(self, frame: Frame) -> bool:
        """Whether the frame begins to follow a group or goes on with it; a keyframe alone does not."""
        follows = frame.since > 0 or (frame.group > 0 and len(frame.packets) > 1)
        if not follows and (kept := self._kept.get(frame.camera)) is not None and kept.group != frame.group:
            del self._kept[frame.camera]  # its group is over
        return follows

    def decode(self, frame: Frame) -> tuple[Picture, datetime]:
        """The newest picture, and its own instant. Raises Unreadable: also when the frame does not go on where this camera's
        decoder stands (OUT_OF_STEP), or gives no picture after the last (NOTHING_NEWER)."""
        kept = self._kept_for(frame)
        try:
            newest = self._advanced(kept, frame)
        except Unreadable:
            self._kept.pop(frame.camera, None)  # what follows builds on what could not be decoded
            raise
        if newest is None:
            raise Unreadable(NOTHING_NEWER)
        decoded, at = newest
        if kept.newest_at is not None and at <= kept.newest_at:
            raise Unreadable(NOTHING_NEWER)
        kept.newest_at = at
        return self._decoder.checked(frame, decoded), at

    def _kept_for(self, frame: Frame) -> _Kept:
        kept = self._kept.pop(frame.camera, None)
        if frame.since == 0:
            before = None if kept is None else kept.newest_at
            kept = _Kept(opened(frame, self._decoder.max_pixels), frame.group, newest_at=before)
        elif kept is None or (kept.group, kept.count) != (frame.group, frame.since):
            raise Unreadable(OUT_OF_STEP)
        self._kept[frame.camera] = kept
        while len(self._kept) > FOLLOWED:
            self._kept.popitem(last=False)
        return kept

    def _advanced(self, kept: _Kept, frame: Frame) -> tuple[av.VideoFrame, datetime] | None:
        newest: tuple[av.VideoFrame, datetime] | None = None
        for index, packet in enumerate(coded(frame)):
            packet.pts = number = frame.since + index  # a picture says by it which packet it came from
            if index < len(frame.instants):
                kept.instants[number] = frame.instants[index]
                kept.instants.pop(number - _HELD_BACK, None)
            try:
                for decoded in kept.context.decode(packet):
                    if decoded.is_corrupt:
                        raise Unreadable(f"expected a whole {frame.codec} picture, got a damaged one")
                    newest = decoded, self._instant(kept, decoded, frame)
            except (av.error.FFmpegError, ValueError, MemoryError) as error:
                raise Unreadable(f"expected a {frame.codec} picture, got {said(error)}") from None
        kept.count = frame.since + len(frame.packets)
        return newest

    def _instant(self, kept: _Kept, decoded: av.VideoFrame, frame: Frame) -> datetime:
        # Without instants, a picture held back passes for the newest: wrong by the decoder's delay, some 0.1 s.
        return frame.captured_at if decoded.pts is None else kept.instants.get(decoded.pts, frame.captured_at)
