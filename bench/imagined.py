"""Cameras that never were: what real ones would have told, look by look, from stated assumptions and a seed.

A look is made from nothing but its camera, its number and its instant: whoever makes it again makes the same one, so that a
teller may be killed at any moment and go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Any

from citybrain.domain.detection import LOOK_SIDE, Detection, Detections, Looked, Usable
from citybrain.domain.geometry import Box

_SHAREOUT = 0.618034  # of a round: cameras of one class are nowhere in step
_DECODED, INFERRED = timedelta(milliseconds=40), timedelta(milliseconds=160)
CLOSELY, CLOSE_FOR = timedelta(milliseconds=250), timedelta(seconds=6)
"""A camera with an open question is looked at four times a second until its hold is over (docs/architecture.md)."""
_PASSERS_BY = ("car", "car", "car", "person", "person", "bicycle", "motorcycle", "truck", "bus")


@dataclass(frozen=True, slots=True)
class Class:
    """So many cameras that are looked at alike.

    `passing`: how many things of no consequence are in view on average; `parked`: how many vehicles stand in the zone for
    as long as the city is imagined; `unchanged`: the share of looks that repeats the last boxes without inference;
    `unusable`: the share of cameras that cannot be judged by, and says so each five seconds; `closely`: how often a camera
    with an open question is looked at.
    """

    name: str
    count: int
    every: timedelta
    zone: str
    label: str
    zones: int = 1
    passing: float = 0.0
    parked: float = 0.0
    unchanged: float = 0.0
    unusable: float = 0.0
    closely: timedelta = CLOSELY

    def cameras(self) -> list[str]:
        return [f"{self.name}-{number:05d}" for number in range(self.count)]

    def zone_ids(self) -> list[str]:
        return [f"z{number}" for number in range(self.zones)]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing in one zone, there from `begins_at` to `ends_at`: one case is right, two are wrong, none is wrong too."""

    camera: str
    zone: str
    begins_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class Imagined:
    """A city of classes of cameras, and the problems that come up in it."""

    classes: Sequence[Class]
    problems: Sequence[Problem] = ()
    seed: int = 20261121
    _of: dict[str, list[Problem]] = field(default_factory=dict, repr=False, compare=False)
    _class: dict[str, Class] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for each in self.problems:
            self._of.setdefault(each.camera, []).append(each)
        for one in self.classes:
            self._class.update(dict.fromkeys(one.cameras(), one))

    @property
    def cameras(self) -> list[str]:
        return list(self._class)

    @property
    def looks_s(self) -> float:
        """Looks a second while no question is open."""
        return sum(
            one.count * (1 - one.unusable) / one.every.total_seconds() + one.count * one.unusable / 5
            for one in self.classes
        )

    def first_after(self, camera: str, at: datetime) -> datetime:
        """When a camera is looked at for the first time by whoever begins at that instant."""
        number = int(camera.rpartition("-")[2])
        return at + self._class[camera].every * (number * _SHAREOUT % 1)

    def next_after(self, camera: str, at: datetime) -> datetime:
        """The look that follows one at that instant: soon, while a question is open."""
        if self._blind(camera):
            return at + timedelta(seconds=5)
        asked = any(
            each.begins_at <= at < min(each.ends_at, each.begins_at + CLOSE_FOR) for each in self._of.get(camera, ())
        )
        return at + (self._class[camera].closely if asked else self._class[camera].every)

    def look(self, camera: str, at: datetime, seq: int) -> Detections:
        """What is told of the picture taken at that instant."""
        one = self._class[camera]
        stamps = {"received": at + _DECODED / 2, "decoded": at + _DECODED, "inferred": at + INFERRED}
        if self._blind(camera):
            return Detections(camera, at, seq, Usable.LOST, Looked.NOT, stamps=stamps)
        dice = Random(f"{self.seed}|{camera}|{at.timestamp():.3f}")
        looked = Looked.UNCHANGED if dice.random() < one.unchanged else Looked.INFERRED
        there = tuple(self._there(camera, one, at, dice))
        return Detections(camera, at, seq, looked=looked, stamps=stamps, model="city-n@imagined", detections=there)

    def looks(self, since: datetime, until: datetime) -> Iterator[Detections]:
        """All looks between two instants in the order of their pictures."""
        import heapq

        due = [(self.first_after(camera, since), camera, 1) for camera in self._class]
        heapq.heapify(due)
        while due and due[0][0] < until:
            at, camera, seq = due[0]
            yield self.look(camera, at, seq)
            heapq.heapreplace(due, (self.next_after(camera, at), camera, seq + 1))

    def _blind(self, camera: str) -> bool:
        one = self._class[camera]
        return one.unusable > 0 and int(camera.rpartition("-")[2]) * _SHAREOUT % 1 < one.unusable

    def _there(self, camera: str, one: Class, at: datetime, dice: Random) -> Iterator[Detection]:
        for each in self._of.get(camera, ()):
            if each.begins_at <= at < each.ends_at:
                yield Detection(one.label, _sure(dice), _near(spot(int(each.zone[1:]), one.zones), dice))
        for number in range(_count(one.parked, Random(f"{camera}|parked"))):
            box = _kerb(number)
            yield Detection("car", _sure(dice), _near(box, dice), _seen_of(f"{camera}|{number}", dice))
        for _ in range(_count(one.passing, dice)):
            label = dice.choice(_PASSERS_BY)
            x, y = dice.uniform(0.0, 0.9), dice.uniform(0.05, 0.2)  # above every zone: on the far side of the street
            box = Box(x, y, min(1.0, x + 0.08), y + 0.08)
            yield Detection(
                label,
                _sure(dice),
                box,
                dice.randbytes(LOOK_SIDE * LOOK_SIDE) if label in ("car", "truck", "bus") else None,
            )


def scheduled(
    classes: Sequence[Class], count: int, *, since: datetime, until: datetime, lasts: timedelta, seed: int
) -> list[Problem]:
    """So many problems over that time, each in a zone of its own, so that none is another one's return.

    Raises ValueError when there are fewer zones than problems.
    """
    places = [(camera, zone) for one in classes for camera in one.cameras() for zone in one.zone_ids()]
    if count > len(places):
        raise ValueError(f"{count} problems need as many zones, there are {len(places)}")
    dice = Random(seed)
    chosen = dice.sample(places, count)
    begins = sorted(since + (until - since) * dice.random() for _ in range(count))
    return [Problem(camera, zone, at, at + lasts) for (camera, zone), at in zip(chosen, begins, strict=True)]


def polygon(number: int, of: int) -> list[list[float]]:
    """The corners of a camera's zone: stripes side by side in the lower three quarters of the view."""
    left, right = number / of, (number + 1) / of
    return [[left + 0.01, 0.25], [right - 0.01, 0.25], [right - 0.01, 0.98], [left + 0.01, 0.98]]


def spot(number: int, of: int) -> Box:
    """Where a problem stands in it."""
    middle, half = (number + 0.5) / of, 0.3 / of
    return Box(middle - half, 0.5, middle + half, 0.8)


def as_camera(one: Class, camera: str) -> dict[str, Any]:
    """The camera as cameras.yaml names it. Its address leads nowhere: nobody opens it."""
    zones = [
        {"id": zone, "kind": one.zone, "polygon": polygon(number, one.zones)}
        for number, zone in enumerate(one.zone_ids())
    ]
    return {
        "id": camera,
        "name": camera,
        "url": f"rtsp://127.0.0.1:9/{camera}",
        "look_every": f"{one.every.total_seconds():g}s",
        "detector": "city",
        **({"zones": zones} if one.zone != "any" else {}),
    }


def _count(mean: float, dice: Random) -> int:
    """Whole, and `mean` on average."""
    whole = int(mean)
    spread = dice.choice((0, 0, 1, -1, 2, -2)) if whole >= 2 else 0
    return whole + spread + (dice.random() < mean - whole)


def _kerb(number: int) -> Box:
    left = 0.04 + (number % 8) * 0.12
    top = 0.4 + (number // 8) * 0.2
    return Box(left, top, left + 0.1, top + 0.15)


def _near(box: Box, dice: Random) -> Box:
    def by(value: float) -> float:
        return min(1.0, max(0.0, value + dice.uniform(-0.004, 0.004)))

    return Box(by(box.x1), by(box.y1), by(box.x2), by(box.y2))


def _sure(dice: Random) -> float:
    return round(dice.uniform(0.6, 0.95), 4)


@lru_cache(maxsize=100_000)
def _individual(who: str) -> bytes:
    return Random(who).randbytes(LOOK_SIDE * LOOK_SIDE)


def _seen_of(who: str, dice: Random) -> bytes:
    """What an individual looks like: nearly the same each time, unlike any other."""
    own = bytearray(_individual(who))
    for _ in range(8):
        own[dice.randrange(len(own))] = dice.randrange(256)
    return bytes(own)
