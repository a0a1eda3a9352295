"""How held-out figures are counted."""

from importlib import import_module

import pytest

boxes = import_module("boxes")
evaluate = import_module("evaluate")
shipped = import_module("shipped")

CAR = 2
WATER = 8


def box(label, *sides):
    return boxes.Box(label, *sides)


def found(label, confidence, *sides):
    return shipped.Found(label, confidence, *sides)


def test_one_car_found_twice_counts_once():
    truth = [box(CAR, 0.1, 0.1, 0.3, 0.3)]
    twice = [found(CAR, 0.6, 0.1, 0.1, 0.3, 0.31), found(CAR, 0.9, 0.1, 0.1, 0.3, 0.3)]
    assert evaluate.matched(truth, twice, CAR) == [True, False]


def test_average_precision_is_one_when_right_comes_before_wrong_and_half_when_after():
    truth, right, wrong = [box(CAR, 0, 0, 0.2, 0.2)], (0, 0, 0.2, 0.2), (0.5, 0.5, 0.7, 0.7)
    good = evaluate.Looked("street", truth, [found(CAR, 0.9, *right), found(CAR, 0.3, *wrong)])
    bad = evaluate.Looked("street", truth, [found(CAR, 0.3, *right), found(CAR, 0.9, *wrong)])
    assert evaluate.average_precision([good], CAR) == pytest.approx(1.0)
    assert evaluate.average_precision([bad], CAR) == pytest.approx(0.5)
    assert evaluate.average_precision([evaluate.Looked("street", [], [])], CAR) is None


def test_water_found_in_two_halves_is_as_right_as_in_one():
    truth = [box(WATER, 0, 0.5, 1, 1)]
    halves = [found(WATER, 0.8, 0, 0.5, 0.5, 1), found(WATER, 0.7, 0.5, 0.5, 1, 1)]
    both, either = evaluate.area_agreement(evaluate.Looked("flood", truth, halves), WATER, 0.4)
    assert both == either > 0


def test_an_interval_holds_its_figure_and_narrows_with_more_pictures():
    few = evaluate.interval([(1, 1), (0, 1)] * 5)
    many = evaluate.interval([(1, 1), (0, 1)] * 200)
    assert few[1] <= few[0] <= few[2]
    assert many[2] - many[1] < few[2] - few[1]


def test_a_figure_over_nothing_is_no_figure():
    assert evaluate.interval([(0, 0), (0, 0)])[0] is None
    assert evaluate.interval([])[0] is None


def test_a_van_seen_as_car_and_as_truck_is_one_vehicle_and_a_person_before_it_stays():
    sides = (0.2, 0.2, 0.6, 0.6)
    kept = shipped.suppress([found(2, 0.5, *sides), found(5, 0.6, *sides), found(0, 0.4, *sides)], iou=0.55)
    assert [item.label for item in kept] == [5, 0]


def test_what_a_second_side_loses_is_told_in_points_by_class_and_on_the_whole():
    truth, there, elsewhere = [box(CAR, 0, 0, 0.2, 0.2)], (0, 0, 0.2, 0.2), (0.5, 0.5, 0.7, 0.7)
    seen = [evaluate.Looked("street", truth, [found(CAR, 0.9, *there)])] * 4
    half = [*seen[:2], *[evaluate.Looked("street", truth, [found(CAR, 0.9, *elsewhere)])] * 2]
    table = evaluate.compared(seen, half)
    assert [row[0] for row in table] == ["car", "all"]
    assert table[0][1] == "1.000"
    assert float(table[0][3].split(" ")[0]) == pytest.approx(100 * (1 - float(table[0][2])), abs=0.1)
    assert evaluate.compared(seen, seen)[-1][3] == "0.0 (0.0 to 0.0)"
