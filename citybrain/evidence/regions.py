"""Where faces and plates may be in a picture, by what was seen in it.

    person   ┌───────┐ head: the upper third, a little beyond     vehicle  ┌───────────┐
             │▒▒▒▒▒▒▒│ (all of somebody who lies or bends)                 │           │
             │       │                                                    │▒▒▒▒▒▒▒▒▒▒▒│ plate: the lower half, whole width
             └───────┘                                                    └───────────┘

The box of a motorcycle may hold its rider: it has both. A region too many costs a few pixels, one too few costs somebody their
privacy: every box counts, whatever its confidence. How much this finds is measured in docs/safety.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from citybrain.domain.geometry import Box

HEAD_CELLS, PLATE_CELLS = 4, 6
"""Into how many cells across a region is pixelated: a head is about two of them wide then, a plate two by one."""

_HEAD = 1 / 3
_HEAD_BEYOND = 0.10  # of the box: beside and above it
_PLATE_FROM, _PLATE_BEYOND = 0.45, 0.03
_LYING = 0.9  # as wide as that for its height: the head may be at either end


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that was seen in a picture: its label and where."""

    label: str
    box: Box


@dataclass(frozen=True, slots=True)
class Masking:
    """Whether pictures are masked, whose heads and which vehicles' plates."""

    on: bool = True
    heads_of: Sequence[str] = ("person", "motorcycle", "bicycle")
    plates_of: Sequence[str] = ("car", "bus", "truck", "motorcycle")

    def regions(self, seen: Iterable[Seen]) -> list[Region]:
        """Where heads and plates may be."""
        found = []
        for each in seen:
            if each.label in self.heads_of:
                found.append(_head(each.box))
            if each.label in self.plates_of:
                found.append(_plate(each.box))
        return found


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a picture, and into how many cells across it is to be pixelated."""

    box: Box
    cells: int


def _head(box: Box) -> Region:
    width, height = box.x2 - box.x1, box.y2 - box.y1
    beside, above = width * _HEAD_BEYOND, height * _HEAD_BEYOND
    bottom = box.y2 if width > height * _LYING else box.y1 + height * _HEAD
    return Region(within(box.x1 - beside, box.y1 - above, box.x2 + beside, bottom), HEAD_CELLS)


def _plate(box: Box) -> Region:
    width, height = box.x2 - box.x1, box.y2 - box.y1
    beside, below = width * _PLATE_BEYOND, height * _PLATE_BEYOND
    top = box.y1 + height * _PLATE_FROM
    return Region(within(box.x1 - beside, top, box.x2 + beside, box.y2 + below), PLATE_CELLS)


def within(x1: float, y1: float, x2: float, y2: float) -> Box:
    """The box, cut off at the picture's edges."""
    return Box(*(min(1.0, max(0.0, each)) for each in (x1, y1, x2, y2)))
