"""Clips to measure with: the demo's junction filmed by cameras of four kinds, by the same four on a bad day, and other streets.

name                  size         coded    kbit/s
sub-h264  sub-h265     704×576     25 fps    400   a keyframe each two seconds, no B-frames, as cameras send
main-h264 main-h265   1920×1080    25 fps   3000
busy-…                as above     25 fps   ×2.5   a noisy sensor on a swaying pole: figures must not be flattered
street- market- quiet- as above, H.264 only        a street with passers-by, a market, a street where little happens

The junction is the liveliest minute of the demo: something moves in all of it, nearly all the time.
The sensor's noise differs from picture to picture: nothing is frozen, no two keyframes are alike.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from citybrain.demo import footage_clip
from citybrain.demo.footage import Timeline, compose, load
from citybrain.errors import UsageError

FOLDER = Path(__file__).parents[1] / "data" / "bench-footage"
FPS = 25
GROUP = 50
"""Pictures from one keyframe to the next."""

_TIMELINES = Path(__file__).parents[1] / "configs" / "demo" / "footage"
_BEGINS_S = 28  # at the junction: traffic passes, a queue waits at the red light, traffic passes again
_ENDINGS = (".mp4", ".mkv", ".mov", ".avi", ".ts")
_MARGIN = 16  # a picture is made larger by this, so that the pole may sway

_SAME = (
    f"keyint={GROUP}:min-keyint={GROUP}:scenecut=0:bframes=0:repeat-headers=1:vbv-maxrate={{kbps}}:vbv-bufsize={{kbps}}"
)
_ENCODERS = {
    "h264": ("libx264", "x264-params", _SAME + ":threads=1", {"preset": "veryfast", "profile": "main"}),
    "h265": ("libx265", "x265-params", _SAME + ":open-gop=0:log-level=error:pools=none", {"preset": "ultrafast"}),
}

_STREAMS = (("sub", (704, 576), 400), ("main", (1920, 1080), 3000))
_STREETS = {"street": "kerb-a", "market": "stalls", "quiet": "quiet"}

_Plane = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Kind:
    """What one clip is like. `noise` is the sensor's, in grey levels; `sway` in pixels."""

    name: str
    codec: str
    width: int
    height: int
    kbps: int
    seconds: int = 60
    noise: float = 2.0
    sway: float = 0.0
    scene: str = "junction"


def _junction() -> Iterator[Kind]:
    for stream, (width, height), kbps in _STREAMS:
        for codec in ("h264", "h265"):
            yield Kind(f"{stream}-{codec}", codec, width, height, kbps)


def _kinds() -> Iterator[Kind]:
    yield from _junction()
    for each in _junction():
        yield replace(each, name=f"busy-{each.name}", kbps=each.kbps * 5 // 2, seconds=30, noise=5.0, sway=4.0)
        if each.codec == "h264":
            for name, scene in _STREETS.items():
                yield replace(each, name=f"{name}-{each.name}", scene=scene)


KINDS: Mapping[str, Kind] = {each.name: each for each in _kinds()}
NAMES = tuple(name for name, kind in KINDS.items() if kind.scene == "junction")
CITY: Mapping[str, tuple[str, ...]] = {
    stream: (f"{stream}-h264", *(f"{name}-{stream}-h264" for name in _STREETS)) for stream, _, _ in _STREAMS
}
"""Four streets for each size: cameras that take turns with them see a small city."""


def clips(names: Collection[str] = NAMES, *, folder: Path = FOLDER, source: Path | None = None) -> Mapping[str, Path]:
    """The clips by name, made when missing or out of date: some minutes once, on every core.

    `source` is a folder of the user's own: its first video is filmed instead of the demo's junction. Raises UsageError.
    """
    video = None if source is None else _first_video(source)
    if video is not None:
        folder = folder / hashlib.sha256(str(video.resolve()).encode()).hexdigest()[:8]
    folder.mkdir(parents=True, exist_ok=True)
    kinds = [KINDS[name] for name in names]
    stale = [kind for kind in kinds if not _up_to_date(kind, folder, video)]
    # Threads, not processes: encoder and OpenCV work outside the interpreter's lock. Longest first.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for done in [pool.submit(_make, kind, folder, video) for kind in sorted(stale, key=lambda each: -each.kbps)]:
            done.result()
    return {kind.name: folder / f"{kind.name}.mp4" for kind in kinds}


def figures(path: Path) -> dict[str, Any]:
    """What a clip is: codec, size, kbit/s, and the bytes of a keyframe, on which decoding depends most."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [(packet.size, packet.is_keyframe) for packet in container.demux(stream) if packet.size]
        rate = float(stream.average_rate or FPS)
        seconds = len(packets) / rate
        return {
            "codec": {"hevc": "h265"}.get(stream.codec_context.name, stream.codec_context.name),
            "size": f"{stream.width}×{stream.height}",
            "seconds": round(seconds, 1),
            "kbit_s": round(sum(size for size, _ in packets) * 8 / 1000 / seconds),
            "keyframe_kb": round(median(size for size, key in packets if key) / 1000, 1),
        }


def _first_video(source: Path) -> Path:
    found = sorted(each for each in source.iterdir() if each.suffix.lower() in _ENDINGS) if source.is_dir() else []
    if not found:
        raise UsageError(f"expected a folder with a video ({', '.join(_ENDINGS)}), found none in {source}")
    return found[0]


def _up_to_date(kind: Kind, folder: Path, video: Path | None) -> bool:
    note, clip = folder / f"{kind.name}.json", folder / f"{kind.name}.mp4"
    if not (clip.is_file() and note.is_file()):
        return False
    written: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))
    return written.get("made_from") == _fingerprint(kind, video)


def _fingerprint(kind: Kind, video: Path | None) -> str:
    """Of all that a clip is made from: this module, its kind, and what is filmed."""
    if video is None:
        filmed = footage_clip.digest(_timeline(kind))
    else:
        filmed = f"{video.resolve()} {video.stat().st_size} {video.stat().st_mtime_ns}"
    made = hashlib.sha256(Path(__file__).read_bytes())
    made.update(f"{kind} {filmed}".encode())
    return made.hexdigest()


def _make(kind: Kind, folder: Path, video: Path | None) -> None:
    path = folder / f"{kind.name}.mp4"
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        _encode(kind, _filmed(kind, video), partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    note = {"made_from": _fingerprint(kind, video), **figures(path)}
    path.with_suffix(".json").write_text(json.dumps(note, ensure_ascii=False, indent=1), encoding="utf-8")


def _filmed(kind: Kind, video: Path | None) -> Iterator[av.VideoFrame]:
    """What this camera makes of the scene: its size, its fine structure, its sway, its noise."""
    draw = np.random.default_rng(7)
    size = (kind.height + _MARGIN, kind.width + _MARGIN)
    # What is upscaled has no fine structure; a street has, and an encoder pays for it.
    structure = cv2.GaussianBlur(draw.normal(0, 12, size), (0, 0), 0.8).astype(np.int16)
    noise = draw.normal(0, kind.noise, (size[0] + 64, size[1] + 64)).astype(np.int16)
    for number, (y, u, v) in enumerate(_recorded(video) if video else _composed(_timeline(kind))):
        across, down = (
            2 * round((_MARGIN / 2 + kind.sway * wave(number / FPS * 2)) / 2) for wave in (math.sin, math.cos)
        )
        luma = cv2.add(cv2.resize(y, size[::-1]), structure, dtype=cv2.CV_8U)
        luma = luma[down : down + kind.height, across : across + kind.width]
        left, top = draw.integers(0, 64, 2)
        luma = cv2.add(luma, noise[top : top + kind.height, left : left + kind.width], dtype=cv2.CV_8U)
        half = slice(down // 2, (down + kind.height) // 2), slice(across // 2, (across + kind.width) // 2)
        chroma = [cv2.resize(plane, (size[1] // 2, size[0] // 2))[half] for plane in (u, v)]
        planar = np.concatenate([np.asarray(plane, np.uint8).ravel() for plane in (luma, *chroma)])
        yield av.VideoFrame.from_ndarray(planar.reshape(kind.height * 3 // 2, kind.width), format="yuv420p")


def _timeline(kind: Kind) -> Timeline:
    return load(_TIMELINES / f"{kind.scene}.yaml")


def _composed(timeline: Timeline) -> Iterator[tuple[_Plane, _Plane, _Plane]]:
    for number in itertools.count():
        picture = compose(timeline, at=(_BEGINS_S + number / FPS) % timeline.seconds)
        height, width = picture.shape[:2]
        planar = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), np.uint8)
        u, v = planar[height:].reshape(2, height // 2, width // 2)
        yield planar[:height], u, v


def _recorded(video: Path) -> Iterator[tuple[_Plane, _Plane, _Plane]]:
    while True:
        with av.open(str(video)) as container:
            for frame in container.decode(video=0):
                width, height = frame.width // 2 * 2, frame.height // 2 * 2
                planar = np.asarray(frame.reformat(width=width, height=height, format="yuv420p").to_ndarray(), np.uint8)
                u, v = planar[height:].reshape(2, height // 2, width // 2)
                yield planar[:height], u, v


def _encode(kind: Kind, pictures: Iterator[av.VideoFrame], path: Path) -> None:
    encoder, key, parameters, options = _ENCODERS[kind.codec]
    with av.open(str(path), "w", format="mp4") as container:
        said = {**options, key: parameters.format(kbps=kind.kbps), "g": str(GROUP), "bf": "0"}
        stream = container.add_stream(encoder, rate=FPS, options=said)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = kind.width, kind.height, "yuv420p"
        stream.bit_rate = kind.kbps * 1000
        stream.time_base = Fraction(1, FPS)
        stream.codec_context.thread_count = 1
        for number, frame in enumerate(itertools.islice(pictures, kind.seconds * FPS)):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
