"""A video file as a camera: paced by its own clock, from the instant it is opened, once or for ever (`?loop=1`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import av
import av.error
from pydantic import SecretStr

from citybrain.clock import Clock, SystemClock
from citybrain.configuration import Duration, Section
from citybrain.domain.frame import Frame
from citybrain.errors import CameraGone

_LONGEST_GROUP = 600  # packets kept to decode forward from; what a longer group shows later is not looked at

# So that a packet says by itself what it is: parameter sets in front of every keyframe.
_REWRITTEN = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}
_NEEDS_CONTAINER = ("msmpeg4", "msmpeg4v1", "msmpeg4v2", "wmv1", "wmv2")

PACED_BY_LOOKS = True


class Config(Section):
    camera: str
    url: SecretStr
    look_every: Duration = timedelta(seconds=1)


def build(config: Config) -> File:
    return File(config, clock=SystemClock())


@dataclass(frozen=True, slots=True)
class _Look:
    """One picture of the file: when it is shown, in seconds from the file's first, and the packets it takes."""

    at_s: float
    codec: str
    packets: tuple[bytes, ...]


class File:
    """The source. Frames are keyframes, and pictures in between where groups are longer than `look_every`."""

    def __init__(self, config: Config, *, clock: Clock) -> None:
        parts = urlsplit(config.url.get_secret_value())
        self._path = Path(unquote(parts.path))
        self._loop = parse_qs(parts.query).get("loop", ["0"])[-1] not in ("0", "", "false", "no")
        self._camera, self._every, self._clock = config.camera, config.look_every, clock

    async def frames(self) -> AsyncGenerator[Frame, None]:
        start = self._clock.now()
        while True:
            looks = _looks(self._path, self._every.total_seconds())
            length = 0.0
            while (look := await asyncio.to_thread(next, looks, None)) is not None:
                if isinstance(look, float):
                    length = look
                    continue
                yield await self._shown(look, start + timedelta(seconds=look.at_s))
            if not self._loop:
                raise CameraGone("ended", "the file is over")
            start += timedelta(seconds=max(length, self._every.total_seconds()))

    async def _shown(self, look: _Look, at: datetime) -> Frame:
        wait = (at - self._clock.now()).total_seconds()
        if wait > 0:
            await asyncio.sleep(wait)
        return Frame(self._camera, look.codec, look.packets, captured_at=at, received_at=max(at, self._clock.now()))


def _looks(path: Path, every_s: float) -> Iterator[_Look | float]:
    """The file's pictures, `every_s` apart or at its keyframes, and last of all how long it is."""
    if not path.is_file():
        raise CameraGone("no such file")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise CameraGone("no video")
            yield from _of(container, container.streams.video[0], every_s)
    except (av.error.FFmpegError, ValueError) as error:
        raise CameraGone("unreadable", str(getattr(error, "strerror", "") or type(error).__name__)) from None


def _of(container: av.container.InputContainer, stream: av.VideoStream, every_s: float) -> Iterator[_Look | float]:
    codec = stream.codec_context.codec.name
    if codec in _NEEDS_CONTAINER:
        raise CameraGone("unreadable", f"{codec} pictures do not say their own size; convert the file to H.264")
    rewrite = av.BitStreamFilterContext(_REWRITTEN[codec], stream) if codec in _REWRITTEN else None
    header = b"" if codec in ("h264", "hevc") else stream.codec_context.extradata or b""
    step = float(1 / (stream.average_rate or 25))
    group: list[bytes] = []
    first: float | None = None
    at, shown, due, index = 0.0, 0.0, 0.0, 0
    for packet in container.demux(stream):
        for each in (rewrite.filter(packet) if rewrite else [packet]) if packet.size else []:
            stamp = each.pts if each.pts is not None else each.dts
            at = index * step if stamp is None or each.time_base is None else float(stamp * each.time_base)
            first = at if first is None else first
            index += 1
            if each.is_keyframe:
                group, shown = [header + bytes(each)], at - first
            elif group and len(group) < _LONGEST_GROUP:
                group.append(bytes(each))
                # Pictures may be stored in another order than they are shown: the last one shown is the one meant.
                shown = max(shown, at - first)
            else:
                continue
            if shown >= due or each.is_keyframe:
                due = shown + every_s
                yield _Look(shown, codec, tuple(group))
    yield max(0.0, at - (first or 0.0)) + step
