"""Cases counted against what a person says happened: found, missed, told twice, false, and how late each was.

A case is an event's when it is of its scene, in its zone where one is named, and the stretch from its beginning to its
confirmation, which spans the scene's hold, overlaps the event's, widened by `tolerance` on both sides, for a person names
seconds. Each event is found at most once and each case finds at most one event, so that as many as possible are found
(an augmenting path for each case, in order of confirmation: Kuhn, 1955). A case that fits only events that are found
already tells of one twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Happened:
    """A true event of a clip, in seconds of its playing."""

    scene: str
    from_s: float
    to_s: float
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """A case that was filed, in seconds of the playing: when the thing began, when that was sure, when the case was filed."""

    scene: str
    zone: str
    began_s: float
    confirmed_s: float
    filed_s: float
    label: str = ""
    confidence: float = 0.0


class Fate(StrEnum):
    """What a case is: an event found, one found already, or nothing that happened."""

    FOUND = "found"
    TWICE = "twice"
    FALSE = "false"


@dataclass(frozen=True, slots=True)
class Judged:
    """A case with its fate, and the event that it found."""

    told: Told
    fate: Fate
    event: Happened | None = None

    @property
    def to_confirmed_s(self) -> float | None:
        return None if self.event is None else self.told.confirmed_s - self.event.from_s

    @property
    def to_filed_s(self) -> float | None:
        return None if self.event is None else self.told.filed_s - self.event.from_s


@dataclass(frozen=True, slots=True)
class Count:
    """What became of all events and all cases of one playing. A case told twice is false, too."""

    events: tuple[Happened, ...]
    cases: tuple[Judged, ...]

    @property
    def found(self) -> tuple[Judged, ...]:
        return tuple(each for each in self.cases if each.fate is Fate.FOUND)

    @property
    def missed(self) -> tuple[Happened, ...]:
        left = list(self.events)
        for each in self.found:
            if each.event is not None:
                left.remove(each.event)
        return tuple(left)

    @property
    def twice(self) -> tuple[Judged, ...]:
        return tuple(each for each in self.cases if each.fate is Fate.TWICE)

    @property
    def false(self) -> tuple[Judged, ...]:
        return tuple(each for each in self.cases if each.fate is not Fate.FOUND)

    def late(self, within_s: Mapping[str, float]) -> tuple[Judged, ...]:
        """The events found whose case was filed later after their beginning than their scene allows."""
        return tuple(each for each in self.found if (each.to_filed_s or 0.0) > within_s.get(each.told.scene, math.inf))


def count(events: Sequence[Happened], cases: Iterable[Told], *, tolerance_s: float) -> Count:
    """Each case's fate, in order of confirmation."""
    ordered = sorted(cases, key=lambda each: (each.confirmed_s, each.began_s, each.scene, each.zone))
    fits = [[number for number, event in enumerate(events) if _fits(event, case, tolerance_s)] for case in ordered]
    found: dict[int, int] = {}
    for index in range(len(ordered)):
        _find(index, fits, found, set())
    event_of = {case: event for event, case in found.items()}
    judged = []
    for index, case in enumerate(ordered):
        if index in event_of:
            judged.append(Judged(case, Fate.FOUND, events[event_of[index]]))
        else:
            judged.append(Judged(case, Fate.TWICE if fits[index] else Fate.FALSE))
    return Count(tuple(events), tuple(judged))


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that `share` of them do not exceed (nearest rank); None of none."""
    if not values:
        return None
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]


def _fits(event: Happened, case: Told, tolerance_s: float) -> bool:
    return (
        case.scene == event.scene
        and event.zone in (None, case.zone)
        and case.confirmed_s >= event.from_s - tolerance_s
        and case.began_s <= event.to_s + tolerance_s
    )


def _find(case: int, fits: Sequence[Sequence[int]], found: dict[int, int], asked: set[int]) -> bool:
    """Give the case an event, moving others to another of theirs where that makes room."""
    for event in fits[case]:
        if event in asked:
            continue
        asked.add(event)
        if event not in found or _find(found[event], fits, found, asked):
            found[event] = case
            return True
    return False
