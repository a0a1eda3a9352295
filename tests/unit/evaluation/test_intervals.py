"""Intervals: the same each time, wider with fewer pictures, and honest where all or nothing was right."""

from __future__ import annotations

import numpy as np
import pytest

from citybrain.evaluation.intervals import NOTHING, Figure, draws, share, spread


def of(pairs: list[tuple[int, int]]) -> Figure:
    counts = np.array(pairs, np.int64)
    return share(counts[:, 0], counts[:, 1], draws(len(counts)))


def test_the_same_pictures_give_the_same_interval() -> None:
    assert of([(1, 1), (0, 1), (2, 3)]) == of([(1, 1), (0, 1), (2, 3)])
    assert draws(5, seed=1).tolist() == draws(5, seed=1).tolist() != draws(5, seed=2).tolist()


def test_each_draw_is_of_as_many_pictures_as_there_are() -> None:
    assert set(draws(7).sum(axis=1).tolist()) == {7}


def test_an_interval_holds_its_figure_and_narrows_with_more_pictures() -> None:
    few, many = of([(1, 1), (0, 1)] * 5), of([(1, 1), (0, 1)] * 200)
    assert few.value == 0.5
    assert few.low < 0.5 < few.high
    assert many.high - many.low < few.high - few.low
    assert (many.low, many.high) == pytest.approx((0.45, 0.55), abs=0.01)  # 1.96 · sqrt(0.25 / 400)


def test_a_figure_over_nothing_is_no_figure() -> None:
    assert of([(0, 0), (0, 0)]) == NOTHING
    assert str(NOTHING) == "–"
    assert NOTHING.as_json() is None


def test_nothing_false_in_ten_pictures_may_be_three_in_ten() -> None:
    none, all_of_them = of([(0, 1)] * 10), of([(1, 1)] * 10)
    assert (none.low, none.high) == pytest.approx((0.0, 0.3085), abs=1e-4)  # Clopper and Pearson for 0 of 10
    assert (all_of_them.low, all_of_them.high) == pytest.approx((0.6915, 1.0), abs=1e-4)


def test_a_single_picture_says_next_to_nothing() -> None:
    one = of([(1, 2)])
    assert one.value == 0.5
    assert one.low < 0.05
    assert one.high > 0.95


def test_without_draws_no_interval_is_told() -> None:
    one = share(np.array([1]), np.array([4]), None)
    assert one.low == one.value == one.high == 0.25


def test_draws_in_which_there_is_nothing_are_left_out() -> None:
    one = spread(0.5, np.array([0.4, np.nan, 0.6]), pictures=3)
    assert 0.4 < one.low < one.high < 0.6
