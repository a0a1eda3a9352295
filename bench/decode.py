"""What a second of a camera costs to decode at one look each two seconds: ours, OpenCV's ways, and libav's limit."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import cv2

from bench import footage
from bench.footage import FPS, GROUP
from bench.interleaved import Costs, Side, measured
from bench.machine import machine
from citybrain.domain.frame import Frame
from ingest.decode import Decoder

MOST_OF_LIMIT = 1.25
"""What ours may cost of bare libav decoding the same keyframes."""
MOST_OF_OPENCV = 1 / 5
"""What ours may cost of OpenCV's `read()` of every picture."""

_GROUPS = 5  # a round: ten seconds of the camera
_QUICK = 5
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """CPU-ms per camera-second for each clip, every side in one process, in turns. `--minutes` of each clip, at most."""
    cv2.setNumThreads(1)
    rows = []
    for name, path in footage.clips(source=given.clips).items():
        rounds = round((given.minutes or 1.0) * 60) * FPS // (GROUP * _GROUPS)
        rows.append({"clip": name} | row(path, rounds=rounds))
    return {
        "machine": machine(),
        "versions": {"av": av.__version__, "opencv": cv2.__version__, "libavcodec": _libavcodec()},
        "unit": "CPU-ms per camera-second, one look each 2 s",
        "clips": rows,
        "limits": {"of_libav": MOST_OF_LIMIT, "of_read": MOST_OF_OPENCV},
        "holds": all(each["of_libav"] <= MOST_OF_LIMIT and each["of_read"] <= MOST_OF_OPENCV for each in rows),
    }


def row(path: Path, *, rounds: int) -> dict[str, Any]:
    """One clip: what it is, what each side costs, and ours as a share of the limit and of OpenCV's `read()`."""
    codec, keyframes = keyframes_of(path)
    rounds = max(1, min(rounds, len(keyframes) // _GROUPS))
    costs = measured(_sides(path, codec, keyframes), rounds=rounds)
    facts = footage.figures(path)
    return {
        "keyframe_kb": facts["keyframe_kb"],
        "kbit_s": facts["kbit_s"],
        **{side: round(costs.median(side), 2) for side in costs.by_side},
        **shares(costs),
    }


def shares(costs: Costs) -> dict[str, float]:
    return {
        "of_libav": round(costs.ratio("ours", "libav"), 3),
        "of_grab": round(costs.ratio("ours", "opencv_grab"), 3),
        "of_read": round(costs.ratio("ours", "opencv_read"), 3),
    }


def keyframes_of(path: Path) -> tuple[str, list[bytes]]:
    """libav's name of the codec, and every keyframe in Annex B with its parameter sets, as RTSP gives it."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context.codec.name
        annex_b = av.BitStreamFilterContext(f"{codec}_mp4toannexb", stream)
        packets = (each for packet in container.demux(stream) if packet.size for each in annex_b.filter(packet))
        return codec, [bytes(each) for each in packets if each.is_keyframe]


def _sides(path: Path, codec: str, keyframes: Sequence[bytes]) -> Mapping[str, Side]:
    decoder = Decoder()
    frames = [
        Frame(camera="bench", codec=codec, packets=(each,), captured_at=_NOW, received_at=_NOW) for each in keyframes
    ]
    bare = av.CodecContext.create(codec, "r")
    assert isinstance(bare, av.VideoCodecContext)
    bare.thread_count = 1
    video = _Video(path)

    def of_round(number: int) -> slice:
        return slice(number * _GROUPS, (number + 1) * _GROUPS)

    def libav(number: int) -> float:
        for each in keyframes[of_round(number)]:
            assert bare.decode(av.Packet(each))
        return _GROUPS * GROUP / FPS

    def ours(number: int) -> float:
        for each in frames[of_round(number)]:
            decoder.decode(each)
        return _GROUPS * GROUP / FPS

    return {
        "libav": Side(libav, times=_QUICK),
        "ours": Side(ours, times=_QUICK),
        "opencv_grab": Side(lambda _: video.grab()),
        "opencv_read": Side(lambda _: video.read()),
    }


class _Video:
    """OpenCV's capture of a clip, one thread, going round; opening it is not counted by who reads on."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._captures = {way: self._opened() for way in ("grab", "read")}

    def read(self) -> float:
        """Every picture of ten seconds in BGR, as nearly everybody does it."""
        capture = self._captures["read"]
        for _ in range(_GROUPS * GROUP):
            if not capture.read()[0]:
                capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
        return _GROUPS * GROUP / FPS

    def grab(self) -> float:
        """Every picture decoded, one of each two seconds in BGR."""
        capture = self._captures["grab"]
        for number in range(_GROUPS * GROUP):
            if not capture.grab():
                capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            elif number % GROUP == 0:
                capture.retrieve()
        return _GROUPS * GROUP / FPS

    def _opened(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(self._path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        assert capture.isOpened()
        return capture


def _libavcodec() -> str:
    return ".".join(str(part) for part in av.library_versions["libavcodec"])
