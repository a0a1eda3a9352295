"""A live stream by our own RTSP client: H.264 and H.265, inside the connection or as datagrams, read for thousands at once.

What the client does not speak (RTSP over TLS, RTMP, HTTP, other codecs, multicast) is read through libav instead.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import SecretStr

from citybrain.clock import Clock, SystemClock
from citybrain.configuration import Duration, Section
from citybrain.domain.frame import Frame
from citybrain.errors import CameraGone
from citybrain.ports import Footage
from ingest.kept import Kept, process_memory
from ingest.rtsp.address import read_address
from ingest.rtsp.connection import connect
from ingest.rtsp.conversation import NotSpoken
from ingest.rtsp.rounds import rounds
from ingest.rtsp.stream import Stream
from ingest.sources import libav

log = logging.getLogger(__name__)


class Config(Section):
    camera: str
    url: SecretStr
    look_every: Duration = timedelta(seconds=1)


def build(config: Config) -> Rtsp:
    return Rtsp(config, clock=SystemClock())


# Keyframes of one read, after a pause; who waits for frames takes them at once, and counts what he passes over.
_MOST_WAITING = 8


@dataclass(slots=True)
class _Slot:
    """The newest keyframes, and at last the end: between the rounds and who waits for frames, in one loop."""

    frames: deque[Frame] = field(default_factory=lambda: deque(maxlen=_MOST_WAITING))
    gone: CameraGone | None = None
    filled: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, frame: Frame) -> None:
        self.frames.append(frame)
        self.filled.set()

    def end(self, gone: CameraGone) -> None:
        self.gone = gone
        self.filled.set()

    async def take(self) -> Frame:
        await self.filled.wait()
        frame = self.frames.popleft() if self.frames else None
        if self.gone is None and not self.frames:
            self.filled.clear()
        if frame is not None:
            return frame
        assert self.gone is not None  # noqa: S101  # filled by nothing else
        raise self.gone


class Rtsp:
    """The source. Opens the stream when frames are asked for, and leaves it when nobody asks any more.

    `through` says who reads it: our client (`rtsp`, or `rtsp-udp` for datagrams), or `libav`.
    """

    def __init__(self, config: Config, *, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self.through = "rtsp"
        self._stream: Stream | None = None
        self._kept: Kept | None = None
        self._libav: libav.Libav | None = None

    async def frames(self) -> AsyncGenerator[Frame, None]:
        try:
            async with aclosing(self._own()) as frames:
                async for frame in frames:
                    yield frame
        except NotSpoken as other:
            self._tell(other.why)
            self.through = "libav"
            self._libav = libav.build(libav.Config(**self._config.model_dump()))
            async with aclosing(self._libav.frames()) as frames:
                async for frame in frames:
                    yield frame

    def closer(self, after: tuple[int, int] | None) -> Frame | None:
        if self._libav is not None:
            return self._libav.closer(after)
        if self._stream is None or self._kept is None:
            return None
        frame = self._kept.closer(after, received_at=self._clock.now())
        if frame is not None and self._stream.last_at is not None:
            self._stream.last_at = max(self._stream.last_at, frame.captured_at)
        return frame

    def footage(self, since: datetime) -> Footage | None:
        if self._libav is not None:
            return self._libav.footage(since)
        if self._stream is None or self._kept is None:
            return None
        return self._kept.footage(since, extradata=self._stream.flow.extradata)

    async def _own(self) -> AsyncGenerator[Frame, None]:
        address = read_address(self._config.url.get_secret_value())
        if address.scheme != "rtsp":
            raise NotSpoken(address.scheme)
        connection = await connect(address)
        slot, reading = _Slot(), rounds()
        clock_hz = connection.opened.video.clock_hz
        kept = Kept(process_memory(), take_apart=lambda group: stream.flow.take_apart(group, clock_hz))
        stream = Stream(
            connection,
            camera=self._config.camera,
            clock=self._clock,
            kept=kept,
            now_s=asyncio.get_running_loop().time(),
            deliver=slot.put,
            end=slot.end,
        )
        self._stream, self._kept = stream, kept
        self.through = "rtsp-udp" if stream.datagrams else "rtsp"
        reading.join(stream, every_slot=stream.datagrams)
        try:
            while True:
                yield await slot.take()
        finally:
            reading.leave(stream)
            stream.close()
            kept.close()

    def _tell(self, why: str) -> None:
        if self._config.camera not in _TOLD:
            _TOLD.add(self._config.camera)
            log.warning(
                "camera %s: our RTSP client does not speak %s; it is read through libav", self._config.camera, why
            )


_TOLD: set[str] = set()  # cameras whose way through libav was logged: once is enough, however often they reconnect
