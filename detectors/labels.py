"""Turns a model's classes into our labels and drops what is too unsure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from citybrain.domain.detection import Detection
from detectors.config import Confidence

SAME_THING = 0.7
"""Two model classes under one label that overlap by this much saw one thing: no van is a car and a truck at once."""


class Labels:
    """Knows what each model class is called here, and from which confidence on each label counts."""

    def __init__(self, labels: Mapping[str, str], confidence: Confidence) -> None:
        self._labels = labels
        self._confidence = confidence
        given = list(labels.values())
        self._shared = {label for label in given if given.count(label) > 1}

    def apply(self, seen: Iterable[Detection]) -> list[Detection]:
        """Detections under our labels, surest first; where classes share a label, one thing is told once."""
        named: list[tuple[str, Detection]] = []
        for each in seen:
            label = self._labels.get(each.label)
            if label is not None and each.confidence >= self._confidence.of(label):
                named.append((each.label, replace(each, label=label)))
        named.sort(key=lambda pair: -pair[1].confidence)
        kept: list[tuple[str, Detection]] = []
        for model_class, each in named:
            if each.label in self._shared and any(
                other.label == each.label and other_class != model_class and other.box.overlap(each.box) >= SAME_THING
                for other_class, other in kept
            ):
                continue
            kept.append((model_class, each))
        return [each for _, each in kept]
