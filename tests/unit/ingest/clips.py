"""Small clips made by code: a street of blocks with a car moving through it, coded as a camera would."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CODECS = {"h264": "libx264", "hevc": "libx265"}


def street(index: int, *, width: int = 320, height: int = 192, seed: int = 0, noise: float = 3.0) -> np.ndarray:
    """One RGB picture of a street that never stands still: textured blocks, a moving car, a sensor's noise."""
    still = np.random.default_rng(seed)
    coarse = still.integers(30, 220, (height // 16, width // 16, 3))
    picture = np.repeat(np.repeat(coarse, 16, 0), 16, 1).astype(np.float32)
    x = (index * 7) % (width - 48)
    picture[height // 2 : height // 2 + 24, x : x + 48] = (200, 20, 20)
    picture += np.random.default_rng(seed * 1000 + index + 1).normal(0, noise, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


def make_clip(
    path: Path,
    *,
    codec: str = "h264",
    seconds: float = 4.0,
    fps: int = 10,
    group: int = 5,
    width: int = 320,
    height: int = 192,
    seed: int = 0,
    b_frames: int = 0,
) -> Path:
    """Write a clip with a keyframe each `group` pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODECS[codec], rate=fps)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, fps)
        quiet = f"keyint={group}:min-keyint={group}:scenecut=0:bframes={b_frames}:open-gop=0:log-level=none"
        stream.options = (
            {"x265-params": quiet, "preset": "ultrafast"}
            if codec == "hevc"
            else {
                "x264-params": quiet.replace(":log-level=none", ""),
                "preset": "ultrafast",
            }
        )
        for index in range(round(seconds * fps)):
            frame = av.VideoFrame.from_ndarray(street(index, width=width, height=height, seed=seed), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def jpeg(picture: np.ndarray) -> bytes:
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height = picture.shape[1], picture.shape[0]
    context.pix_fmt, context.time_base = "yuvj420p", Fraction(1, 1)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuvj420p")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
