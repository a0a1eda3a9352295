"""A scene's own tests: stories of looks in words, told to the pipeline, and what must come of them.

    looks:  car x12  van@over-a x2  lost x90  car#2 x5      # label × count, one look each `every` (1m)
    expect: [begins 10m]                                    # instants after the first look

A word is `label`, optionally `#n` (another individual), `@place` (a, b, c, d; `over-a` stands in front of a; `out` is outside
the zone), `%share` (of the zone, for coverage) and `:confidence`. `+` joins what is seen at once. `none` is a clean view;
`lost dark frozen overexposed blurred moved occluded no_signal` are no view.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from citybrain.configuration import duration, duration_text
from citybrain.domain.camera import Camera, Text, Zone, ZoneKind
from citybrain.domain.detection import LOOK_SIDE, Detection, Detections, Usable
from citybrain.domain.episode import ChangeKind
from citybrain.domain.geometry import Box, Polygon
from pipeline.camera_flow import CameraState, advance_camera
from pipeline.scene import Scene, SceneTest, Status

START = datetime(2026, 1, 1, tzinfo=UTC)
_ZONE = Polygon(((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)))
_PLACES = {
    "a": Box(0.15, 0.4, 0.35, 0.6),
    "b": Box(0.40, 0.4, 0.60, 0.6),
    "c": Box(0.65, 0.4, 0.85, 0.6),
    "d": Box(0.40, 0.65, 0.60, 0.85),
    "over-a": Box(0.12, 0.3, 0.40, 0.7),
    "out": Box(0.0, 0.0, 0.08, 0.08),
}
_WORD = re.compile(
    r"(?P<label>[a-z][a-z0-9_]*)(?:#(?P<who>\d+))?(?:@(?P<place>[a-z-]+))?(?:%(?P<share>\d+))?(?::(?P<confidence>0?\.\d+|1))?"
)
_UNUSABLE = {usable.value: usable for usable in Usable if usable is not Usable.OK}
_EXPECT = re.compile(r"(begins|ends) (\S+)")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a scene's test came out: what was expected and what came."""

    scene: str
    name: str
    expected: tuple[str, ...]
    found: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return self.expected == self.found


def tell(scene: Scene) -> list[Verdict]:
    """Run every test of the scene. Raises ValueError, naming the test and word, for a story that cannot be read."""
    return [Verdict(scene.id, test.name, _expected(test), tuple(_outcome(scene, test))) for test in scene.file.tests]


def _outcome(scene: Scene, test: SceneTest) -> Iterator[str]:
    kind = scene.file.zone_kind
    zones = () if kind is ZoneKind.ANY else (Zone("zone", kind, _ZONE),)
    camera = Camera("story", Text("故事", "story"), zones=zones)
    told = Scene(
        scene.file.model_copy(update={"status": Status.LIVE, "inhibited_by": ()}),
        scene.rule,
        scene.revision,
        scene.path,
    )
    state = CameraState()
    for seq, seen in enumerate(_looks(test), start=1):
        at = START + test.every * (seq - 1)
        usable, detections = seen
        look = Detections("story", at, seq, usable, detections=detections)
        state, changes = advance_camera(state, look, camera, [told])
        for change in changes:
            if change.kind in (ChangeKind.BEGAN, ChangeKind.ENDED):
                verb = "begins" if change.kind is ChangeKind.BEGAN else "ends"
                yield f"{verb} {duration_text(at - START)}"


def _looks(test: SceneTest) -> Iterator[tuple[Usable, tuple[Detection, ...]]]:
    words = test.looks.split()
    if not words or len(words) % 2:
        raise ValueError(f"test {test.name!r}: looks must be pairs such as `car x12`, got {test.looks!r}")
    for word, times in zip(words[::2], words[1::2], strict=True):
        if not re.fullmatch(r"x[1-9]\d*", times):
            raise ValueError(f"test {test.name!r}: expected a count such as x12 after {word!r}, got {times!r}")
        look = _look(word, test.name)
        for _ in range(int(times[1:])):
            yield look


def _look(word: str, test: str) -> tuple[Usable, tuple[Detection, ...]]:
    if word in _UNUSABLE:
        return _UNUSABLE[word], ()
    if word == "none":
        return Usable.OK, ()
    return Usable.OK, tuple(_detection(part, test) for part in word.split("+"))


def _detection(part: str, test: str) -> Detection:
    match = _WORD.fullmatch(part)
    place = (match["place"] or "a") if match else ""
    if match is None or place not in _PLACES:
        raise ValueError(f"test {test!r}: cannot read {part!r}; places are {', '.join(_PLACES)}")
    box = _PLACES[place]
    if match["share"]:
        box = Box(0.1, 0.1, 0.9, min(0.9, 0.1 + 0.8 * int(match["share"]) / 100))
    individual = random.Random(f"{match['label']}{match['who'] or 1}")  # a made-up look, the same each time
    return Detection(
        match["label"], float(match["confidence"] or 0.9), box, individual.randbytes(LOOK_SIDE * LOOK_SIDE)
    )


def _expected(test: SceneTest) -> tuple[str, ...]:
    found = []
    for text in test.expect:
        match = _EXPECT.fullmatch(text)
        if match is None:
            raise ValueError(f"test {test.name!r}: expected `begins 10m` or `ends 25m`, got {text!r}")
        at: timedelta = duration(match[2])
        found.append(f"{match[1]} {duration_text(at)}")
    return tuple(found)
