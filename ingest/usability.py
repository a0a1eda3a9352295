"""Whether a picture can be judged by: black, frozen, blurred, occluded or moved, told from a thumbnail and what it was.

A camera's baseline holds how its view looks by day and by night. It is kept across restarts: what a camera shows after
one is compared with what it showed before, and a camera that was turned meanwhile does not pass for a new normal.
"""

from __future__ import annotations

import hashlib
import zlib
from datetime import datetime, timedelta

import cv2
import numpy as np
import numpy.typing as npt

from citybrain.domain.detection import Usable
from citybrain.errors import Unreadable
from citybrain.ports import Picture

Thumbnail = npt.NDArray[np.uint8]
_Float = npt.NDArray[np.float32]

HEIGHT, WIDTH = 90, 160
FROZEN_AFTER = timedelta(seconds=10)
_BLACK, _LIT = 40, 0.002  # luma that a lamp exceeds, and the share of the view that one lamp lights
_NIGHT = 70.0  # mean luma below which a view is compared with how it looks by night
_FLAT, _TEXTURED = 2.5, 6.0  # deviation within a cell: sensor noise alone, and something to see
_HIDDEN = 0.5  # share of what was textured that must be flat
_SOFT = 0.3  # sharpness left of what it was
_ALIKE = 0.6  # correlation of the cells' means when it is the same view
_SHIFT_PX, _PEAK = 4.0, 0.12  # thumbnail pixels (40 px at 1600), and how clear the correlation's peak must be
_STRANGE = 0.3  # correlation of edges: of one street in one light 0.44 and more, of two streets up to 0.29
_ADAPT_S = 600.0  # how fast the reference follows the light
_MAGIC = b"cbu1"
_WINDOW: _Float = np.asarray(cv2.createHanningWindow((WIDTH, HEIGHT), cv2.CV_32F), np.float32)


def thumbnail(picture: Picture) -> Thumbnail:
    """160 × 90 luma values of the picture, taken at even steps: (90, 160) uint8, whatever the picture's size."""
    rows = (np.arange(HEIGHT) * picture.height + picture.height // 2) // HEIGHT
    columns = (np.arange(WIDTH) * picture.width + picture.width // 2) // WIDTH
    return np.ascontiguousarray(picture.y[rows[:, None], columns[None, :]])


class Usability:
    """One camera's verdicts, look by look. Raises Unreadable for a baseline that is not one.

    A camera that is not `fixed`, a dome on patrol, has no view to compare with: it is never blurred, occluded or moved.
    """

    def __init__(self, baseline: bytes = b"", *, fixed: bool = True) -> None:
        self._views = _read(baseline)
        self._fixed = fixed
        self._digest = b""
        self._same_since: datetime | None = None
        self._last_at: datetime | None = None

    @property
    def baseline(self) -> bytes:
        """How the view looks, to be handed to the next `Usability` of this camera."""
        body = b"".join(
            bytes([night]) + np.clip(np.rint(view), 0, 255).astype(np.uint8).tobytes()
            for night, view in sorted(self._views.items())
        )
        return _MAGIC + zlib.compress(body, 1)

    def judge(self, y_thumbnail: Thumbnail, captured_at: datetime) -> Usable:
        """The verdict on one look; `captured_at` must not run backwards."""
        frozen = self._frozen(y_thumbnail, captured_at)
        if _dark(y_thumbnail):
            return Usable.DARK
        if frozen:
            return Usable.FROZEN
        if not self._fixed:
            return Usable.OK
        now = y_thumbnail.astype(np.float32)
        night = bool(now.mean() < _NIGHT)
        view = self._views.get(night)
        if view is None:
            return self._first(now, night=night)
        usable = _compare(now, view)
        if usable is Usable.OK:
            self._follow(now, view, captured_at, night=night)
        self._last_at = captured_at
        return usable

    def _frozen(self, thumb: Thumbnail, at: datetime) -> bool:
        """A sensor's noise makes every picture of a still street different: the same bits again are not a look."""
        digest = hashlib.blake2b(thumb.tobytes(), digest_size=16).digest()
        if digest != self._digest or self._same_since is None:
            self._digest, self._same_since = digest, at
        return at - self._same_since >= FROZEN_AFTER

    def _first(self, now: _Float, *, night: bool) -> Usable:
        """Nothing to compare with: only what is plain without, and what is plain becomes the reference."""
        if (_deviation(now) < _FLAT).mean() > 0.95:
            return Usable.OCCLUDED
        other = self._views.get(not night)
        if other is not None:
            # By another light edges differ: only what no light does is held against it.
            usable = _compare(now, other)
            if usable is Usable.OCCLUDED or _shifted(now, other):
                return usable
        self._views[night] = now
        return Usable.OK

    def _follow(self, now: _Float, view: _Float, at: datetime, *, night: bool) -> None:
        if self._last_at is None:
            return
        elapsed = min(60.0, max(0.0, (at - self._last_at).total_seconds()))
        self._views[night] = view + np.float32(elapsed / _ADAPT_S) * (now - view)


def _compare(now: _Float, view: _Float) -> Usable:
    was, deviation = _deviation(view), _deviation(now)
    textured = was > _TEXTURED
    alike = _correlation(_cells(now), _cells(view))
    if textured.any():
        hidden = float((deviation[textured] < np.minimum(_FLAT, was[textured] / 3)).mean())
        if hidden > _HIDDEN and alike < _ALIKE:
            return Usable.OCCLUDED
    if _sharpness(now) < _SOFT * _sharpness(view) and (alike > _ALIKE or not _has_edges(now)):
        return Usable.BLURRED
    if _shifted(now, view) or _strange(now, view):
        return Usable.MOVED
    return Usable.OK


def _dark(thumb: Thumbnail) -> bool:
    """Black all over: a street at night has a lamp, a window, a headlight somewhere."""
    return float((thumb > _BLACK).mean()) < _LIT


def _cells(thumb: _Float) -> _Float:
    """Means of 9 × 16 cells."""
    return np.asarray(thumb.reshape(9, 10, 16, 10).mean(axis=(1, 3)), np.float32)


def _deviation(thumb: _Float) -> _Float:
    """Standard deviation within each of 9 × 16 cells."""
    return np.asarray(thumb.reshape(9, 10, 16, 10).std(axis=(1, 3)), np.float32)


def _sharpness(thumb: _Float) -> float:
    """Fine detail as a share of all contrast, so that haze and dusk, which dim both, do not pass for blur."""
    fine = float(np.var(cv2.Laplacian(thumb, cv2.CV_32F)))
    return fine / (float(np.var(thumb)) + 1.0)


def _has_edges(thumb: _Float) -> bool:
    return bool((_deviation(thumb) > _TEXTURED).mean() > 0.1)


def _edges(thumb: _Float) -> _Float:
    """Strength of edges, evened out so that one headlight does not outweigh the street, and softened against noise."""
    soft = cv2.GaussianBlur(thumb, (5, 5), 1.2)
    dx, dy = cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)
    return np.asarray(np.sqrt(cv2.magnitude(dx, dy)), np.float32)


def _shifted(now: _Float, view: _Float) -> bool:
    """Whether the whole view stands elsewhere: a clear peak of phase correlation, away from the middle."""
    (x, y), peak = cv2.phaseCorrelate(_edges(view), _edges(now), _WINDOW)
    return peak > _PEAK and float(np.hypot(x, y)) > _SHIFT_PX


def _strange(now: _Float, view: _Float) -> bool:
    """Another view altogether: nothing where it was. Light alone moves edges less than that."""
    return _correlation(_edges(now), _edges(view)) < _STRANGE


def _correlation(a: _Float, b: _Float) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size > 0 else 0.0


def _read(baseline: bytes) -> dict[bool, _Float]:
    if not baseline:
        return {}
    size = HEIGHT * WIDTH
    try:
        body = zlib.decompress(baseline.removeprefix(_MAGIC)) if baseline.startswith(_MAGIC) else b"?"
    except zlib.error:
        body = b"?"
    if len(body) % (size + 1):
        raise Unreadable(f"expected a camera's baseline, got {baseline[:8]!r}…")
    views: dict[bool, _Float] = {}
    for start in range(0, len(body), size + 1):
        view = np.frombuffer(body, np.uint8, size, start + 1).reshape(HEIGHT, WIDTH)
        views[bool(body[start])] = view.astype(np.float32)
    return views
