"""Looks again, from further away, at what seems to fill much of a view.

A model has learnt fires as cameras see them: small things in a wide view. Of one that fills the picture it is unsure, and as unsure
of grey road or a pale wall. At half the scale the fire is still there, often surer; road and wall are not:

     the whole view               the same at half the scale
┌───────────────────────┐        ┌───────────┐
│  ┌─────────────────┐  │        │ ┌───────┐ │      smoke 0.11 and fire 0.07: 0.17, by two looks
│  │ smoke 0.11      │  │   +    │ │ 0.07  │ │      smoke 0.11 and nothing:   none
│  └─────────────────┘  │        │ └───────┘ │
└───────────────────────┘        └───────────┘

Small things are left to the first look: at half the scale they would be gone. What this is worth is measured in
models/cards/city-n.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from citybrain.domain.detection import Detection
from citybrain.domain.geometry import Box
from detectors.config import Confidence, SecondLook

SHARE = 0.5
"""Of the scale of the first look."""
_SAME = 0.5  # of the smaller of two boxes lies in the other


class TwoLooks:
    """Which candidates of a first look ask for a second, and what the two say together. Without settings for it, none does."""

    def __init__(self, asked: SecondLook | None, confidence: Confidence) -> None:
        self._asked, self._confidence = asked, confidence

    def asks(self, first: Sequence[Detection]) -> bool:
        """Whether the picture is to be looked at again."""
        return any(self._is_large(each) for each in first)

    def sure(self, first: Sequence[Detection]) -> list[Detection]:
        """What counts without a second look."""
        return [each for each in first if self._counts(each) and not self._is_large(each)]

    def settled(self, first: Sequence[Detection], second: Sequence[Detection]) -> list[Detection]:
        """What counts after both looks, surest first: large things by both, as if they erred independently."""
        seen = [each for each in first if not self._is_large(each)]
        for each in filter(self._is_large, first):
            again = max((other.confidence for other in second if self._is_same(each, other)), default=0.0)
            if again > 0:
                seen.append(replace(each, confidence=1 - (1 - each.confidence) * (1 - again)))
        told: list[Detection] = []
        for each in sorted(filter(self._counts, seen), key=lambda each: -each.confidence):
            # Of several boxes about one fire all are vouched for by the same second look.
            repeated = any(each.label == other.label and _shared(each.box, other.box) > _SAME for other in told)
            if not (repeated and self._is_large(each)):
                told.append(each)
        return told

    def _is_large(self, each: Detection) -> bool:
        asked = self._asked
        return asked is not None and each.label in asked.labels and each.box.area >= asked.area

    def _is_same(self, each: Detection, other: Detection) -> bool:
        return self._asked is not None and other.label in self._asked.labels and _shared(each.box, other.box) > _SAME

    def _counts(self, each: Detection) -> bool:
        return each.confidence >= self._confidence.of(each.label)


def _shared(a: Box, b: Box) -> float:
    """The share of the smaller box that lies in the other, 0..1."""
    return max(a.covered_by(b), b.covered_by(a))
