"""What a model must find in pictures that ship: read from the small YAML beside its card, and held against what it sees.

    model: city-n
    version: 2
    pictures:
      - picture: evaluation/pictures/street/corner.jpg    # below the folder of registry.yaml
        finds:
          - {label: car, box: [0.12, 0.40, 0.33, 0.71], confidence: 0.55}
        without: {fire: 0.4}                              # not from this confidence on

It is a file of its own because neither of the two that name it can hold it: the registry is written by the export, which
looks at no picture, and the card is prose. A box is what people drew, not what the model answered; the confidence is the
least that any form of the model may have, some way below what all of them had.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from citybrain.configuration import Section, parse, read
from citybrain.domain.detection import Detection
from citybrain.domain.geometry import Box
from citybrain.errors import Fault

LEAST_OVERLAP = 0.5
"""Intersection over union from which on a box is the one that was drawn."""

Share = Annotated[float, Field(ge=0, le=1)]
Confidence = Annotated[float, Field(gt=0, lt=1)]


class Finding(Section):
    """One thing in a picture: left, top, right, bottom, and how sure of it the model must be at least."""

    label: str
    box: tuple[Share, Share, Share, Share]
    confidence: Confidence

    @model_validator(mode="after")
    def _is_a_box(self) -> Self:
        if self.where.area <= 0:
            raise ValueError(f"box: expected left, top, right, bottom of something, got {list(self.box)}")
        return self

    @property
    def where(self) -> Box:
        return Box(*self.box)

    def within(self, place: Box) -> Finding:
        """The same thing as it lies in a part of the picture, cut off at its edges."""
        wide, high = place.x2 - place.x1, place.y2 - place.y1
        left, right = (min(1.0, max(0.0, (x - place.x1) / wide)) for x in (self.where.x1, self.where.x2))
        top, bottom = (min(1.0, max(0.0, (y - place.y1) / high)) for y in (self.where.y1, self.where.y2))
        return Finding(label=self.label, box=(left, top, right, bottom), confidence=self.confidence)


class InPicture(Section):
    """One picture, what is to be found in it, and which classes are not, from which confidence on."""

    picture: str
    finds: tuple[Finding, ...] = ()
    without: dict[str, Confidence] = Field(default_factory=dict)


class Findings(Section):
    """The file."""

    model: str
    version: int = Field(ge=1)
    pictures: tuple[InPicture, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _something_is_found(self) -> Self:
        if not any(each.finds for each in self.pictures):
            raise ValueError("expected something to be found in one of the pictures at least")
        return self


def load_findings(path: Path, *, faults: list[Fault]) -> Findings | None:
    """The file, or None after adding what is wrong with it."""
    value = read(path, faults=faults)
    return None if value is None else parse(Findings, value, file=str(path), faults=faults)


def is_met(wanted: Finding, seen: Sequence[Detection]) -> bool:
    """Whether it was found: its class, where it is, and sure enough."""
    return any(
        each.label == wanted.label
        and each.confidence >= wanted.confidence
        and each.box.overlap(wanted.where) >= LEAST_OVERLAP
        for each in seen
    )


def expected(wanted: Finding) -> str:
    """A finding in words."""
    return f"{wanted.label} of at least {wanted.confidence:.2f} at {_at(wanted.where)}"


def nearest(wanted: Finding, seen: Sequence[Detection]) -> str:
    """What was there instead, in words: what lies where it should, of its class if there is one."""
    there = [each for each in seen if each.box.overlap(wanted.where) >= LEAST_OVERLAP]
    if there:
        best = max(there, key=lambda each: (each.label == wanted.label, each.confidence))
        return f"{best.label} of {best.confidence:.2f} there"
    elsewhere = [each for each in seen if each.label == wanted.label]
    if elsewhere:
        best = max(elsewhere, key=lambda each: (each.box.overlap(wanted.where), each.confidence))
        return f"{best.label} of {best.confidence:.2f} at {_at(best.box)}"
    return f"nothing there, and no {wanted.label} elsewhere"


def wrongly_found(label: str, least: float, seen: Sequence[Detection]) -> Detection | None:
    """The surest thing of a class that is not in the picture, if it was found from that confidence on."""
    return max(
        (each for each in seen if each.label == label and each.confidence >= least),
        key=lambda each: each.confidence,
        default=None,
    )


def _at(box: Box) -> str:
    return "[" + ", ".join(f"{side:.2f}" for side in box.as_list()) + "]"
