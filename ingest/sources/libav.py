"""A live stream through libav, for what our own RTSP client does not speak: RTMP, HTTP, RTSP over TLS, other codecs.

One thread per open stream waits in libav; its keyframes go to the event loop through a slot for one frame, newest wins,
and what comes between them is kept undecoded (`ingest/kept.py`).
"""

from __future__ import annotations

import asyncio
import struct
import threading
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import av
import av.error
from pydantic import SecretStr

from citybrain.clock import Clock, SystemClock
from citybrain.configuration import Duration, Section
from citybrain.domain.frame import Frame
from citybrain.errors import CameraGone
from citybrain.ports import Footage, Unit
from ingest.kept import Kept, process_memory
from ingest.resolve import resolved
from ingest.secrets import scrubbed

CONNECT_S, SILENT_S, NO_KEYFRAME_S = 5.0, 8.0, 15.0
CLOCK_LIMIT = timedelta(seconds=5)
_STRANGE_PACKETS = 25  # about a second of packets that cannot be of the codec announced
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SENDER_TIME = struct.Struct("<q")

_OPTIONS = {
    "rtsp": {"rtsp_transport": "tcp", "allowed_media_types": "video", "analyzeduration": "1", "probesize": "32"},
    "": {"analyzeduration": "2000000", "probesize": "500000"},
}
# Containers such as FLV keep parameter sets aside and lengths in front of units; what is handed on is Annex B.
_REWRITTEN = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}


class Config(Section):
    camera: str
    url: SecretStr
    look_every: Duration = timedelta(seconds=1)


def build(config: Config) -> Libav:
    return Libav(config, clock=SystemClock())


class Libav:
    """The source. Opens the stream when frames are asked for, and leaves it when nobody asks any more."""

    through = "libav"

    def __init__(self, config: Config, *, clock: Clock) -> None:
        self._camera, self._url, self._clock = config.camera, config.url.get_secret_value(), clock
        self._reader: _Reader | None = None

    def closer(self, after: tuple[int, int] | None) -> Frame | None:
        return None if self._reader is None else self._reader.closer(after)

    def footage(self, since: datetime) -> Footage | None:
        return None if self._reader is None else self._reader.kept.footage(since)

    async def frames(self) -> AsyncGenerator[Frame, None]:
        url = await resolved(self._url)
        slot = _Slot(asyncio.get_running_loop())
        reader = self._reader = _Reader(self._camera, url, self._clock, slot)
        thread = threading.Thread(target=reader.run, name=f"stream {self._camera}", daemon=True)
        thread.start()
        try:
            while True:
                yield await slot.take()
        except CameraGone as gone:
            if gone.reason in ("silent", "garbage") and not reader.opened:
                raise await _diagnosed(url, gone, waited=reader.waited) from None
            raise
        finally:
            reader.stop = True  # libav returns by itself within its time limit; nothing waits for it
            reader.kept.close()


class _Slot:
    """Hands the newest frame, and at last the end, from the stream's thread to the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._frame: Frame | None = None
        self._gone: CameraGone | None = None
        self._filled = asyncio.Event()

    def put(self, frame: Frame) -> None:
        self._call(self._set, frame, None)

    def end(self, gone: CameraGone) -> None:
        self._call(self._set, None, gone)

    async def take(self) -> Frame:
        await self._filled.wait()
        frame, self._frame = self._frame, None
        if frame is not None:
            if self._gone is None:
                self._filled.clear()
            return frame
        assert self._gone is not None  # noqa: S101  # filled by nothing else
        raise self._gone

    def _call(self, *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(*arguments)  # type: ignore[arg-type]
        except RuntimeError:
            return  # the loop is closed: nobody is there to tell

    def _set(self, frame: Frame | None, gone: CameraGone | None) -> None:
        if frame is not None:
            self._frame = frame
        self._gone = self._gone or gone
        self._filled.set()


@dataclass(slots=True)
class _Reader:
    """The stream's thread: opens, reads, keeps keyframes."""

    camera: str
    url: str
    clock: Clock
    slot: _Slot
    stop: bool = False
    opened: bool = False
    waited: bool = False
    last_at: datetime | None = None
    key: tuple[Frame, int | None] | None = None
    kept: Kept = field(default_factory=lambda: Kept(process_memory()))

    def run(self) -> None:
        try:
            self._read()
        except CameraGone as gone:
            self.slot.end(gone)
        except Exception as error:  # noqa: BLE001  # a thread's outermost loop: whatever it was, the camera is gone
            self.slot.end(CameraGone("source fault", scrubbed(f"{type(error).__name__}: {error}", self.url)))

    def _read(self) -> None:
        options = _OPTIONS.get(urlsplit(self.url).scheme, _OPTIONS[""])
        begun = time.monotonic()
        try:
            container = av.open(self.url, options=dict(options), timeout=(CONNECT_S, SILENT_S))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self.waited = time.monotonic() - begun > 0.9 * CONNECT_S
            raise _gone(error, self.url, opening=True) from None
        self.opened = True
        with container:
            if not container.streams.video:
                raise CameraGone("no video")
            try:
                self._packets(container, container.streams.video[0])
            except (av.error.FFmpegError, OSError, ValueError) as error:
                raise _gone(error, self.url, opening=False) from None

    def _packets(self, container: av.container.InputContainer, stream: av.VideoStream) -> None:
        codec, extradata = stream.codec_context.codec.name, stream.codec_context.extradata or b""
        rewrite = None
        if codec in _REWRITTEN and extradata[:1] == b"\1":
            rewrite, extradata = av.BitStreamFilterContext(_REWRITTEN[codec], stream), b""
        last_key, strange = time.monotonic(), 0
        for read in container.demux(stream):
            if self.stop:
                return
            if read.size == 0:
                raise CameraGone("ended")
            for packet in rewrite.filter(read) if rewrite else [read]:
                data = bytes(packet)
                strange = strange + 1 if _foreign(codec, data) else 0
                if strange >= _STRANGE_PACKETS:
                    raise CameraGone("codec changed", f"these packets are not {codec}")
                if packet.is_keyframe and not packet.is_corrupt and strange == 0:
                    last_key = time.monotonic()
                    self.slot.put(self._frame(packet, data, codec, extradata))
                elif time.monotonic() - last_key > NO_KEYFRAME_S:
                    raise CameraGone("no keyframe")
                else:
                    self._between(packet, data)
        raise CameraGone("ended")

    def _between(self, packet: av.Packet[av.VideoStream], data: bytes) -> None:
        """What comes between keyframes is kept, as far as it is whole."""
        if packet.is_corrupt or packet.is_keyframe:
            self.kept.lose()
        elif self.key is not None:
            key, stamp = self.key
            if stamp is None or packet.pts is None or packet.time_base is None:
                # libav knows no stamp for the first packet of a stream: what follows it is timed by arrival.
                at = key.captured_at + (self.clock.now() - key.received_at)
            else:
                at = key.captured_at + timedelta(seconds=float((packet.pts - stamp) * packet.time_base))
            self.kept.add_unit(Unit(data, at, keyframe=False))

    def closer(self, after: tuple[int, int] | None) -> Frame | None:
        frame = self.kept.closer(after, received_at=self.clock.now())
        if frame is not None and self.last_at is not None:
            self.last_at = max(self.last_at, frame.captured_at)
        return frame

    def _frame(self, packet: av.Packet[av.VideoStream], data: bytes, codec: str, extradata: bytes) -> Frame:
        received_at = self.clock.now()
        captured_at, clock_ok = received_at, False
        if packet.has_sidedata("prft"):
            (micros,) = _SENDER_TIME.unpack_from(bytes(packet.get_sidedata("prft")))
            told_at = _EPOCH + timedelta(microseconds=micros) if 0 < micros < 1 << 56 else None
            if told_at is not None and abs(told_at - received_at) <= CLOCK_LIMIT:
                captured_at, clock_ok = told_at, True
        # The first sender report may set the time back by what arrival was late: looks stay in order all the same.
        if self.last_at is not None:
            captured_at = max(captured_at, self.last_at + timedelta(milliseconds=1))
        self.last_at = captured_at
        frame = Frame(self.camera, codec, (data,), captured_at, received_at, clock_ok, extradata)
        self.key = frame, packet.pts
        return self.kept.begin(frame)


def _foreign(codec: str, data: bytes) -> bool:
    """Whether an Annex B packet cannot be of its codec: its unit type is one that cameras do not send."""
    start = data.find(b"\0\0\1", 0, 8)
    if start < 0 or start + 3 >= len(data):
        return False
    header = data[start + 3]
    if codec == "h264":
        return header & 0x80 != 0 or header & 0x1F in (0, 2, 3, 4)
    if codec == "hevc":
        return header & 0x80 != 0 or header >> 1 & 0x3F > 40
    return False


_BY_ERROR: tuple[tuple[type[Exception], str], ...] = (
    (av.error.HTTPUnauthorizedError, "wrong password"),
    (av.error.HTTPForbiddenError, "forbidden"),
    (av.error.HTTPNotFoundError, "not found"),
    (av.error.HTTPServerError, "unavailable"),
    (av.error.HTTPClientError, "rejected"),
    (av.error.ConnectionRefusedError, "refused"),
    (av.error.ConnectionResetError, "broken"),
    (av.error.BrokenPipeError, "broken"),
    (av.error.ExitError, "silent"),
    (av.error.TimeoutError, "silent"),
    (av.error.EOFError, "ended"),
    (av.error.ProtocolNotFoundError, "no video"),
    (av.error.InvalidDataError, "garbage"),
)
_UNREACHABLE = (101, 113)  # ENETUNREACH, EHOSTUNREACH


def _gone(error: Exception, url: str, *, opening: bool) -> CameraGone:
    """libav's error in our words. Its text names the address, password and all: only what is safe of it goes on."""
    detail = scrubbed(str(getattr(error, "strerror", "") or type(error).__name__), url)
    if getattr(error, "errno", None) in _UNREACHABLE:
        return CameraGone("unreachable", detail)
    for kind, reason in _BY_ERROR:
        if isinstance(error, kind):
            return CameraGone(reason, detail)
    return CameraGone("garbage" if opening else "broken", detail)


async def _diagnosed(url: str, gone: CameraGone, *, waited: bool) -> CameraGone:
    """libav does not tell a device that is silent from one that talks nonsense: ask it ourselves."""
    parts = urlsplit(url)
    if parts.scheme != "rtsp" or parts.hostname is None:
        return gone
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 554)
            asked = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
            try:
                writer.write(f"OPTIONS {asked} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
                answer = await reader.read(16)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return CameraGone("silent")
    if answer and not answer.startswith(b"RTSP/"):
        return CameraGone("garbage")
    # It speaks RTSP, or nothing at all: what libav waited for in vain and then called invalid was silence.
    return CameraGone("silent") if waited or not answer else gone
