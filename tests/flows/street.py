"""A street that never was: cars that park, vans that pass, a camera that is lost, and what a detector makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any

from citybrain import plugins
from citybrain.domain.camera import Camera, Text, Zone, ZoneKind
from citybrain.domain.detection import LOOK_SIDE, Detection, Detections, Looked, Usable
from citybrain.domain.geometry import Box, Homography, Polygon
from citybrain.wire import write_detections
from pipeline.city import City
from pipeline.flow import Pipeline
from pipeline.routes import Routes
from pipeline.runners.replay import Replay
from pipeline.scene import Scene, SceneFile

START = datetime(2026, 11, 21, 8, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
KERB = Polygon(((0.05, 0.30), (0.95, 0.30), (0.95, 0.95), (0.05, 0.95)))
A, B, C = Box(0.15, 0.50, 0.30, 0.65), Box(0.40, 0.50, 0.55, 0.65), Box(0.65, 0.50, 0.80, 0.65)
IN_FRONT_OF_A = Box(0.12, 0.42, 0.40, 0.75)

DWELL = {
    "id": "illegal_parking",
    "title": {"zh": "机动车乱停放", "en": "Illegal parking"},
    "status": "live",
    "rule": "dwell",
    "zone_kind": "no_parking",
    "when": {"labels": ["car", "truck", "bus"]},
    "hold": "5m",
    "max_gap": "90s",
    "clear_after": "2m",
    "case": {"code": "05-05", "unit": "traffic_order", "deadline": "2h", "close_after_clear": "12h"},
    "tests": [{"name": "one", "looks": "car x1"}, {"name": "two", "looks": "none x1"}],
}
FIRE = DWELL | {
    "id": "fire_risk",
    "title": {"zh": "烟火", "en": "Fire risk"},
    "rule": "presence",
    "zone_kind": "any",
    "when": {"labels": ["fire", "smoke"]},
    "hold": "3s",
    "max_gap": "4s",
    "clear_after": "1m",
    "case": {"code": "04-11", "unit": "fire_rescue", "deadline": "10m", "severity": "critical"},
}


def scene(like=DWELL, **changes) -> Scene:
    """A scene as its file would give it."""
    file = SceneFile.model_validate(like | changes)
    plugin = plugins.load("pipeline.rules", file.rule)
    rule = plugin.build(plugin.Config.model_validate(file.when))
    return Scene(file, rule, "r1", f"{file.id}.yaml")


def camera(
    id="gd-1", *, place: str | None = None, ground: Homography | None = None, grid_cell: str | None = None, zones=None
) -> Camera:
    kerb = Zone("kerb", ZoneKind.NO_PARKING, KERB, place, ground)
    return Camera(id, Text("路口", "junction"), (102.7, 25.0), grid_cell, (kerb,) if zones is None else zones)


def city(
    scenes: Iterable[Scene] = (), cameras: Iterable[Camera] = (), routes: Routes | None = None, **more: Any
) -> City:
    scenes, cameras = list(scenes) or [scene()], list(cameras) or [camera()]
    return City({s.id: s for s in scenes}, {c.id: c for c in cameras}, routes or Routes(), "c0ffee", **more)


@cache
def thumbnail(who: object) -> bytes:
    """What an individual looks like: the same each time, unlike any other."""
    return Random(str(who)).randbytes(LOOK_SIDE * LOOK_SIDE)


@dataclass(frozen=True)
class Thing:
    """Something in view from `since` until `until` (seconds after the start), standing or on its way `to` another box."""

    box: Box
    since: float = 0
    until: float = 1e9
    label: str = "car"
    who: object = 1
    to: Box | None = None

    def at(self, second: float) -> Box | None:
        if not self.since <= second < self.until:
            return None
        return (
            self.box
            if self.to is None
            else self.box.toward(self.to, step=(second - self.since) / (self.until - self.since))
        )


@dataclass
class Street:
    """Everything there is, and when the camera could not see it (`blind`: since, until, how)."""

    things: Sequence[Thing] = ()
    blind: Sequence[tuple[float, float, Usable]] = ()
    jitter: float = 0.004
    missed: float = 0.05
    seed: int = 1
    camera: str = "gd-1"
    evidence: bool = False
    restarts: Sequence[float] = field(default_factory=tuple)
    """When ingest began anew: its numbers start from 1, and nothing was looked at for four seconds."""

    def looks(self, *, every: float = 1.0, until: float, since: float = 0) -> Iterator[Detections]:
        """What the detector told of it. The thing in front hides what it covers by more than half."""
        random, seq, second = Random(self.seed), 0, since
        while second < until:
            if any(0 <= second - at < 4 for at in self.restarts):
                seq, second = 0, second + every
                continue
            seq += 1
            yield self._look(second, seq, random)
            second = round(second + every, 3)

    def _look(self, second: float, seq: int, random: Random) -> Detections:
        at = START + timedelta(seconds=second)
        stamps = {"received": at + 40 * timedelta(milliseconds=1), "inferred": at + 120 * timedelta(milliseconds=1)}
        for since, until, how in self.blind:
            if since <= second < until:
                return Detections(self.camera, at, seq, how, Looked.NOT, stamps=stamps)
        there = [(thing, box) for thing in self.things if (box := thing.at(second)) is not None]
        seen = [
            self._seen(thing, box, random)
            for n, (thing, box) in enumerate(there)
            if all(box.covered_by(front) <= 0.5 for _, front in there[n + 1 :]) and random.random() >= self.missed
        ]
        ref = f"{self.camera}/{at:%Y%m%d/%H%M%S}.000Z-0123456789abcdef.jpg" if self.evidence and seen else None
        return Detections(self.camera, at, seq, stamps=stamps, model="city-n@1", evidence=ref, detections=tuple(seen))

    def _seen(self, thing: Thing, box: Box, random: Random) -> Detection:
        def near(value: float) -> float:
            return min(1.0, max(0.0, value + random.uniform(-self.jitter, self.jitter)))

        moved = Box(near(box.x1), near(box.y1), near(box.x2), near(box.y2))
        grain = random.randbytes(LOOK_SIDE * LOOK_SIDE)
        noise = bytes(min(255, value + (grey >> 4)) for value, grey in zip(thumbnail(thing.who), grain, strict=True))
        return Detection(thing.label, round(random.uniform(0.6, 0.95), 2), moved, noise)


def messages(looks: Iterable[Detections]) -> list[bytes]:
    return [write_detections(look) for look in looks]


def replay(values: Iterable[bytes], town: City | None = None):
    """The case events of messages, as short words: (type, seconds after the start)."""
    return list(Replay(Pipeline(town or city())).run(values))


def told(events) -> list[tuple[str, float]]:
    return [(event.type.value.rpartition(".")[2], (event.at - START).total_seconds()) for event in events]
