"""How far a rate may lie from what was counted: the exact interval of a Poisson count."""

from __future__ import annotations

import math
from collections.abc import Callable

from citybrain.evaluation.intervals import NOTHING, Figure

_STEPS = 200
"""Halvings of the bracket: more than a float has bits."""


def rate(count: int, hours: float) -> Figure:
    """What was counted in so many hours as a rate an hour, with its exact 95 % interval; nothing of no time."""
    if hours <= 0:
        return NOTHING
    low, high = interval(count)
    return Figure(count / hours, low / hours, high / hours)


def interval(count: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Between which means a count so low and one so high are both likelier than chance allows.

    F. Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28 (1936), 437-442: the lower limit is the mean
    with which `count` or more happen in α/2 of all cases, the upper one that with which `count` or fewer do; α is
    1 - confidence. The same as χ²(α/2; 2k)/2 and χ²(1 - α/2; 2k + 2)/2.
    """
    if count < 0 or not 0 < confidence < 1:
        raise ValueError(f"expected a count and a confidence within 0..1, got {count} and {confidence}")
    tail = (1 - confidence) / 2
    lower = 0.0 if count == 0 else _falling_to(1 - tail, lambda mean: at_most(count - 1, mean))
    return lower, _falling_to(tail, lambda mean: at_most(count, mean))


def at_most(count: int, mean: float) -> float:
    """The probability that a Poisson variable of this mean is `count` or less."""
    if mean <= 0:
        return 1.0
    return math.fsum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count + 1))


def _falling_to(value: float, of: Callable[[float], float]) -> float:
    """Where a function that falls from 1 to 0 has come down to a value."""
    low, high = 0.0, 1.0
    while of(high) > value:
        low, high = high, high * 2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if of(middle) > value else (low, middle)
    return (low + high) / 2
