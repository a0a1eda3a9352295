"""What looking costs on this machine, learnt from the looks that were done, and how far the time there is goes round."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

FIRST_GUESS_S = 0.025
"""A look before any was done: a small picture, decoded and inferred on one core."""

_OF_ONE = 0.2  # weight of the newest look in a camera's average: a scene that begins to move is known within some looks
_OF_ALL = 0.02
_LEAST_CAPACITY = 0.1


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of a worker beside what it has. All but the counts and `stretch` are seconds of work in a second."""

    demand: float = 0.0
    """Were every camera looked at as often as `every` and its own pictures allow."""
    attention: float = 0.0
    """Were every attended camera looked at as often as it is to be, besides."""
    capacity: float = 0.0
    stretch: float = 0.0
    """The share of its patience that passes between two looks at a camera once nobody waits for less: above 1 all are
    late, and each by this factor of its own patience."""
    cameras: int = 0
    attended: int = 0

    @property
    def share(self) -> float:
        """What is asked for, as a share of what there is."""
        return (self.demand + self.attention) / self.capacity if self.capacity else 0.0


def together(loads: Iterable[Load]) -> Load:
    """The load of several workers; the stretch is that of the worst: its cameras are as late as that."""
    each = list(loads)
    return Load(
        demand=sum(load.demand for load in each),
        attention=sum(load.attention for load in each),
        capacity=sum(load.capacity for load in each),
        stretch=max((load.stretch for load in each), default=0.0),
        cameras=sum(load.cameras for load in each),
        attended=sum(load.attended for load in each),
    )


class Costs:
    """Seconds of a worker's time that a look at a camera takes; a closer look, which is decoded forward, costs another sum."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, bool], float] = {}
        self._of_all: dict[bool, float] = {}

    def of(self, camera: str, *, closer: bool = False) -> float:
        """What the next look will cost, as far as is known: by the camera's own looks, else by everybody's."""
        known = self._of.get((camera, closer))
        if known is not None:
            return known
        if closer:
            return self._of_all.get(True, self.of(camera))
        return self._of_all.get(False, FIRST_GUESS_S)

    def spent(self, camera: str, cost_s: float, *, closer: bool = False) -> None:
        key = (camera, closer)
        self._of[key] = _towards(self._of.get(key), cost_s, _OF_ONE)
        self._of_all[closer] = _towards(self._of_all.get(closer), cost_s, _OF_ALL)

    def forget(self, camera: str) -> None:
        self._of.pop((camera, False), None)
        self._of.pop((camera, True), None)


class Capacity:
    """Which share of a busy worker's time is looks; the rest is handing over and waiting for this very process."""

    def __init__(self) -> None:
        self.share = 1.0

    def turned_around(self, *, looks_s: float, in_s: float) -> None:
        """A batch that cost `looks_s` in the worker came back after `in_s`."""
        if in_s > 0:
            found = min(1.0, max(_LEAST_CAPACITY, looks_s / in_s))
            self.share = _towards(self.share, found, _OF_ALL)


def _towards(known: float | None, found: float, weight: float) -> float:
    return found if known is None else known + weight * (found - known)
