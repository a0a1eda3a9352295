"""A few cameras and one network process, driven by hand: no socket, no decoder, no clock but the test's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from citybrain.clock import ManualClock
from citybrain.domain.camera import Camera, Text
from citybrain.domain.detection import Looked, Usable
from citybrain.domain.frame import Frame
from citybrain.ports import CloserSource, Footage
from ingest.config import CameraSettings
from ingest.network import Clips, Network
from ingest.plan import Plan
from ingest.watched import Watched
from ingest.worker_port import Began, Report
from ingest.workers import WorkerPool

AT = datetime(2026, 11, 21, 8, tzinfo=UTC)


class Nowhere:
    """A bus and a hot store that nothing is to reach: these tests look at what would be told."""


def camera(name: str, url: str = "rtsp://x/y", *, every: float = 1.0) -> CameraSettings:
    return CameraSettings(Camera(name, Text(name, name)), "rtsp", SecretStr(url), url, timedelta(seconds=every))


class Groups:
    """A source with a keyframe each two seconds and 25 pictures a second, all since its connection began at `begun_at`."""

    def __init__(self, name: str, clock: ManualClock) -> None:
        self._name, self._clock, self._begun_at = name, clock, clock.now()
        self.gap = False
        self.asked: list[tuple[int, int] | None] = []

    def frames(self) -> AsyncIterator[Frame]:
        raise NotImplementedError

    def keyframe(self) -> Frame:
        group, _ = self._position()
        at = self._begun_at + timedelta(seconds=2 * (group - 1))
        return Frame(self._name, "h264", (b"K",), at, self._clock.now(), group=group)

    def closer(self, after: tuple[int, int] | None) -> Frame | None:
        self.asked.append(after)
        group, count = self._position()
        since = after[1] if after is not None and after[0] == group else 0
        if self.gap or since >= count:
            return None
        packets = (b"K" if since == 0 else b"p", *(b"p" for _ in range(since + 1, count)))
        now = self._clock.now()
        return Frame(self._name, "h264", packets, now, now, group=group, since=since)

    def footage(self, since: datetime) -> Footage | None:
        return None

    def _position(self) -> tuple[int, int]:
        elapsed = (self._clock.now() - self._begun_at).total_seconds()
        return int(elapsed // 2) + 1, int(elapsed % 2 * 25) + 1


class Street:
    """Cameras on one worker, or as many as said."""

    def __init__(
        self,
        *names: str,
        workers: int = 1,
        plan: Plan | None = None,
        clips: Clips | None = None,
        **attention: timedelta,
    ) -> None:
        self.clock = ManualClock(AT)
        self.pool = WorkerPool(["worker", "{fd}"], count=workers)
        self.network = Network(
            plan or Plan([camera(name) for name in names], attention=attention),
            workers=self.pool,
            bus=Nowhere(),  # type: ignore[arg-type]
            hot=Nowhere(),  # type: ignore[arg-type]
            clock=self.clock,
            clips=clips,
        )

    def each(self, name: str) -> Watched:
        return self.network._cameras[name]

    def arrives(self, name: str, frame: Frame | None = None) -> None:
        each = self.each(name)
        each.state.opened()
        each.mailbox.put(frame or Frame(name, "h264", (b"x",), self.clock.now(), self.clock.now()))
        self.network._samplers[each.worker].offer(name, self.clock.monotonic())

    def connects(self, name: str) -> Groups:
        """A connection to a camera that keeps its groups; its first keyframe is there."""
        source = Groups(name, self.clock)
        assert isinstance(source, CloserSource)
        self.each(name).source = source
        self.arrives(name, source.keyframe())
        return source

    def takes(self, limit: int = 4) -> list[Frame]:
        return self.network.take(0, limit)

    def looked(
        self,
        frames: list[Frame],
        *,
        error: str | None = None,
        asks: tuple[str, ...] = (),
        began: tuple[Began, ...] = (),
    ) -> None:
        usable = Usable.OK if error is None else Usable.LOST
        self.network.done(
            frames,
            [
                Report(each.camera, each.seq, usable, Looked.INFERRED, 640, 360, error, 0.01, asks=asks, began=began)
                for each in frames
            ],
        )

    def after(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    def state(self, name: str):
        return self.each(name).state

    def close(self) -> None:
        self.network.close()
