"""Looks at the part of a view that changed: a window at the same scale costs a quarter of the whole.

┌───────────────────────────┐   cells that changed (▪) and what stood there before are covered by one window, or
│        ┌─────────┐        │   two. What lies within a window is what was seen in it now; what lies elsewhere
│  car   │ ▪▪  car │        │   did not change and is what was seen before.
│        │  ▪      │   car  │
│        └─────────┘        │   Whatever cannot be settled so (a change too large, a thing cut by a window's edge
└───────────────────────────┘   that nobody knew before) asks for a look at the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import inf

import cv2
import numpy as np

from citybrain.domain.detection import Detection
from citybrain.domain.geometry import Box
from citybrain.ports import InputSpec, Picture
from detectors.gate import Cells
from detectors.letterbox import letterbox

MOST = 0.7
"""Share of the whole's pixels that windows may have together: with more the whole costs as much, and says more."""

_PATCHES = 16  # changes in so many places at once are no few things that move
_AROUND = 0.5  # of a cell: what moves is larger than what changes, and a model wants to see where it stands
_EDGE = 0.012  # of a window: a box that comes this near to its edge may be cut
_KNOWN = 0.5  # of a cut thing's visible part that lies in what was known before


@dataclass(frozen=True, slots=True)
class Part:
    """What a look may confine itself to: cells that changed since `before` was seen."""

    cells: Cells
    before: tuple[Detection, ...]


@dataclass(frozen=True, slots=True)
class Size:
    """A size of window on pictures of one size: shares of their width and height, and its share of the whole's pixels."""

    width: float
    height: float
    cost: float

    def fits(self, box: Box) -> bool:
        return _wide(box) <= self.width and _high(box) <= self.height


@dataclass(frozen=True, slots=True)
class Window:
    """Where to look, and which of the sizes it has."""

    box: Box
    size: int


def sizes(width: int, height: int, whole: InputSpec, windows: Sequence[InputSpec]) -> list[Size]:
    """How large windows are on pictures of that size, at the scale at which wholes go in."""
    place = letterbox(width, height, whole)
    return [
        Size(
            min(1.0, window.width / place.width),
            min(1.0, window.height / place.height),
            window.width * window.height / (whole.width * whole.height),
        )
        for window in windows
    ]


def plan(part: Part, offered: Sequence[Size]) -> tuple[Window, ...] | None:
    """The cheapest windows found that show all that changed, none when nothing did; None when the whole is to be seen.

    A thing that is larger than any window is left to the next look at the whole, unless as much of the view changed.
    """
    before = [each.box for each in part.before if any(size.fits(each.box) for size in offered)]
    groups = [_with_what_stood_there(each, before) for each in _changed(part.cells)]
    if len(groups) > _PATCHES:
        return None
    joined = True
    while joined:
        joined = False
        for a, b in combinations(groups, 2):
            both = _bounds((a, b))
            if _cost(both, offered) <= _cost(a, offered) + _cost(b, offered) and _cost(both, offered) < inf:
                groups = [each for each in groups if each is not a and each is not b] + [both]
                joined = True
                break
    if sum(_cost(each, offered) for each in groups) > MOST:
        return None
    chosen = [min((size.cost, index) for index, size in enumerate(offered) if size.fits(each))[1] for each in groups]
    return tuple(Window(_placed(each, offered[index]), index) for each, index in zip(groups, chosen, strict=True))


def merged(part: Part, windows: Sequence[Box], seen: Sequence[Sequence[Detection]]) -> list[Detection] | None:
    """What the whole view shows now, surest first, from what was seen in each window; None when it must be looked at whole.

    Where nothing changed nothing is learnt: without what is around it a model is more easily wrong.
    """
    patches = list(_changed(part.cells))
    kept = [
        each
        for each in part.before
        if not any(_touch(each.box, patch) for patch in patches)
        or not any(_within(each.box, window) for window in windows)  # too large: water on which something moved
    ]
    fresh: list[Detection] = []
    for window, found in zip(windows, seen, strict=True):
        for each in found:
            if not any(_touch(each.box, patch) for patch in patches):
                continue
            if any(each.label == other.label and _share_in(each.box, other.box) >= _KNOWN for other in kept):
                continue
            if _is_cut(each.box, window):
                if any(_within(each.box, other) for other in windows if other is not window):
                    continue
                return None
            if not any(each.label == other.label and each.box.overlap(other.box) >= _KNOWN for other in fresh):
                fresh.append(each)
    return sorted([*kept, *fresh], key=lambda each: -each.confidence)


def covered(windows: Sequence[Box], shape: tuple[int, int]) -> Cells:
    """The cells of a grid that lie wholly within a window."""
    rows, columns = shape
    cells = np.zeros(shape, bool)
    for window in windows:
        top, bottom = int(np.ceil(window.y1 * rows - 1e-6)), int(window.y2 * rows + 1e-6)
        left, right = int(np.ceil(window.x1 * columns - 1e-6)), int(window.x2 * columns + 1e-6)
        cells[top:bottom, left:right] = True
    return cells


def cut(picture: Picture, window: Box) -> tuple[Picture, Box]:
    """The window's part of a picture, views of its planes, and where it really lies: chroma samples cover two pixels."""
    width, height = picture.width, picture.height
    wide = min(width, 2 * round(_wide(window) * width / 2))
    high = min(height, 2 * round(_high(window) * height / 2))
    left = min(2 * round(window.x1 * width / 2), (width - wide) // 2 * 2)
    top = min(2 * round(window.y1 * height / 2), (height - high) // 2 * 2)
    half = slice(top // 2, (top + high + 1) // 2), slice(left // 2, (left + wide + 1) // 2)
    part = Picture(picture.y[top : top + high, left : left + wide], picture.u[half], picture.v[half])
    return part, Box(left / width, top / height, (left + wide) / width, (top + high) / height)


def outwards(box: Box, window: Box) -> Box:
    """A box 0..1 of a window as a box 0..1 of the picture."""
    wide, high = _wide(window), _high(window)
    return Box(
        window.x1 + box.x1 * wide,
        window.y1 + box.y1 * high,
        min(1.0, window.x1 + box.x2 * wide),
        min(1.0, window.y1 + box.y2 * high),
    )


def _changed(cells: Cells) -> Iterator[Box]:
    """A box around each patch of cells that changed, with some of what is around it."""
    rows, columns = cells.shape
    count, _, figures, _ = cv2.connectedComponentsWithStats(cells.astype(np.uint8), connectivity=8)
    for left, top, wide, high, _area in figures[1:count].tolist():
        yield Box(
            max(0.0, (left - _AROUND) / columns),
            max(0.0, (top - _AROUND) / rows),
            min(1.0, (left + wide + _AROUND) / columns),
            min(1.0, (top + high + _AROUND) / rows),
        )


def _with_what_stood_there(patch: Box, before: Sequence[Box]) -> Box:
    """The patch grown by all that was seen where it lies: a thing that moved is seen in full, or seen to be gone."""
    return _bounds([patch, *(each for each in before if _touch(each, patch))])


def _cost(box: Box, offered: Sequence[Size]) -> float:
    return min((size.cost for size in offered if size.fits(box)), default=inf)


def _placed(needed: Box, size: Size) -> Box:
    """A window with what is needed in its middle, as far as the picture's edges let it."""
    x1 = min(max(0.0, (needed.x1 + needed.x2 - size.width) / 2), 1.0 - size.width)
    y1 = min(max(0.0, (needed.y1 + needed.y2 - size.height) / 2), 1.0 - size.height)
    return Box(x1, y1, min(1.0, x1 + size.width), min(1.0, y1 + size.height))


def _is_cut(box: Box, window: Box) -> bool:
    """Whether the window's edge, where it is not the picture's, may have cut the thing."""
    across, down = _EDGE * _wide(window), _EDGE * _high(window)
    return (
        (window.x1 > 0 and box.x1 < window.x1 + across)
        or (window.y1 > 0 and box.y1 < window.y1 + down)
        or (window.x2 < 1 and box.x2 > window.x2 - across)
        or (window.y2 < 1 and box.y2 > window.y2 - down)
    )


def _within(box: Box, window: Box) -> bool:
    return window.x1 <= box.x1 and window.y1 <= box.y1 and box.x2 <= window.x2 and box.y2 <= window.y2


def _touch(a: Box, b: Box) -> bool:
    return a.x1 < b.x2 and b.x1 < a.x2 and a.y1 < b.y2 and b.y1 < a.y2


def _share_in(box: Box, other: Box) -> float:
    """The share of the first box that lies in the second."""
    wide, high = min(box.x2, other.x2) - max(box.x1, other.x1), min(box.y2, other.y2) - max(box.y1, other.y1)
    return max(0.0, wide) * max(0.0, high) / (_wide(box) * _high(box))


def _bounds(boxes: Sequence[Box]) -> Box:
    return Box(
        min(box.x1 for box in boxes),
        min(box.y1 for box in boxes),
        max(box.x2 for box in boxes),
        max(box.y2 for box in boxes),
    )


def _wide(box: Box) -> float:
    return box.x2 - box.x1


def _high(box: Box) -> float:
    return box.y2 - box.y1
