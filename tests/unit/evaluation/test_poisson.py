"""How often a thing counted may really happen: the exact interval, against published values."""

import math

import pytest

from citybrain.evaluation.poisson import at_most, interval, rate


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [
        (0, 0.0, 3.68888),
        (1, 0.02532, 5.57164),
        (2, 0.24221, 7.22469),
        (5, 1.62349, 11.66833),
        (10, 4.79539, 18.39036),
        (100, 81.36399, 121.62679),
    ],
)
def test_the_interval_is_the_published_one(count, low, high):
    assert interval(count) == pytest.approx((low, high), abs=6e-5)


def test_nothing_counted_is_below_what_would_hardly_be_overlooked():
    """With none counted the upper limit is -ln(α/2), whatever the confidence."""
    for confidence in (0.5, 0.9, 0.99):
        assert interval(0, confidence=confidence) == pytest.approx((0.0, -math.log((1 - confidence) / 2)))


def test_each_limit_leaves_its_tail_outside():
    low, high = interval(7, confidence=0.9)
    assert 1 - at_most(6, low) == pytest.approx(0.05)
    assert at_most(7, high) == pytest.approx(0.05)


def test_a_rate_is_told_an_hour():
    quiet, loud = rate(0, 2.0), rate(4, 0.5)
    assert (quiet.value, quiet.low, quiet.high) == pytest.approx((0.0, 0.0, 3.68888 / 2), abs=1e-4)
    assert loud.value == 8.0
    assert rate(3, 0.0).value is None


def test_what_is_no_count_is_refused():
    with pytest.raises(ValueError, match="expected a count"):
        interval(-1)
