"""A mailbox of one frame: newest wins, and what is overtaken is counted."""

from __future__ import annotations

from citybrain.domain.frame import Frame


class Mailbox:
    """Holds the newest frame of one camera until somebody has time for it."""

    __slots__ = ("_frame", "overtaken")

    def __init__(self) -> None:
        self._frame: Frame | None = None
        self.overtaken = 0

    def put(self, frame: Frame) -> None:
        # An operator prefers a fresh frame to a complete history.
        if self._frame is not None:
            self.overtaken += 1
        self._frame = frame

    def take(self) -> Frame | None:
        frame, self._frame = self._frame, None
        return frame

    @property
    def waiting(self) -> bool:
        return self._frame is not None
