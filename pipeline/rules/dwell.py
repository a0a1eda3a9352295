"""True for each vehicle that stands in the zone: the place is the identity, a track is not.

Each vehicle seen is given an *anchor*: where it stands, since when, and a small picture of it. A detection is the anchor's
vehicle when it overlaps it, and looks like it where the overlap is in doubt or nobody looked for a while.

    overlap ≥ 0.55, seen at the last look      the same
    overlap ≥ 0.55, missed or after a gap      the same if it looks alike
    overlap ≥ 0.30                             the same if it looks very much alike
    nothing matches, a thing came in front     UNKNOWN: hidden, not gone
    nothing matches, nothing came in front     FALSE
    a stranger stands there instead            over: it takes the place after `clear_after`
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from pydantic import Field

from citybrain.configuration import Duration, Section
from citybrain.domain.camera import Zone
from citybrain.domain.detection import Detection
from citybrain.domain.geometry import Box
from citybrain.domain.observation import Verdict
from pipeline.looks import likeness
from pipeline.rules import Look, Memory, Observation

SURE_OVERLAP, DOUBTFUL_OVERLAP = 0.55, 0.30
ALIKE, VERY_ALIKE = 0.60, 0.75
"""Likeness of a standing vehicle's own thumbnails against those of others: docs/evaluation.md, "Looks of vehicles"."""
LOOK_AFTER_S = 10.0
HIDDEN = 0.3
"""An anchor is hidden when another thing covers this share of its box …"""
BEFORE = 0.1
"""… and more of it, by this much, than it did when the vehicle was last seen beside it."""
DRIFT = 0.2
FOOTPRINT = 0.4
"""The lower part of a vehicle's box is what stands on the ground; the rest leans over the zone's edge in perspective."""
TWICE = 0.7
MOST_ANCHORS = 200


class Queue(Section):
    """Vehicles that came to stand together are a queue, not parked: `vehicles` of them `within` this time of each other."""

    vehicles: int = Field(ge=2)
    within: Duration = timedelta(minutes=1)


class Config(Section):
    """`when:` of a dwell scene. `min_inside` is the least share of a vehicle's footprint that must lie in the zone.

    `remember` is how long a place knows a vehicle that left, so that its return is a recurrence and not a stranger.
    """

    labels: frozenset[str] = Field(min_length=1)
    min_confidence: float = Field(default=0.35, ge=0, le=1)
    min_inside: float = Field(default=0.5, ge=0, le=1)
    remember: Duration = timedelta(hours=1)
    queue: Queue | None = None


@dataclass(frozen=True, slots=True)
class Anchor:
    """A vehicle's place: box now and at first, first and last seen (epoch seconds), its look, and whether it has left.

    `look_s` is when the look was last its own beyond doubt; `beside` are the boxes that reached over its place while it was
    seen: what stood there then hides nothing now. `found` says that it stood there when the camera began to look.
    """

    box: Box
    origin: Box
    first_s: float
    seen_s: float
    label: str
    look: bytes | None
    look_s: float
    beside: tuple[Box, ...] = ()
    left: bool = False
    found: bool = False

    def as_json(self) -> dict[str, object]:
        return {
            "box": self.box.as_list(),
            "origin": self.origin.as_list(),
            "first_s": self.first_s,
            "seen_s": self.seen_s,
            "label": self.label,
            "look": base64.b64encode(self.look).decode() if self.look else None,
            "look_s": self.look_s,
            "beside": [box.as_list() for box in self.beside],
            "left": self.left,
            "found": self.found,
        }


@dataclass(frozen=True, slots=True)
class Dwell:
    labels: frozenset[str]
    min_confidence: float
    min_inside: float
    remember: timedelta
    queue: Queue | None
    per_object: bool = field(default=True, init=False)

    def places(self, memory: Memory) -> Collection[str]:
        return [place for place, anchor in memory.get("anchors", {}).items() if not anchor["left"]]

    def settle(self, memory: Memory, live: Collection[str], ended: Collection[str]) -> Memory:
        anchors: dict[str, Memory] = memory.get("anchors", {})
        kept = {place: anchor for place, anchor in anchors.items() if place in live or anchor["left"]}
        left = {place: anchors[place] | {"left": True} for place in ended if place in anchors}
        return memory | {"anchors": kept | left}

    def observe(self, memory: Memory, look: Look) -> tuple[Memory, list[Observation]]:
        now = look.seen.captured_at.timestamp()
        looked_s: float | None = memory.get("looked_s")
        # What stands there when nobody has looked for long was found, and did not come together with its neighbours.
        found = looked_s is None or now - looked_s > look.max_gap.total_seconds()
        anchors = self._recalled(memory, now)
        standing = _one_each([each for each in look.seen.detections if self._concerns(each, look.zone)])
        matches = _match(anchors, standing, now, looked_s=looked_s)
        observations: list[Observation] = []
        for place, anchor in anchors.items():
            if place in matches:
                anchors[place] = _seen_again(anchor, matches[place], now)
        taken = {id(each) for each in matches.values()}
        for each in standing:
            if id(each) not in taken and len(anchors) < MOST_ANCHORS:
                place = _place(look, each)
                anchors[place] = Anchor(each.box, each.box, now, now, each.label, each.look, now, found=found)
                matches[place] = each
        for place, each in matches.items():
            anchors[place] = replace(anchors[place], beside=_beside(anchors[place], each, look.seen.detections))
        strangers = {place for place in matches if anchors[place].first_s == now}
        for place, anchor in anchors.items():
            if place in matches:
                withheld = "queue" if self._queues(anchor, anchors, matches) else ""
                observations.append(Observation(place, Verdict.TRUE, (matches[place],), withheld=withheld))
            elif not anchor.left:
                observations.append(_unmatched(place, anchor, anchors, matches=matches, look=look, strangers=strangers))
        written = {place: anchor.as_json() for place, anchor in anchors.items()}
        return {"anchors": written, "looked_s": now}, observations

    def _concerns(self, each: Detection, zone: Zone) -> bool:
        if each.label not in self.labels or each.confidence < self.min_confidence:
            return False
        box = each.box
        footprint = Box(box.x1, box.y2 - (box.y2 - box.y1) * FOOTPRINT, box.x2, box.y2)
        return zone.polygon.share_inside(footprint) >= self.min_inside

    def _recalled(self, memory: Memory, now: float) -> dict[str, Anchor]:
        forget = now - self.remember.total_seconds()
        anchors = {place: _anchor(fields) for place, fields in memory.get("anchors", {}).items()}
        return {place: anchor for place, anchor in anchors.items() if not anchor.left or anchor.seen_s >= forget}

    def _queues(self, anchor: Anchor, anchors: dict[str, Anchor], matches: dict[str, Detection]) -> bool:
        if self.queue is None or anchor.found:
            return False
        within = self.queue.within.total_seconds()
        came = [anchors[place].first_s for place in matches if not anchors[place].found]
        together = sum(1 for first_s in came if abs(first_s - anchor.first_s) <= within)
        return together >= self.queue.vehicles


def build(config: Config) -> Dwell:
    return Dwell(config.labels, config.min_confidence, config.min_inside, config.remember, config.queue)


def _anchor(fields: dict[str, object]) -> Anchor:
    def box(name: str) -> Box:
        return Box(*fields[name])  # type: ignore[misc]  # four numbers, as as_json wrote them

    return Anchor(
        box=box("box"),
        origin=box("origin"),
        first_s=float(fields["first_s"]),  # type: ignore[arg-type]
        seen_s=float(fields["seen_s"]),  # type: ignore[arg-type]
        label=str(fields["label"]),
        look=base64.b64decode(str(fields["look"])) if fields["look"] else None,
        look_s=float(fields["look_s"]),  # type: ignore[arg-type]
        beside=tuple(Box(*each) for each in fields["beside"]),  # type: ignore[attr-defined]
        left=bool(fields["left"]),
        found=bool(fields["found"]),
    )


def _one_each(standing: Sequence[Detection]) -> list[Detection]:
    """One detection a vehicle: a detector may call the same one car and truck."""
    kept: list[Detection] = []
    for each in sorted(standing, key=lambda each: -each.confidence):
        if all(each.box.overlap(other.box) < TWICE for other in kept):
            kept.append(each)
    return kept


def _match(
    anchors: dict[str, Anchor], standing: Sequence[Detection], now: float, *, looked_s: float | None
) -> dict[str, Detection]:
    """Which detection is which anchor's vehicle, best overlap first, those still standing before those that left."""
    pairs = [
        (anchor.left, -anchor.box.overlap(each.box), place, index)
        for place, anchor in anchors.items()
        for index, each in enumerate(standing)
    ]
    matches: dict[str, Detection] = {}
    taken: set[int] = set()
    for _, overlap, place, index in sorted(pairs):
        if place in matches or index in taken:
            continue
        anchor = anchors[place]
        steadily = not anchor.left and anchor.seen_s == looked_s and now - anchor.seen_s <= LOOK_AFTER_S
        if _same(anchor, standing[index], -overlap, steadily=steadily):
            matches[place] = standing[index]
            taken.add(index)
    return matches


def _same(anchor: Anchor, each: Detection, overlap: float, *, steadily: bool) -> bool:
    """Whether the detection is the anchor's vehicle; `steadily` when it was seen at the last look, a moment ago."""
    if overlap < DOUBTFUL_OVERLAP or anchor.origin.overlap(each.box) < DOUBTFUL_OVERLAP:
        return False
    sure = overlap >= SURE_OVERLAP
    if sure and steadily:
        return True
    if anchor.look is None or each.look is None:
        return sure
    return likeness(anchor.look, each.look) >= (ALIKE if sure else VERY_ALIKE)


def _seen_again(anchor: Anchor, each: Detection, now: float) -> Anchor:
    if anchor.left:  # back in its old place: the identity is the old one, the stay is new
        return Anchor(each.box, each.box, now, now, each.label, each.look, now)
    seen = replace(anchor, box=anchor.box.toward(each.box, step=DRIFT), seen_s=now)
    if each.look is None or anchor.box.overlap(each.box) < SURE_OVERLAP:
        return seen
    # The look follows the light, but not what only passes in front: a look unlike it must last before it is believed.
    believed = (
        anchor.look is None
        or likeness(anchor.look, each.look) >= ALIKE
        or (now - anchor.seen_s <= LOOK_AFTER_S < now - anchor.look_s)
    )
    return replace(seen, look=each.look, look_s=now) if believed else seen


def _beside(anchor: Anchor, own: Detection, seen: Sequence[Detection]) -> tuple[Box, ...]:
    """What reaches over a vehicle that is seen, other than a second box for itself."""
    return tuple(
        each.box
        for each in seen
        if anchor.box.covered_by(each.box) >= HIDDEN - BEFORE and own.box.overlap(each.box) < TWICE
    )


def _stood_there(anchor: Anchor, other: Box, before: Sequence[Box]) -> bool:
    """Whether a thing that reaches over the place did so, as far as now, beside our vehicle before: it hides nothing new."""
    covered = anchor.box.covered_by(other)
    return any(box.overlap(other) >= SURE_OVERLAP and covered <= anchor.box.covered_by(box) + BEFORE for box in before)


def _unmatched(
    place: str,
    anchor: Anchor,
    anchors: dict[str, Anchor],
    *,
    matches: dict[str, Detection],
    look: Look,
    strangers: set[str],
) -> Observation:
    """An anchor whose vehicle was not seen: hidden, displaced by a stranger that has come to stay, or gone."""
    owner = {id(each): name for name, each in matches.items()}
    hidden = False
    for each in look.seen.detections:
        if anchor.box.covered_by(each.box) < HIDDEN or _stood_there(anchor, each.box, anchor.beside):
            continue
        other = owner.get(id(each))
        if other is None or other in strangers:
            hidden = True
            continue
        neighbour = anchors[other]
        if neighbour.first_s <= anchor.seen_s and _stood_there(anchor, each.box, (neighbour.origin,)):
            continue  # the detector missed it when ours was last seen; it stood there all the same
        stood = neighbour.seen_s - neighbour.first_s
        if stood >= look.clear_after.total_seconds() and neighbour.box.overlap(anchor.box) >= DOUBTFUL_OVERLAP:
            return Observation(place, Verdict.FALSE, reason="replaced", over=True)
        hidden = True
    return Observation(place, Verdict.UNKNOWN, reason="hidden") if hidden else Observation(place, Verdict.FALSE)


def _place(look: Look, each: Detection) -> str:
    """A name for a place, derived from what began there, so that the same recording names it the same."""
    facts = f"{look.seen.camera}|{look.zone.id}|{look.seen.captured_at.isoformat()}|{each.box.as_list()}"
    return hashlib.sha256(facts.encode()).hexdigest()[:10]
