"""Sides measured in turns, A B C A B C, by the processor time of this process: what disturbs one disturbs all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Side:
    """One way of doing the work. `work` is told the number of the round and answers how many units it did.

    A side that is quick is measured several `times` a round, in turn with the others.
    """

    work: Callable[[int], float]
    times: int = 1


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU-ms per unit (user and system, all threads), by side and round; of several in one round the median."""

    by_side: Mapping[str, Sequence[float]]

    def median(self, side: str) -> float:
        return median(self.by_side[side])

    def ratio(self, side: str, other: str) -> float:
        """How many times as much `side` costs as `other`: the median over rounds, each compared within itself."""
        pairs = zip(self.by_side[side], self.by_side[other], strict=True)
        return median(a / b for a, b in pairs)


def measured(sides: Mapping[str, Side], *, rounds: int) -> Costs:
    """Run every side in every round, after one round that is not counted."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(-1, rounds):
        spent: dict[str, list[float]] = {name: [] for name in sides}
        for turn in range(max(side.times for side in sides.values())):
            for name, side in sides.items():
                if turn < side.times:
                    spent[name].append(_cost(side, max(0, number)))
        if number >= 0:
            for name, costs in spent.items():
                found[name].append(median(costs))
    return Costs(found)


def _cost(side: Side, number: int) -> float:
    began = time.process_time()
    units = side.work(number)
    return (time.process_time() - began) * 1000 / units
