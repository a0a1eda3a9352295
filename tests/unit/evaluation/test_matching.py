"""What was found against what is there: each thing once, groups, and regions where nothing is judged."""

from __future__ import annotations

from citybrain.domain.geometry import Box
from citybrain.evaluation.matching import Points, Question, area_agreement, outcome
from tests.unit.evaluation.street import LEFT, MIDDLE, RIGHT, ROAD, found, truth

CAR, FIRE_OR_SMOKE = Question.of("car"), Question("fire_or_smoke", ("fire", "smoke"))
VEHICLE = Question("vehicle", ("car", "truck", "bus", "motorcycle"))


def test_one_car_found_twice_counts_once() -> None:
    twice = [found("car", 0.6, Box(0, 0, 0.2, 0.21)), found("car", 0.9)]
    seen = outcome(truth(("car", LEFT)), twice, CAR)
    assert [each.hit for each in seen.matches] == [True, False]
    assert [each.detection.confidence for each in seen.matches] == [0.9, 0.6]
    assert not seen.missed


def test_the_surest_takes_the_thing_it_overlaps_most() -> None:
    near, far = Box(0.02, 0, 0.22, 0.2), Box(0.1, 0, 0.3, 0.2)
    seen = outcome(truth(("car", LEFT), ("car", far)), [found("car", 0.9, near), found("car", 0.8, far)], CAR)
    assert [each.hit for each in seen.matches] == [True, True]


def test_half_an_overlap_is_a_hit_and_less_is_none() -> None:
    half = outcome(truth(("car", Box(0, 0, 0.5, 0.5))), [found("car", 0.9, Box(0, 0, 0.5, 0.25))], CAR)
    less = outcome(truth(("car", Box(0, 0, 0.5, 0.5))), [found("car", 0.9, Box(0, 0, 0.5, 0.24))], CAR)
    assert half.hits == 1
    assert less.hits == 0
    assert [each.label for each in less.missed] == ["car"]


def test_a_van_told_as_truck_is_a_vehicle_seen_and_a_car_missed() -> None:
    told = [found("truck", 0.7)]
    assert outcome(truth(("car", LEFT)), told, VEHICLE).hits == 1
    seen = outcome(truth(("car", LEFT)), told, CAR)
    assert not seen.matches
    assert len(seen.missed) == 1


def test_a_van_told_as_car_and_as_truck_is_told_once_as_a_vehicle() -> None:
    told = [found("car", 0.5), found("truck", 0.7), found("truck", 0.4, MIDDLE)]
    seen = outcome(truth(("car", LEFT)), told, VEHICLE)
    assert [(each.detection.label, each.hit) for each in seen.matches] == [("truck", True), ("truck", False)]


def test_two_cars_that_overlap_are_two_findings_as_they_are_for_the_detector() -> None:
    assert len(outcome(truth(), [found("car", 0.9), found("car", 0.5)], VEHICLE).matches) == 2


def test_what_is_found_where_nothing_is_judged_counts_neither_way() -> None:
    parked = truth(("car", LEFT), ignored=(Box(0.0, 0.0, 0.7, 0.3),))
    seen = outcome(parked, [found("car", 0.9), found("car", 0.8, MIDDLE), found("car", 0.7, RIGHT)], CAR)
    assert [(each.detection.box, each.hit) for each in seen.matches] == [(LEFT, True), (RIGHT, False)]


def test_what_lies_but_half_in_such_a_region_is_judged() -> None:
    half = truth(ignored=(Box(0.0, 0.0, 0.5, 0.3),))
    assert len(outcome(half, [found("car", 0.8, MIDDLE)], CAR).matches) == 1


def test_a_picture_without_it_is_one_only_where_all_of_the_question_was_labelled() -> None:
    fire_alone = truth(judged=("fire",))
    assert outcome(fire_alone, [], Question.of("fire")).there is False
    assert outcome(fire_alone, [], FIRE_OR_SMOKE).there is None
    burning = outcome(truth(("fire", LEFT), judged=("fire",)), [], FIRE_OR_SMOKE)
    assert burning.there is True
    assert not burning.complete


def test_each_label_counts_from_its_own_confidence_on() -> None:
    points = Points({"smoke": 0.5}, 0.3)
    counted = points.counted([found("smoke", 0.4), found("fire", 0.3), found("car", 0.29)])
    assert [each.label for each in counted] == ["fire"]


def test_water_found_in_two_halves_is_as_right_as_in_one() -> None:
    water = Question.of("water")
    halves = [found("water", 0.8, Box(0, 0.5, 0.5, 1)), found("water", 0.7, Box(0.5, 0.5, 1, 1))]
    both, either = area_agreement(truth(("water", ROAD)), halves, water)
    assert both == either == 96 * 48
    half, whole = area_agreement(truth(("water", ROAD)), halves[:1], water)
    assert (half, whole) == (48 * 48, 96 * 48)


def test_ground_that_is_not_judged_is_left_out_of_the_water() -> None:
    road = truth(("water", ROAD), ignored=(Box(0.5, 0.5, 1.0, 1.0),))
    assert area_agreement(road, [found("water", 0.8, Box(0, 0.5, 0.5, 1))], Question.of("water")) == (48 * 48, 48 * 48)
