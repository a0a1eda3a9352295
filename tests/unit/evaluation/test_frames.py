"""The report on a detector: figures by class and source, answers to what is wanted, and two detectors side by side."""

from __future__ import annotations

from dataclasses import replace

import pytest

from citybrain.domain.detection import Detection
from citybrain.evaluation.frames import Answer, Measured, Report, Row, measure
from citybrain.evaluation.questions import Questions, Wanted
from citybrain.evaluation.telling import as_json, as_text
from tests.unit.evaluation.street import LEFT, MIDDLE, RIGHT, ROAD, found, measured, truth

CAR, QUIET = truth(("car", LEFT)), truth()
SEEN, UNSURE, FALSE = found("car", 0.9), found("car", 0.3), found("car", 0.8, RIGHT)


def row(report: Report, question: str, source: str = "all") -> Row:
    return next(each for each in report.rows if (each.question, each.source) == (question, source))


def answer(one: Measured, name: str, other: Measured | None = None, **wanted: float) -> Answer:
    (told,) = measure(one, Questions(wanted={name: Wanted(**wanted)}), other=other).answers
    return told


def test_by_picture_and_by_box_at_the_operating_point() -> None:
    # Told in two of the three pictures with a car, and in one of the two without.
    one = measured((CAR, (SEEN,)), (CAR, (FALSE,)), (CAR, (UNSURE,)), (QUIET, (FALSE,)), (QUIET, ()))
    car = row(measure(one, Questions()), "car")
    assert (car.there, car.asked, car.things) == (3, 5, 3)
    assert car.picture_recall.value == pytest.approx(2 / 3)
    assert car.picture_precision.value == pytest.approx(2 / 3)
    assert car.false_share.value == pytest.approx(1 / 2)
    assert car.box_precision.value == pytest.approx(1 / 3)
    assert car.box_recall.value == pytest.approx(1 / 3)
    assert car.ap50.value == pytest.approx(1 / 3 + 1 / 3 * 2 / 4)  # .9 right, .8 and .8 wrong, .3 right
    assert car.ap50.low < 0.5 < car.ap50.high


def test_the_same_pictures_give_the_same_report() -> None:
    one = measured((CAR, (SEEN,)), (CAR, (UNSURE,)), (QUIET, (FALSE,)))
    assert as_json(measure(one, Questions())) == as_json(measure(one, Questions()))


def test_sources_are_told_apart_and_together() -> None:
    one = measured((CAR, (SEEN,)), (CAR, ()))
    two = replace(one, pictures=[replace(one.pictures[0], source="yard"), one.pictures[1]])
    report = measure(two, Questions())
    assert report.sources == {"street": 1, "yard": 1}
    assert [row(report, "car", each).picture_recall.value for each in ("all", "street", "yard")] == [0.5, 0.0, 1.0]
    assert {each.source for each in measure(one, Questions()).rows} == {"all"}


def test_a_picture_is_not_asked_for_what_nobody_labelled_in_it() -> None:
    one = measured((truth(judged=("fire",)), (FALSE,)), (CAR, (SEEN,)))
    car = row(measure(one, Questions()), "car")
    assert (car.there, car.asked) == (1, 1)
    assert car.picture_precision.value == 1.0


def test_fire_told_as_smoke_is_the_right_alarm_and_the_wrong_class() -> None:
    report = measure(measured((truth(("fire", LEFT)), (found("smoke", 0.9),)), (QUIET, ())), Questions())
    assert row(report, "fire").picture_recall.value == 0.0
    assert row(report, "fire_or_smoke").picture_recall.value == 1.0


def test_of_water_it_counts_how_much_ground_it_covers() -> None:
    report = measure(measured((truth(("water", ROAD)), (found("water", 0.9, LEFT),)), (CAR, ())), Questions())
    assert row(report, "water").area.value == 0.0
    assert row(report, "car").area.value is None
    assert "area IoU" in as_text(report)


def test_what_is_wanted_by_picture_is_answered_at_the_best_point_and_at_the_detectors_own() -> None:
    one = measured((CAR, (SEEN,)), (CAR, (found("car", 0.35),)), (QUIET, (found("car", 0.2, RIGHT),)), (QUIET, ()))
    told = answer(one, "car", precision=0.9, recall=0.8)
    assert told.holds is True
    assert told.reached
    assert told.best is not None
    assert told.best.recall.value == 1.0
    assert 0.2 < told.best.threshold <= 0.35
    assert told.suggested is not None
    assert told.suggested.recall.value == 0.5  # at 0.4
    assert answer(one, "car", recall=0.8).holds is False  # without a precision the detector's own point counts


def test_where_no_threshold_is_precise_enough_the_most_precise_one_is_told() -> None:
    told = answer(measured((QUIET, (FALSE,)), (CAR, (found("car", 0.6),))), "car", precision=0.9, recall=0.5)
    assert (told.holds, told.reached) == (False, False)
    assert told.best is not None
    assert told.best.precision.value == 0.5
    assert "no threshold is as precise as 0.90" in told.why


def test_nobody_can_say_of_what_is_in_no_picture_or_in_each() -> None:
    assert answer(measured((QUIET, ()), (QUIET, ())), "car", precision=0.9).holds is None
    assert answer(measured((CAR, (SEEN,)), (CAR, ())), "car", precision=0.9).holds is None
    assert answer(measured((CAR, (SEEN,))), "person", precision=0.9).holds is None
    assert answer(measured((CAR, (SEEN,))), "car", lost=0).holds is None


def side(*seen: tuple[Detection, ...]) -> Measured:
    return measured(*[(CAR, each) for each in seen], name="two")


def test_two_detectors_are_compared_on_the_same_pictures() -> None:
    whole, half = side((SEEN,), (SEEN,), (SEEN,), (SEEN,)), side((SEEN,), (SEEN,), (), ())
    report = measure(whole, Questions(), other=half)
    car = next(each for each in report.beside if each.question == "car")
    assert (car.first, car.second, car.difference.value) == (1.0, 0.5, 50.0)
    assert 0 <= car.difference.low < 50 < car.difference.high <= 100
    assert [each.question for each in report.beside] == ["car", "vehicle", "all"]
    same = measure(whole, Questions(), other=whole).beside[0].difference
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)


def test_the_difference_of_two_alike_detectors_is_surer_than_either_figure() -> None:
    cars = [(SEEN,) if index % 2 else () for index in range(40)]
    one, two = side(*cars), side(*cars[:-1], ())
    report = measure(one, Questions(), other=two)
    ap50, apart = row(report, "car").ap50, report.beside[0].difference
    assert apart.high - apart.low < 100 * (ap50.high - ap50.low) / 2


def test_what_may_be_lost_against_the_other_is_counted_in_points() -> None:
    whole, half = side((SEEN,), (SEEN,)), side((SEEN,), ())
    assert answer(whole, "vehicle", half, lost=0).holds is True
    worse = answer(half, "vehicle", whole, lost=2)
    assert (worse.holds, worse.lost.value) == (False, 50.0)
    assert worse.lost.low <= 50 <= worse.lost.high
    assert answer(half, "all", whole, lost=50).holds is True


def test_a_detector_without_the_class_is_not_compared_on_it() -> None:
    blind = replace(side((), ()), labels=("fire",))
    assert measure(side((SEEN,), (SEEN,)), Questions(), other=blind).beside == []


def test_the_text_tells_figures_answers_and_both_sides() -> None:
    one, two = measured((CAR, (SEEN,)), (QUIET, (FALSE,))), measured((CAR, ()), (QUIET, ()))
    wanted = Questions(wanted={"car": Wanted(precision=0.9, recall=0.8), "vehicle": Wanted(lost=1)})
    text = as_text(measure(one, wanted, other=two), markdown=True)
    assert "| all | car | 1/2 | 1.00 (0.03–1.00) | 0.50" in text
    assert "| vehicle | at most 1 points of AP50 lost | yes |" in text
    assert "| car | 1.000 | 0.000 | +100.0 (+100.0 to +100.0) |" in text
    told = as_json(measure(one, wanted, other=two))
    assert [each["holds"] for each in told["wanted"]] == [True, True]
    assert told["beside"]["ap50"][0]["difference_points"]["value"] == 100.0


def test_a_label_that_the_detector_does_not_know_is_told() -> None:
    one = replace(measured((truth(("car", LEFT), ("fire", MIDDLE)), (SEEN,))), labels=("car",))
    assert measure(one, Questions()).not_told == ("bus", "fire", "motorcycle", "smoke", "truck", "water")
