"""How a camera's view looks: one remembered picture for each light it is seen in, kept across restarts."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from citybrain.errors import Unreadable
from ingest.quality.place import edges
from ingest.quality.sight import HEIGHT, WIDTH, Floats, cell_deviations, cell_means

_MAGIC = b"cbu1"
_ADAPT_S = 600.0  # how fast a view follows the light
_STEP_S = 20.0  # how long its measures stand before they are taken anew
_FINE: Floats = np.array([[1, -2, 1]], np.float32)
_CLIPPED = 233  # what a sensor gives for all it cannot tell apart


class Light(IntEnum):
    """What a view is seen by: edges and shades differ between these more than a moved camera changes them."""

    DAY = 0
    NIGHT = 1
    INFRARED = 2


class Shown:
    """One thumbnail and its measures, each taken when first asked for."""

    def __init__(self, luma: Floats) -> None:
        self.luma = luma

    @cached_property
    def mean(self) -> float:
        return float(cv2.mean(self.luma)[0])

    @cached_property
    def means(self) -> Floats:
        return cell_means(self.luma)

    @cached_property
    def deviations(self) -> Floats:
        return cell_deviations(self.luma, self.means)

    @cached_property
    def edges(self) -> Floats:
        return edges(self.luma)

    @cached_property
    def clipped(self) -> Floats:
        """The share of each cell that is as bright as the sensor can say."""
        return cell_means((self.luma >= _CLIPPED).astype(np.float32))

    @cached_property
    def fine(self) -> tuple[Floats, Floats]:
        """Per cell, detail of one value's width across and down as a share of all contrast: haze and dusk dim both."""
        contrast = self.deviations * self.deviations + 1.0
        across, down = (cv2.filter2D(self.luma, -1, kernel) for kernel in (_FINE, _FINE.T))
        return cell_means(np.asarray(across * across, np.float32)) / contrast, cell_means(
            np.asarray(down * down, np.float32)
        ) / contrast


@dataclass(slots=True)
class View:
    """The view in one light. `follow` lets it go with shadows and seasons; `shown` is how it looked a moment ago."""

    luma: Floats
    shown: Shown = field(init=False)
    _stale_s: float = 0.0

    def __post_init__(self) -> None:
        self.shown = Shown(self.luma.copy())

    def follow(self, now: Floats, elapsed_s: float, hidden: npt.NDArray[np.bool_]) -> None:
        """Go a little towards what is seen now, except in cells that are hidden: what covers a lens is no street."""
        share = np.float32(min(60.0, max(0.0, elapsed_s)) / _ADAPT_S)
        step = (now - self.luma) * share
        if hidden.any():
            step[np.kron(hidden, np.ones((HEIGHT // hidden.shape[0], WIDTH // hidden.shape[1]), bool))] = 0
        self.luma += step
        self._stale_s += elapsed_s
        if self._stale_s >= _STEP_S:
            self._stale_s, self.shown = 0.0, Shown(self.luma.copy())


def write_views(views: dict[Light, View]) -> bytes:
    body = b"".join(
        bytes([light]) + np.clip(np.rint(view.luma), 0, 255).astype(np.uint8).tobytes()
        for light, view in sorted(views.items())
    )
    return _MAGIC + zlib.compress(body, 1)


def read_views(baseline: bytes) -> dict[Light, View]:
    """Raises Unreadable when it is no baseline; empty bytes are a camera that nobody knows yet."""
    if not baseline:
        return {}
    size = HEIGHT * WIDTH
    try:
        body = zlib.decompress(baseline.removeprefix(_MAGIC)) if baseline.startswith(_MAGIC) else b"?"
        views = np.frombuffer(body, np.uint8).reshape(-1, size + 1)
        return {Light(int(view[0])): View(view[1:].reshape(HEIGHT, WIDTH).astype(np.float32)) for view in views}
    except (zlib.error, ValueError):
        raise Unreadable(f"expected a camera's baseline, got {baseline[:8]!r}…") from None
