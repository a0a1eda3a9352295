"""Precision and recall over the threshold, of boxes and of whole pictures, and what follows: AP50 and operating points.

AP50 is the area under precision over recall at an overlap of 0.5, every point of the curve used (PASCAL VOC from 2010 on, not
COCO's 101 points), precision made monotone: at each recall the best precision at that recall or a higher one. What is found
with equal confidence enters at once. A detector is asked from a confidence of 0.05 on, and the curve ends where it ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from citybrain.evaluation.intervals import Counts, Figure, Floats, share
from citybrain.evaluation.matching import Outcome

STEP = 0.01
THRESHOLDS: Floats = np.round(np.arange(0.05, 1.0, STEP), 2)
"""The operating points that are tried: two decimals, as people write them."""
_CHUNK = 100  # draws that are counted at once: a thousand of ten thousand boxes would fill the memory


@dataclass(frozen=True, slots=True)
class Tally:
    """The outcomes of one question over all pictures, as columns.

    By picture: whether it is asked there, is there, how sure the detector is, how many things there are. By box found, surest
    first: its picture, confidence, and whether it hits.
    """

    asked: Counts
    there: Counts
    score: Floats
    things: Counts
    owner: Counts
    confidence: Floats
    hit: Counts

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Tally:
        boxes = [
            (-match.detection.confidence, index, match.hit)
            for index, each in enumerate(outcomes)
            if each.complete
            for match in each.matches
        ]
        boxes.sort(key=lambda box: box[0])
        return cls(
            asked=np.array([each.there is not None for each in outcomes], np.int64),
            there=np.array([each.there is True for each in outcomes], np.int64),
            score=np.array([each.score for each in outcomes], np.float64),
            things=np.array([len(each.things) if each.complete else 0 for each in outcomes], np.int64),
            owner=np.array([index for _, index, _ in boxes], np.int64),
            confidence=np.array([-confidence for confidence, _, _ in boxes], np.float64),
            hit=np.array([hit for _, _, hit in boxes], np.int64),
        )


@dataclass(frozen=True, slots=True)
class Curve:
    """Precision and recall at falling confidence. A picture's or a box's, as its maker says."""

    confidence: Floats
    precision: Floats
    recall: Floats


def box_curve(tally: Tally) -> Curve | None:
    """Of boxes, a point for each confidence that occurs; None when there is nothing to find."""
    total = int(tally.things.sum())
    if not total:
        return None
    last = _block_ends(tally.confidence)
    hits = np.cumsum(tally.hit)[last]
    return Curve(tally.confidence[last], hits / (last + 1), hits / total)


def picture_curve(tally: Tally) -> Curve | None:
    """Of pictures: the same, of whether it is in the picture at all; None when it is in none."""
    told = np.flatnonzero((tally.asked > 0) & (tally.score > 0))
    total = int(tally.there.sum())
    if not total:
        return None
    order = told[np.argsort(-tally.score[told], kind="stable")]
    last = _block_ends(tally.score[order])
    hits = np.cumsum(tally.there[order])[last]
    return Curve(tally.score[order][last], hits / (last + 1), hits / total)


def average_precision(tally: Tally) -> float | None:
    """AP50; None when there is nothing to find."""
    if not tally.things.sum():
        return None
    return float(average_precisions(tally, np.ones((1, len(tally.things)), np.int64))[0])


def average_precisions(tally: Tally, drawn: Counts) -> Floats:
    """AP50 in each draw, not a number where nothing is to be found in it."""
    last = _block_ends(tally.confidence)
    answers = []
    for start in range(0, len(drawn), _CHUNK):
        some = drawn[start : start + _CHUNK]
        total = (some @ tally.things).astype(np.float64)
        total[total == 0] = np.nan
        weight = some[:, tally.owner]
        told = np.cumsum(weight, axis=1)[:, last]
        hits = np.cumsum(weight * tally.hit, axis=1)[:, last]
        precision = np.divide(hits, told, out=np.zeros(hits.shape), where=told > 0)
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        gained = np.diff(hits, axis=1, prepend=0)
        answers.append((gained * precision).sum(axis=1) / total)
    return np.concatenate(answers)


def _block_ends(confidence: Floats) -> Counts:
    """The last place of each run of equal confidences."""
    if not len(confidence):
        return np.zeros(0, np.int64)
    return np.append(np.flatnonzero(np.diff(confidence)), len(confidence) - 1)


@dataclass(frozen=True, slots=True)
class Point:
    """What a threshold gives by picture."""

    threshold: float
    precision: Figure
    recall: Figure
    false_share: Figure


def point(tally: Tally, threshold: float, drawn: Counts | None = None) -> Point:
    """By picture at this threshold; intervals where draws are given, else none."""
    return point_of(tally, (tally.score >= threshold).astype(np.int64), threshold, drawn)


def point_of(tally: Tally, said: Counts, threshold: float, drawn: Counts | None = None) -> Point:
    """By picture when the detector says that it is there in the pictures of `said`."""
    said, without = said * tally.asked, tally.asked - tally.there
    return Point(
        threshold,
        precision=share(said * tally.there, said, drawn),
        recall=share(said * tally.there, tally.there, drawn),
        false_share=share(said * without, without, drawn),
    )


def best_point(tally: Tally, *, precision: float) -> Point | None:
    """The threshold with the highest recall by picture among those that reach the precision; of equals, which lie side by
    side between two findings, the middle one. None when none reaches it."""
    reaching = [each for each in sweep(tally) if (each.precision.value or 0.0) >= precision and each.recall.value]
    if not reaching:
        return None
    best = max((each.recall.value, each.precision.value) for each in reaching)
    equals = [each for each in reaching if (each.recall.value, each.precision.value) == best]
    return equals[len(equals) // 2]


def most_precise(tally: Tally) -> Point | None:
    """The most precise threshold of all, for when none is precise enough; of equals the one with the highest recall."""
    told = [each for each in sweep(tally) if each.precision.value is not None and each.recall.value]
    return max(told, key=lambda each: (each.precision.value, each.recall.value), default=None)


def sweep(tally: Tally) -> list[Point]:
    """By picture at every threshold that is tried, without intervals."""
    return [point(tally, float(each)) for each in THRESHOLDS]
