"""How fresh a side keeps its cameras: the spells between pictures looked at, and how old each was when it was told.

taken      taken          taken       ▲ a picture that was looked at, when the camera took it
  ▲──spell───▲────spell─────▲
  └──age──► told                      what it shows is known
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bench.endtoend import percentile

EVERY_S = 2.0
"""Each camera is to be looked at within this."""
SLACK_S = 0.2
"""By how much a spell may be longer: neither clocks nor pictures come to the millisecond."""
OLDEST_S = 3.0
"""How old a picture may be when it is told, for 99 of 100."""

Sight = tuple[float, float]
"""When a picture was taken and when what it shows was told, in seconds on one clock."""


@dataclass(frozen=True)
class Freshness:
    """What a side showed between two instants; cameras that were never told count as one spell without end."""

    spells: Sequence[float]
    ages: Sequence[float]
    unseen: int

    @property
    def holds(self) -> bool:
        """Whether 99 of 100 spells and ages are within the limits, and no camera was left out."""
        if self.unseen or not self.spells or not self.ages:
            return False
        return percentile(self.spells, 0.99) <= EVERY_S + SLACK_S and percentile(self.ages, 0.99) <= OLDEST_S

    def told(self) -> dict[str, Any]:
        return {"unseen": self.unseen, "spell_s": _told(self.spells), "age_s": _told(self.ages)}


def freshness(sights: Mapping[str, Sequence[Sight]], *, since_s: float, until_s: float) -> Freshness:
    """Of the pictures taken between two instants; sights from after `until_s` say how the last spell of each ended.

    A spell that had not ended when the last sight of anybody was told counts as long as it was by then.
    """
    last = max((told for each in sights.values() for _, told in each), default=until_s)
    spells: list[float] = []
    ages: list[float] = []
    unseen = 0
    for each in sights.values():
        taken = sorted(taken for taken, _ in each)
        within = [at for at in taken if since_s <= at < until_s]
        if not within:
            unseen += 1
            continue
        spells += [later - at for at, later in pairwise(taken) if since_s <= at < until_s]
        if within[-1] == taken[-1]:
            spells.append(max(0.0, last - taken[-1]))
        ages += [told - at for at, told in each if since_s <= at < until_s]
    return Freshness(sorted(spells), sorted(ages), unseen)


def largest(carries: Callable[[int], bool], *, first: int, close_enough: float = 1.08, most: int = 4096) -> int:
    """The largest number that is carried: doubling or halving from `first`, then bisection until that close; 0 for none."""
    good, bad = 0, 0
    number = max(1, first)
    while True:
        if carries(number):
            good = number
            if number >= most:
                return good
        else:
            bad = number
        if bad == 1 or (good and bad and (bad <= good + 1 or bad / good <= close_enough)):
            return good
        number = (good + bad) // 2 if bad else min(most, good * 2)


def _told(ascending: Sequence[float]) -> dict[str, float] | None:
    if not ascending:
        return None
    return {
        "p50": round(percentile(ascending, 0.5), 2),
        "p99": round(percentile(ascending, 0.99), 2),
        "max": round(ascending[-1], 2),
    }
