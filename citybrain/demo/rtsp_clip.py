"""A video file as an endless stream: its coded pictures, and when each of them is due for ever after."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import av.error

from citybrain.errors import Unreadable

ENDINGS = (".mp4", ".mkv", ".mov")


@dataclass(frozen=True, slots=True)
class Sample:
    """One coded picture. `send_s` and `shown_s` count from the clip's beginning; none is sent before it is shown."""

    send_s: float
    shown_s: float
    keyframe: bool
    units: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip of `codec` h264 or hevc; `parameters` are its parameter sets (VPS, SPS, PPS) as network units."""

    name: str
    codec: str
    parameters: tuple[bytes, ...]
    samples: tuple[Sample, ...]
    duration_s: float

    def place(self, elapsed_s: float) -> tuple[int, int]:
        """The first sample due at or after a time since the epoch: its round, and its index."""
        around, within = divmod(elapsed_s, self.duration_s)
        index = bisect.bisect_left(self.samples, within, key=lambda each: each.send_s)
        return (int(around), index) if index < len(self.samples) else (int(around) + 1, 0)

    def after(self, elapsed_s: float) -> Iterator[tuple[float, Sample]]:
        """Every sample due at or after a time since the epoch, for ever, with the time at which its round began."""
        rounds, index = self.place(elapsed_s)
        around = float(rounds)
        while True:
            for each in self.samples[index:]:
                yield around * self.duration_s, each
            around, index = around + 1, 0


def read_clip(path: Path) -> Clip:
    """Raises Unreadable for what is not an H.264 or H.265 video that begins with a keyframe."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise Unreadable(f"expected a video in {path}, found no video stream")
            stream = container.streams.video[0]
            codec = stream.codec_context.codec.name
            if codec not in ("h264", "hevc"):
                raise Unreadable(f"expected H.264 or H.265 in {path}, got {codec}")
            return _clip(path, container, stream, codec)
    except (av.error.FFmpegError, ValueError) as error:
        raise Unreadable(f"expected a video in {path}, got {getattr(error, 'strerror', error)}") from None


def _clip(path: Path, container: av.container.InputContainer, stream: av.VideoStream, codec: str) -> Clip:
    # In Annex B every keyframe is preceded by its parameter sets, whatever the container did with them.
    annex_b = av.BitStreamFilterContext(f"{codec}_mp4toannexb", stream)
    step = float(1 / (stream.average_rate or 25))
    raw: list[tuple[float, float, bool, tuple[bytes, ...]]] = []
    for packet in container.demux(stream):
        for each in annex_b.filter(packet) if packet.size else []:
            base = float(each.time_base or 0)
            shown = len(raw) * step if each.pts is None else each.pts * base
            sent = shown if each.dts is None else each.dts * base
            raw.append((sent, shown, each.is_keyframe, tuple(split_units(bytes(each)))))
    if not raw or not raw[0][2]:
        raise Unreadable(f"expected a video that begins with a keyframe in {path}")
    first = min(shown for _, shown, _, _ in raw)
    # Pictures that others refer to are coded before they are shown; sending them late keeps their capture in the past.
    delay = max(shown - sent for sent, shown, _, _ in raw)
    samples = tuple(Sample(sent + delay - first, shown - first, key, units) for sent, shown, key, units in raw)
    parameters = [unit for unit in samples[0].units if is_parameter(codec, unit)]
    duration = max(each.shown_s for each in samples) + step
    return Clip(path.stem, codec, tuple(parameters), samples, duration)


def split_units(data: bytes) -> list[bytes]:
    """The network units of an Annex B byte stream, without their start codes."""
    units: list[bytes] = []
    start = data.find(b"\0\0\1")
    while start >= 0:
        following = data.find(b"\0\0\1", start + 3)
        unit = data[start + 3 : following if following >= 0 else len(data)]
        units.append(unit.rstrip(b"\0") if following >= 0 else unit)
        start = following
    return [unit for unit in units if unit]


def unit_type(codec: str, unit: bytes) -> int:
    return unit[0] & 0x1F if codec == "h264" else unit[0] >> 1 & 0x3F


def is_parameter(codec: str, unit: bytes) -> bool:
    """Whether it is a parameter set: SPS or PPS, and with H.265 VPS."""
    return unit_type(codec, unit) in ((7, 8) if codec == "h264" else (32, 33, 34))
