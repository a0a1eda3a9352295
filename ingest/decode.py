"""From packets to a picture: one libav decoder per codec, shared by all cameras, and damaged pictures refused."""

from __future__ import annotations

from collections import OrderedDict

import av
import av.error
import numpy as np

from citybrain.domain.frame import Frame
from citybrain.errors import Unreadable
from citybrain.ports import Picture, Plane

MAX_PIXELS = 50_000_000
"""The largest picture taken on: beyond the largest cameras sold, below what would fill a worker's memory."""

_SMALLEST = (64, 48)
_LONGEST_SIDE_RATIO = 6.0  # stitched panoramas are 32:9 and 4:1; a damaged parameter set gave 160×16
_IN_BAND = ("h264", "hevc")
_CONTEXTS = 8
_ALL_KEY = ("png",)
"""Codecs of which libav would take a picture that does not say it is a keyframe for the difference to the one before."""

# H.264 flags what it concealed. HEVC and JPEG conceal in silence: they are told to stop at the first error instead.
_STRICTNESS = {"hevc": {"err_detect": "explode"}, "mjpeg": {"err_detect": "explode"}}


class Decoder:
    """Decodes frames of any camera, one at a time. Not for several threads at once."""

    def __init__(self, *, max_pixels: int = MAX_PIXELS) -> None:
        self.max_pixels = max_pixels
        self._contexts: OrderedDict[tuple[str, bytes], av.VideoCodecContext] = OrderedDict()
        self._sizes: dict[str, tuple[int, int]] = {}
        self._doubted: dict[str, tuple[int, int]] = {}

    def decode(self, frame: Frame) -> Picture:
        """The picture the frame means. Raises Unreadable saying what is wrong with it."""
        return self.checked(frame, self._last_picture(frame))

    def checked(self, frame: Frame, decoded: av.VideoFrame) -> Picture:
        """What was decoded, if it can be what the camera saw; Unreadable if not."""
        self._check_size(frame, (decoded.width, decoded.height))
        if decoded.is_corrupt:
            raise Unreadable(f"expected a whole {frame.codec} picture, got a damaged one")
        return planes(decoded)

    def _last_picture(self, frame: Frame) -> av.VideoFrame:
        key, packets = _context_key(frame), coded(frame)
        context = self._context(*key)
        # A decoder shared between cameras must forget the one before: without this HEVC loses most keyframes.
        context.flush_buffers()
        last: av.VideoFrame | None = None
        try:
            for packet in packets:
                for last in context.decode(packet):  # noqa: B007  # the last one is meant
                    pass
            for last in context.decode(None):  # noqa: B007
                pass
        except (av.error.FFmpegError, ValueError, MemoryError) as error:
            # What a decoder is left like after an error is its own affair: the next picture gets a new one.
            del self._contexts[key]
            raise Unreadable(f"expected a {frame.codec} picture, got {said(error)}") from None
        if last is None:
            raise Unreadable(f"expected a {frame.codec} picture, got none out of {len(frame.packets)} packets")
        return last

    def _context(self, codec: str, extradata: bytes) -> av.VideoCodecContext:
        key = (codec, extradata)
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = _open(codec, extradata, self.max_pixels)
        self._contexts.move_to_end(key)
        while len(self._contexts) > _CONTEXTS:
            self._contexts.popitem(last=False)
        return context

    def _check_size(self, frame: Frame, size: tuple[int, int]) -> None:
        width, height = size
        if width * height > self.max_pixels:
            raise Unreadable(f"expected at most {self.max_pixels} pixels, got {width}×{height}")
        ratio = max(width / max(1, height), height / max(1, width))
        if width < _SMALLEST[0] or height < _SMALLEST[1] or ratio > _LONGEST_SIDE_RATIO:
            raise Unreadable(f"expected a camera's picture, got {width}×{height}")
        if frame.codec not in _IN_BAND:
            return
        # A damaged parameter set claims any size. A camera that really changed says the same again in its next picture.
        known = self._sizes.get(frame.camera)
        if known is not None and known != size and self._doubted.get(frame.camera) != size:
            self._doubted[frame.camera] = size
            raise Unreadable(f"expected {known[0]}×{known[1]} as before, got {width}×{height} once")
        self._sizes[frame.camera] = size
        self._doubted.pop(frame.camera, None)


def planes(decoded: av.VideoFrame) -> Picture:
    """A libav picture as 4:2:0 planes of video range: views of the decoder's own memory where they can be."""
    if decoded.format.name != "yuv420p":
        decoded = decoded.reformat(format="yuv420p", dst_color_range="MPEG")
    y, u, v = (_plane(plane) for plane in decoded.planes[:3])
    return Picture(y, u, v)


def _plane(plane: av.video.plane.VideoPlane) -> Plane:
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


def _open(codec: str, extradata: bytes, max_pixels: int) -> av.VideoCodecContext:
    try:
        context = av.CodecContext.create(codec, "r")
    except (av.error.FFmpegError, ValueError):
        raise Unreadable(f"expected a codec that libav decodes, got {codec!r}") from None
    if not isinstance(context, av.VideoCodecContext):
        raise Unreadable(f"expected a video codec, got {codec!r}")
    context.thread_count = 1
    context.options = {"max_pixels": str(max_pixels)} | _STRICTNESS.get(codec, {})
    if extradata:
        context.extradata = extradata
    return context


def _context_key(frame: Frame) -> tuple[str, bytes]:
    """Parameter sets in Annex B go in front of the picture, so that cameras share a decoder; others need their own."""
    return frame.codec, b"" if _is_annex_b(frame) else frame.extradata


def opened(frame: Frame, max_pixels: int) -> av.VideoCodecContext:
    """A decoder for what this frame begins. Raises Unreadable when there is none."""
    return _open(*_context_key(frame), max_pixels)


def coded(frame: Frame) -> list[av.Packet[av.stream.Stream]]:
    """The packets as a decoder takes them: parameter sets in front of a keyframe where they are of its kind."""
    if not frame.packets or not frame.packets[0]:
        raise Unreadable("expected a picture, got nothing")
    first, rest = frame.packets[0], frame.packets[1:]
    if frame.since == 0 and _is_annex_b(frame):
        first = frame.extradata + first
    packets: list[av.Packet[av.stream.Stream]] = [av.Packet(each) for each in (first, *rest)]
    if frame.codec in _ALL_KEY:
        for packet in packets:
            packet.is_keyframe = True
    return packets


def _is_annex_b(frame: Frame) -> bool:
    return frame.codec in _IN_BAND and frame.extradata[:3] in (b"", b"\0\0\0", b"\0\0\1")


def said(error: Exception) -> str:
    """libav's words without the address it likes to add."""
    text: object = getattr(error, "strerror", None)
    return str(text or type(error).__name__)
