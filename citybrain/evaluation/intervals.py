"""How far a measured figure can be trusted: 95 % bootstrap intervals over the pictures (or clips) it was measured on.

The pictures are drawn anew, with replacement, a thousand times; the figure's 2.5th and 97.5th percentile over those draws
are its interval. Both sides of a comparison use the same draws. The seed is fixed: the same pictures give the same interval.
Where every draw gives the same (all or none of the tries are hits, or there is but one picture) that says nothing of other
pictures: there the exact binomial bound for all or none of as many pictures (Clopper and Pearson, 1934) is told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESAMPLES, SEED = 1000, 1
_TAIL = 0.025

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value and its 95 % interval; no value when there was nothing to measure."""

    value: float | None
    low: float = 0.0
    high: float = 1.0

    def __str__(self) -> str:
        return "–" if self.value is None else f"{self.value:.2f} ({self.low:.2f}–{self.high:.2f})"

    def as_json(self) -> dict[str, float] | None:
        if self.value is None:
            return None
        return {"value": round(self.value, 4), "low": round(self.low, 4), "high": round(self.high, 4)}


NOTHING = Figure(None)


def draws(count: int, *, resamples: int = RESAMPLES, seed: int = SEED) -> Counts:
    """How often each of `count` pictures is drawn, (resamples, count)."""
    chance = np.random.default_rng(seed)
    return chance.multinomial(count, np.full(count, 1 / count), size=resamples) if count else np.zeros((1, 0), np.int64)


def share(hits: Counts, tries: Counts, drawn: Counts | None) -> Figure:
    """Hits over tries, one of each for each picture; a picture with more tries weighs more. Without draws no interval is told."""
    hit, tried = int(hits.sum()), int(tries.sum())
    if not tried:
        return NOTHING
    if drawn is None:
        return Figure(hit / tried, hit / tried, hit / tried)
    some, of = drawn @ hits, drawn @ tries
    in_draws = np.divide(some, of, out=np.full(len(drawn), np.nan), where=of > 0)
    return spread(hit / tried, in_draws, pictures=int(np.count_nonzero(tries)))


def spread(value: float, in_draws: Floats, *, pictures: int) -> Figure:
    """A share 0..1 of so many pictures, with the interval of what it is in each draw; not a number is no value there."""
    low, high = percentiles(in_draws)
    if low < high:
        return Figure(value, low, high)
    bound = float(_TAIL ** (1 / max(1, pictures)))
    return Figure(value, value * bound, 1 - (1 - value) * bound)


def percentiles(in_draws: Floats) -> tuple[float, float]:
    """The 2.5th and the 97.5th of what has a value; nothing is said (0 and 0) where nothing has one."""
    known = in_draws[~np.isnan(in_draws)]
    if not len(known):
        return 0.0, 0.0
    low, high = np.percentile(known, (100 * _TAIL, 100 * (1 - _TAIL)))
    return float(low), float(high)
