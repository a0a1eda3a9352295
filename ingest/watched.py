"""All that the network process knows of one camera."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from citybrain.domain.frame import Frame
from citybrain.ports import CloserSource
from ingest.backoff import Backoff
from ingest.config import CameraSettings
from ingest.mailbox import Mailbox
from ingest.states import CameraState

NO_PICTURE_S = 15.0
"""How long a stream may go on giving pictures that nobody can decode before it is opened anew."""

LONGEST_STEP = 500
"""Packets of one group given to a worker at once: some 2 s of decoding at 1080p. A longer group is not followed."""

_HOPELESS_RUN = 3


@dataclass(slots=True)
class Watched:
    """One camera. Monotonic seconds end in `_s`.

    `source` is set while a connection is open that can give more than keyframes. `attended_until_s` is set while a question
    is open; `followed` when it has one of its worker's places for decoding on from picture to picture; `step` says where
    that decoder stands: the group, and how many of its packets it was given. `leaving`: it is another process's by now, and
    looked at until that one sees it.
    """

    settings: CameraSettings
    state: CameraState
    worker: int
    begun_s: float
    patience: timedelta
    mailbox: Mailbox = field(default_factory=Mailbox)
    backoff: Backoff = field(default_factory=Backoff)
    task: asyncio.Task[None] | None = None
    source: CloserSource | None = None
    seq: int = 0
    taken_up_at: datetime | None = None
    given_at: datetime | None = None
    attended_until_s: float | None = None
    followed: bool = False
    step: tuple[int, int] | None = None
    unreadable_since_s: float | None = None
    unreadable_run: int = 0
    blind_told_s: float = 0.0
    behind: timedelta = timedelta()
    leaving: bool = False
    told: object = None
    told_s: float = float("-inf")

    @property
    def last_s(self) -> float:
        """When it was last looked at; before the first look, when it was added."""
        return self.begun_s if self.state.looked_s is None else self.state.looked_s

    def late(self, now_s: float) -> bool:
        """Whether it went, or goes, unseen for longer than its patience."""
        return self.state.staleness.late(self.patience.total_seconds(), now_s)

    def next_frame(self) -> Frame | None:
        """What a worker is given now: the newest picture there is when the camera is followed, else the newest keyframe."""
        closer = self._closer()
        waiting = self.mailbox.take()
        if closer is None:
            return waiting
        if waiting is not None and waiting.group != closer.group:
            self.mailbox.overtaken += 1
        if closer.since or len(closer.packets) > 1:  # a keyframe alone goes to the decoder that all cameras share
            self.step = closer.group, closer.since + len(closer.packets)
        return closer

    def _closer(self) -> Frame | None:
        if self.source is None or not self.followed:
            return None
        frame = self.source.closer(self.step)
        if frame is None or len(frame.packets) > LONGEST_STEP:
            return None
        return frame if self.given_at is None or frame.captured_at > self.given_at else None

    def left(self) -> None:
        """The connection is gone, and with it the group that a decoder was following."""
        self.source, self.step, self.given_at = None, None, None

    def readable(self) -> None:
        self.unreadable_since_s, self.unreadable_run = None, 0

    def unreadable(self, now_s: float) -> None:
        self.unreadable_run += 1
        if self.unreadable_since_s is None:
            self.unreadable_since_s = now_s

    def hopeless(self, now_s: float) -> bool:
        """Whether nothing that came for a while could be decoded: a codec that changed in mid-stream is like this."""
        since_s = self.unreadable_since_s
        return since_s is not None and self.unreadable_run >= _HOPELESS_RUN and now_s - since_s > NO_PICTURE_S
