"""What a scene is judged by: one file a kind of rule, offering `Config` (the scene's `when:`) and `build(config)`.

A rule is asked about one zone of one camera at one look. It may remember something between looks (JSON, kept for it with the
camera's state), and answers with an observation for each place it knows: the zone itself, or things standing in it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from pydantic import Field

from citybrain.configuration import Section
from citybrain.domain.camera import Zone
from citybrain.domain.detection import Detection, Detections
from citybrain.domain.geometry import Box
from citybrain.domain.observation import Verdict

Memory = dict[str, Any]
"""What a rule remembers of one zone of one camera; JSON values only."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One scene's verdict at one place, there and then.

    `place` is empty for the zone itself. `concerned` are the detections this verdict rests on (none for FALSE and UNKNOWN).
    `over` ends an episode at once, for the reason given: another thing stands there now. `withheld` names why an episode
    must not begin yet, although its time may be up.
    """

    place: str
    verdict: Verdict
    concerned: tuple[Detection, ...] = ()
    reason: str = ""
    over: bool = False
    withheld: str = ""

    @property
    def strongest(self) -> Detection | None:
        return max(self.concerned, key=lambda each: each.confidence, default=None)


@dataclass(frozen=True, slots=True)
class Look:
    """What a rule is shown: everything the camera saw, the zone in question, and the scene's terms it may need."""

    seen: Detections
    zone: Zone
    hold: timedelta
    max_gap: timedelta
    clear_after: timedelta


class Rule(Protocol):
    """Judges a zone. Pure: the same memory and look give the same answer."""

    per_object: bool
    """Whether each thing is a place of its own, or the zone is one place."""

    @property
    def labels(self) -> frozenset[str]:
        """The labels it reads."""
        ...

    def observe(self, memory: Memory, look: Look) -> tuple[Memory, list[Observation]]:
        """The memory after the look, and an observation for each place known. Only asked when the look is usable."""
        ...

    def places(self, memory: Memory) -> Collection[str]:
        """The places known, which a look that is not usable leaves UNKNOWN."""
        ...

    def settle(self, memory: Memory, live: Collection[str], ended: Collection[str]) -> Memory:
        """Forget the places that no candidate or episode holds any more; `ended` are those whose episode just did."""
        ...


@dataclass(frozen=True, slots=True)
class ZoneRule:
    """The frame of a rule for which the zone is the place and that remembers nothing but its last verdict's doubt."""

    labels: frozenset[str]
    per_object: bool = field(default=False, init=False)

    def places(self, memory: Memory) -> Collection[str]:
        return ("",)

    def settle(self, memory: Memory, live: Collection[str], ended: Collection[str]) -> Memory:
        return memory


class Seen(Section):
    """What of a look counts: which labels, how sure, and the least share of a box that must lie in the zone."""

    labels: frozenset[str] = Field(min_length=1)
    min_confidence: float = Field(default=0.4, ge=0, le=1)
    min_inside: float = Field(default=0.3, ge=0, le=1)


@dataclass(frozen=True, slots=True)
class SeenRule(ZoneRule):
    """The frame of a rule that goes by the things seen in the zone."""

    min_confidence: float
    min_inside: float

    def seen_in(self, look: Look) -> tuple[Detection, ...]:
        """What of the look counts."""
        return inside(
            look.zone,
            look.seen,
            labels=self.labels,
            min_confidence=self.min_confidence,
            min_inside=self.min_inside,
        )


def inside(
    zone: Zone, seen: Detections, *, labels: Collection[str], min_confidence: float, min_inside: float
) -> tuple[Detection, ...]:
    """The detections with these labels, sure enough, and far enough inside the zone."""
    return tuple(
        each
        for each in seen.detections
        if each.label in labels and each.confidence >= min_confidence and in_zone(zone, each.box, min_inside=min_inside)
    )


def in_zone(zone: Zone, box: Box, *, min_inside: float) -> bool:
    """Whether enough of the box lies in the zone, or the box is so large that the zone lies in it."""
    return zone.polygon.share_inside(box) >= min_inside or zone.polygon.share_covered([box]) >= 0.9
