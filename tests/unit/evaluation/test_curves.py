"""AP50 and operating points, by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from citybrain.domain.detection import Detection
from citybrain.evaluation import curves
from citybrain.evaluation.curves import (
    Tally,
    average_precision,
    average_precisions,
    best_point,
    box_curve,
    picture_curve,
)
from citybrain.evaluation.intervals import draws
from citybrain.evaluation.matching import Question, Truth, outcome
from tests.unit.evaluation.street import LEFT, MIDDLE, RIGHT, found, truth

CAR = Question.of("car")
ELSEWHERE = MIDDLE


def tally(*pictures: tuple[Truth, Sequence[Detection]]) -> Tally:
    return Tally.of([outcome(each, seen, CAR) for each, seen in pictures])


def test_the_area_under_precision_over_recall_every_point_used() -> None:
    # Of four cars: right, wrong, right, right, wrong. Precision 1, 1/2, 2/3, 3/4, 3/5 at recall 1/4, 1/4, 1/2, 3/4, 3/4; made
    # monotone 1, 3/4, 3/4, 3/4, 3/5: AP = 1/4 · 1 + 1/4 · 3/4 + 1/4 · 3/4.
    one = tally(
        (
            truth(("car", LEFT), ("car", RIGHT)),
            [found("car", 0.9), found("car", 0.8, ELSEWHERE), found("car", 0.7, RIGHT)],
        ),
        (truth(("car", LEFT)), [found("car", 0.6)]),
        (truth(("car", LEFT)), [found("car", 0.5, ELSEWHERE)]),
    )
    assert average_precision(one) == pytest.approx(0.625)
    curve = box_curve(one)
    assert curve is not None
    assert curve.recall.tolist() == [0.25, 0.25, 0.5, 0.75, 0.75]
    assert curve.precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3, 3 / 4, 3 / 5])


def test_right_before_wrong_is_one_after_it_a_half_and_as_sure_as_it_a_half() -> None:
    car = truth(("car", LEFT))
    assert average_precision(tally((car, [found("car", 0.9), found("car", 0.3, ELSEWHERE)]))) == 1.0
    assert average_precision(tally((car, [found("car", 0.3), found("car", 0.9, ELSEWHERE)]))) == 0.5
    assert average_precision(tally((car, [found("car", 0.9), found("car", 0.9, ELSEWHERE)]))) == 0.5


def test_nothing_to_find_has_no_average_precision_and_nothing_found_has_none_of_it() -> None:
    assert average_precision(tally((truth(), [found("car", 0.9)]))) is None
    assert average_precision(tally((truth(("car", LEFT)), []))) == 0.0


def test_boxes_of_a_picture_that_is_not_labelled_for_it_count_nowhere() -> None:
    one = tally((truth(("car", LEFT)), [found("car", 0.5)]), (truth(judged=("fire",)), [found("car", 0.9)]))
    assert average_precision(one) == 1.0
    assert one.asked.tolist() == [1, 0]


def test_a_draw_weighs_a_picture_as_if_it_were_there_so_often() -> None:
    pictures = [
        (truth(("car", LEFT), ("car", RIGHT)), [found("car", 0.9), found("car", 0.8, ELSEWHERE)]),
        (truth(("car", LEFT)), [found("car", 0.6)]),
        (truth(), [found("car", 0.7)]),
        (truth(("car", LEFT)), []),
    ]
    drawn = draws(4, resamples=250, seed=3)
    one = tally(*pictures)
    for counts, value in zip(drawn, average_precisions(one, drawn), strict=True):
        repeated = tally(*[pictures[index] for index in np.repeat(np.arange(4), counts)])
        expected = average_precision(repeated)
        assert np.isnan(value) if expected is None else value == pytest.approx(expected)


def test_by_picture_the_surest_finding_says_it_wherever_it_is() -> None:
    one = tally(
        (truth(("car", LEFT)), [found("car", 0.9, RIGHT)]),
        (truth(), [found("car", 0.7)]),
        (truth(("car", LEFT)), [found("car", 0.6)]),
        (truth(), []),
    )
    curve = picture_curve(one)
    assert curve is not None
    assert curve.confidence.tolist() == [0.9, 0.7, 0.6]
    assert curve.precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3])
    assert curve.recall.tolist() == [0.5, 0.5, 1.0]
    at = curves.point(one, 0.65)
    assert (at.precision.value, at.recall.value, at.false_share.value) == (0.5, 0.5, 0.5)


def test_the_best_operating_point_has_the_highest_recall_that_is_precise_enough() -> None:
    burning, quiet = truth(("car", LEFT)), truth()
    one = tally(
        (burning, [found("car", 0.90)]),
        (burning, [found("car", 0.80)]),
        (quiet, [found("car", 0.70)]),
        (burning, [found("car", 0.60)]),
        (burning, [found("car", 0.50)]),
        (quiet, [found("car", 0.30)]),
    )
    best, sure = best_point(one, precision=0.8), best_point(one, precision=0.9)
    assert best is not None
    assert sure is not None
    assert (best.threshold, best.recall.value, best.precision.value) == (0.41, 1.0, 0.8)  # between .30 and .50
    assert (sure.threshold, sure.recall.value, sure.precision.value) == (0.76, 0.5, 1.0)


def test_where_no_threshold_is_precise_enough_there_is_no_point_but_a_most_precise_one() -> None:
    one = tally((truth(), [found("car", 0.9)]), (truth(("car", LEFT)), [found("car", 0.6)]))
    assert best_point(one, precision=0.6) is None
    most = curves.most_precise(one)
    assert most is not None
    assert most.precision.value == 0.5


def test_a_detector_that_tells_nothing_reaches_no_precision() -> None:
    assert best_point(tally((truth(("car", LEFT)), []), (truth(), [])), precision=0.1) is None
