"""Holds what a detector found in a picture against what is there: question by question, box by box.

A *question* is one class (`car`) or several that count as one (`fire_or_smoke`, `vehicle`). What is found goes surest first
to the thing that it overlaps most, of those still free; an overlap (intersection over union) of 0.5 makes it a hit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from citybrain.domain.detection import Detection
from citybrain.domain.geometry import Box

Cells = npt.NDArray[np.bool_]

LEAST_OVERLAP = 0.5
SAME_THING = 0.7
"""Two labels of one question whose boxes overlap by this much saw one thing, as for classes under one label of a detector."""
MOSTLY = 0.5
"""The share of a found box beyond which it lies in a region where nothing is judged."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a picture: whether and where one of these labels is in it."""

    name: str
    labels: tuple[str, ...]

    @classmethod
    def of(cls, label: str) -> Question:
        return cls(label, (label,))


@dataclass(frozen=True, slots=True)
class Thing:
    """One labelled thing."""

    label: str
    box: Box


@dataclass(frozen=True, slots=True)
class Truth:
    """What people say of a picture: `judged` are the labels of which every instance is among the things."""

    judged: frozenset[str]
    things: tuple[Thing, ...] = ()
    ignored: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Points:
    """From which confidence on a detection counts, by label."""

    by_label: Mapping[str, float]
    default: float

    def of(self, label: str) -> float:
        return self.by_label.get(label, self.default)

    def counted(self, found: Iterable[Detection]) -> tuple[Detection, ...]:
        return tuple(each for each in found if each.confidence >= self.of(each.label))


@dataclass(frozen=True, slots=True)
class Match:
    """One thing found, and whether it is there."""

    detection: Detection
    hit: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one question comes out for one picture.

    `there` says whether it is in the picture, None when nobody labelled that. `matches` are surest first, without what counts
    neither way. Boxes count only where `complete`: each label of the question is labelled completely.
    """

    there: bool | None
    complete: bool
    matches: tuple[Match, ...]
    things: tuple[Thing, ...]
    missed: tuple[Thing, ...]

    @property
    def score(self) -> float:
        """How sure the detector is that it is in the picture at all."""
        return self.matches[0].detection.confidence if self.matches else 0.0

    @property
    def hits(self) -> int:
        return sum(each.hit for each in self.matches)


def outcome(
    truth: Truth, found: Iterable[Detection], question: Question, *, least_overlap: float = LEAST_OVERLAP
) -> Outcome:
    """The question's answer in this picture, by what was found, whatever its confidence."""
    things = [each for each in truth.things if each.label in question.labels]
    complete = truth.judged.issuperset(question.labels)
    there = True if things else False if complete else None
    free, matches = list(range(len(things))), []
    for each in _once(found, question):
        overlaps = {index: things[index].box.overlap(each.box) for index in free}
        best = max(free, key=overlaps.__getitem__, default=None)
        hit = best is not None and overlaps[best] >= least_overlap
        if best is not None and hit:
            free.remove(best)
        elif any(each.box.covered_by(region) > MOSTLY for region in truth.ignored):
            continue
        matches.append(Match(each, hit))
    return Outcome(there, complete, tuple(matches), tuple(things), tuple(things[index] for index in free))


def _once(found: Iterable[Detection], question: Question) -> list[Detection]:
    """What the question is about, surest first; a thing told under two of its labels is told once."""
    kept: list[Detection] = []
    for each in sorted(found, key=lambda one: -one.confidence):
        if each.label in question.labels and not any(
            other.label != each.label and other.box.overlap(each.box) >= SAME_THING for other in kept
        ):
            kept.append(each)
    return kept


def area_agreement(truth: Truth, found: Sequence[Detection], question: Question, *, grid: int = 96) -> tuple[int, int]:
    """Cells of the picture under both things and findings, and under either; what is ignored left out of both."""
    there = _covered([each.box for each in truth.things if each.label in question.labels], grid)
    told = _covered([each.box for each in found if each.label in question.labels], grid)
    judged = ~_covered(truth.ignored, grid)
    return int((there & told & judged).sum()), int(((there | told) & judged).sum())


def _covered(boxes: Iterable[Box], grid: int) -> Cells:
    cells = np.zeros((grid, grid), np.bool_)
    for each in boxes:
        cells[round(each.y1 * grid) : round(each.y2 * grid), round(each.x1 * grid) : round(each.x2 * grid)] = True
    return cells
