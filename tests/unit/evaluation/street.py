"""Small pictures' truths and findings, written short, for tests that count by hand."""

from __future__ import annotations

from pathlib import Path

from citybrain.domain.detection import Detection
from citybrain.domain.geometry import Box
from citybrain.evaluation.frames import Measured
from citybrain.evaluation.labelled import Labelled
from citybrain.evaluation.matching import Points, Thing, Truth

LEFT, MIDDLE, RIGHT = Box(0.0, 0.0, 0.2, 0.2), Box(0.4, 0.0, 0.6, 0.2), Box(0.8, 0.0, 1.0, 0.2)
ROAD = Box(0.0, 0.5, 1.0, 1.0)
LABELS = ("car", "truck", "bus", "motorcycle", "fire", "smoke", "water")


def truth(*things: tuple[str, Box], judged: tuple[str, ...] = LABELS, ignored: tuple[Box, ...] = ()) -> Truth:
    return Truth(frozenset(judged), tuple(Thing(*each) for each in things), ignored)


def found(label: str, confidence: float, box: Box = LEFT) -> Detection:
    return Detection(label, confidence, box)


def measured(
    *pictures: tuple[Truth, tuple[Detection, ...]], source: str = "street", confidence: float = 0.4, name: str = "one"
) -> Measured:
    """A detector that found this in these pictures."""
    labelled = [
        Labelled(f"{index}.jpg", Path(f"{index}.jpg"), source, each) for index, (each, _) in enumerate(pictures)
    ]
    return Measured(name, "0", LABELS, Points({}, confidence), labelled, [seen for _, seen in pictures])
