"""Fits a decoded picture into a model's input and takes boxes back: planes are resized straight into place.

┌─────────────────┐  ┐
│  grey bar       │  │ top          scale = min(input width / width, input height / height)
├─────────────────┤  ┘              The bars are the grey (114, 114, 114) that YOLO models were trained with, which is
│  the picture    │                 Y 114, U 128, V 128 in BT.601 video range. Everything is even: a chroma sample
├─────────────────┤                 covers two pixels.
│  grey bar       │
└─────────────────┘
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from citybrain.domain.geometry import Box
from citybrain.errors import Unreadable
from citybrain.ports import InputSpec, Picture, Plane

GREY_LUMA, GREY_CHROMA = 114, 128


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where a picture of one size lies in an input of another, in pixels of the input."""

    left: int
    top: int
    width: int
    height: int
    spec: InputSpec

    def picture_box(self, box: Box) -> Box | None:
        """A box 0..1 of the input as a box 0..1 of the picture, clipped to it; None when it lies in the bars alone."""
        x1, x2 = (_clip((x * self.spec.width - self.left) / self.width) for x in (box.x1, box.x2))
        y1, y2 = (_clip((y * self.spec.height - self.top) / self.height) for y in (box.y1, box.y2))
        return Box(x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None

    def input_box(self, box: Box) -> Box:
        """The inverse: a box 0..1 of the picture as a box 0..1 of the input."""
        return Box(
            (box.x1 * self.width + self.left) / self.spec.width,
            (box.y1 * self.height + self.top) / self.spec.height,
            (box.x2 * self.width + self.left) / self.spec.width,
            (box.y2 * self.height + self.top) / self.spec.height,
        )


@lru_cache(maxsize=256)
def letterbox(width: int, height: int, spec: InputSpec, share: float = 1.0) -> Letterbox:
    """Where a picture of that size goes: as large as fits, or that share of it, as if seen from further away."""
    scale = min(spec.width / width, spec.height / height) * share
    inner_width = min(spec.width, max(2, 2 * round(width * scale / 2)))
    inner_height = min(spec.height, max(2, 2 * round(height * scale / 2)))
    left = (spec.width - inner_width) // 4 * 2
    top = (spec.height - inner_height) // 4 * 2
    return Letterbox(left, top, inner_width, inner_height, spec)


def input_shape(spec: InputSpec) -> tuple[int, ...]:
    """The shape of one picture in this layout."""
    return (spec.height, spec.width, 3) if spec.format == "rgb24" else (spec.height * 3 // 2, spec.width)


def fit(picture: Picture, spec: InputSpec, out: Plane, *, share: float = 1.0) -> Letterbox:
    """Write the picture into `out`, one input of `input_shape`, overwriting all of it, and say where it went.

    `share` is how much of the width or height that it could have it gets.

    Raises Unreadable when the planes do not belong together.
    """
    _check(picture)
    place = letterbox(picture.width, picture.height, spec, share)
    if spec.format == "rgb24":
        planar = np.empty((spec.height * 3 // 2, spec.width), np.uint8)
        _fit_i420(picture, place, planar)
        cv2.cvtColor(planar, cv2.COLOR_YUV2RGB_I420, dst=out)
    elif spec.format == "nv12":
        _fit_nv12(picture, place, out)
    else:
        _fit_i420(picture, place, out)
    return place


def _fit_i420(picture: Picture, place: Letterbox, out: Plane) -> None:
    height, width = place.spec.height, place.spec.width
    luma, chroma = out[:height], out[height:].reshape(2, height // 2, width // 2)
    _put(picture.y, luma, place, GREY_LUMA, halved=False)
    _put(picture.u, chroma[0], place, GREY_CHROMA, halved=True)
    _put(picture.v, chroma[1], place, GREY_CHROMA, halved=True)


def _fit_nv12(picture: Picture, place: Letterbox, out: Plane) -> None:
    height, width = place.spec.height, place.spec.width
    _put(picture.y, out[:height], place, GREY_LUMA, halved=False)
    chroma = np.empty((2, height // 2, width // 2), np.uint8)
    _put(picture.u, chroma[0], place, GREY_CHROMA, halved=True)
    _put(picture.v, chroma[1], place, GREY_CHROMA, halved=True)
    out[height:].reshape(height // 2, width // 2, 2)[:] = chroma.transpose(1, 2, 0)


def _put(plane: Plane, out: Plane, place: Letterbox, grey: int, *, halved: bool) -> None:
    left, top, width, height = place.left, place.top, place.width, place.height
    if halved:
        left, top, width, height = left // 2, top // 2, width // 2, height // 2
    out[:top] = grey
    out[top + height :] = grey
    out[top : top + height, :left] = grey
    out[top : top + height, left + width :] = grey
    inner = out[top : top + height, left : left + width]
    cv2.resize(plane, (width, height), dst=inner, interpolation=_interpolation(plane, width, height))


def _interpolation(plane: Plane, width: int, height: int) -> int:
    """Linear; at an odd whole factor, such as 1080p into 640, that is the pixel in the middle, for a quarter of the work."""
    (down, rest_down), (across, rest_across) = divmod(plane.shape[0], height), divmod(plane.shape[1], width)
    odd = not rest_down and not rest_across and down % 2 == across % 2 == 1
    return cv2.INTER_NEAREST_EXACT if odd else cv2.INTER_LINEAR


def _check(picture: Picture) -> None:
    height, width = picture.y.shape if picture.y.ndim == 2 else (0, 0)
    expected = ((height + 1) // 2, (width + 1) // 2)
    planes = (picture.y, picture.u, picture.v)
    if height < 2 or width < 2 or picture.u.shape != expected or picture.v.shape != expected:
        found = ", ".join(str(plane.shape) for plane in planes)
        raise Unreadable(f"expected planes (height, width) and twice (⌈height/2⌉, ⌈width/2⌉), got {found}")
    if any(plane.dtype != np.uint8 for plane in planes):
        raise Unreadable(f"expected 8-bit planes, got {', '.join(str(plane.dtype) for plane in planes)}")


def _clip(value: float) -> float:
    return min(1.0, max(0.0, value))
