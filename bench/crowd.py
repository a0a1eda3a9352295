"""A city of very many simulated cameras: its configuration, and what its log says of how they were looked at."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from bench.endtoend import percentile
from citybrain.bus.local import LocalBus
from citybrain.clock import SystemClock
from citybrain.demo.city import USER
from citybrain.domain.detection import Detections, Looked, Usable
from citybrain.wire import DETECTIONS, read_detections

SHIPPED = Path(__file__).parents[1] / "configs"
_PAGE = 2000
_SQUARE = [[0.02, 0.30], [0.98, 0.30], [0.98, 0.98], [0.02, 0.98]]
_SHAREOUT = 0.618034  # of a round: cameras of one clip are nowhere in step, however many there are


@dataclass(frozen=True, slots=True)
class Group:
    """So many cameras that show one clip; a `zone` of that kind decides which scenes judge them beside those of any view."""

    name: str
    clip: Path
    count: int
    zone: str | None = None
    ahead_s: Sequence[float] = ()
    """How far into the clip each camera is when all begin; else they are spread over it."""

    def cameras(self, *, look_every: str) -> list[dict[str, Any]]:
        return [
            {
                "id": f"{self.name}-{number:04d}",
                "name": f"{self.name} {number}",
                "url": f"rtsp://{USER}:${{DEMO_CAMERA_PASSWORD}}@127.0.0.1:${{DEMO_RTSP_PORT}}/{self._shown(number)}",
                "look_every": look_every,
                "detector": "city",
                **({"zones": [{"id": "zone", "kind": self.zone, "polygon": _SQUARE}]} if self.zone else {}),
            }
            for number in range(self.count)
        ]

    def _shown(self, number: int) -> str:
        ahead = self.ahead_s[number] if self.ahead_s else number * _SHAREOUT % 1 * 60
        return f"{self.clip.stem}~{ahead:.2f}"


def write(
    folder: Path,
    groups: Iterable[Group],
    *,
    look_every: str = "2s",
    scenes: Mapping[str, Mapping[str, Any]],
    gate: bool = True,
) -> tuple[Path, Path]:
    """A configuration and a folder of clips for these cameras; detector and codes as they ship, the gate perhaps off.

    `scenes` names those of the shipped scenes that are wanted, each with the keys that differ.
    """
    config, clips = folder / "config", folder / "clips"
    for each in ("detectors", "codes", "scenes"):
        shutil.copytree(SHIPPED / each, config / each)
    shutil.copy(SHIPPED / "calendar.yaml", config)
    detector = config / "detectors" / "city.yaml"
    detector.write_text(yaml.safe_dump({**yaml.safe_load(detector.read_text()), "gate": gate}, allow_unicode=True))
    for path in (config / "scenes").iterdir():
        if path.stem in scenes:
            said = {**yaml.safe_load(path.read_text()), **scenes[path.stem]}
            said["inhibited_by"] = [other for other in said.get("inhibited_by", ()) if other in scenes]
            path.write_text(yaml.safe_dump(said, allow_unicode=True))
        else:
            path.unlink()
    (config / "routes.yaml").write_text("routes: []\n")
    groups = list(groups)
    cameras = [camera for group in groups for camera in group.cameras(look_every=look_every)]
    (config / "cameras.yaml").write_text(yaml.safe_dump({"cameras": cameras}, allow_unicode=True))
    clips.mkdir()
    for clip in {group.clip for group in groups}:
        os.link(
            clip.resolve(), clips / clip.name
        )  # the simulator serves what lies in its folder, and no links out of it
    return config, clips


@dataclass(frozen=True)
class Seen:
    """The looks of all cameras that were told of between two instants; of `after`, the first one later than that."""

    since_at: datetime
    until_at: datetime
    read_at: datetime
    looks: Mapping[str, Sequence[Detections]] = field(repr=False)
    after: Mapping[str, Detections] = field(default_factory=dict, repr=False)

    @property
    def seconds(self) -> float:
        return (self.until_at - self.since_at).total_seconds()

    def only(self, cameras: Iterable[str]) -> Seen:
        chosen = list(cameras)
        after = {camera: self.after[camera] for camera in chosen if camera in self.after}
        return replace(self, looks={camera: self.looks[camera] for camera in chosen}, after=after)

    def count(self) -> Counter[str]:
        return Counter(look.looked.value for each in self.looks.values() for look in each)

    def gaps(self) -> list[float]:
        """Seconds from one picture looked at to the next of the same camera, ascending; all that began in the time."""
        found = []
        for camera, looks in self.looks.items():
            at = [look.captured_at for look in looks] or [self.since_at]
            at.append(self.after[camera].captured_at if camera in self.after else self.read_at)
            found += [(later - earlier).total_seconds() for earlier, later in pairwise(at)]
        return sorted(found)

    def latencies(self) -> list[float]:
        """Seconds from the instant a picture was taken to what was seen in it, ascending."""
        return sorted(
            (look.stamps["inferred"] - look.captured_at).total_seconds()
            for each in self.looks.values()
            for look in each
            if look.looked is not Looked.NOT
        )

    def fairness(self) -> dict[str, float]:
        """Jain's index of looks by camera (1: all alike), and the most looks over the fewest."""
        counts = [len(each) for each in self.looks.values()]
        if not any(counts):
            return {"jain": 0.0, "most_to_fewest": 0.0}
        jain = sum(counts) ** 2 / (len(counts) * sum(count * count for count in counts))
        return {"jain": round(jain, 4), "most_to_fewest": round(max(counts) / max(1, min(counts)), 2)}

    def told(self) -> dict[str, Any]:
        """All of it in figures."""
        gaps, latencies, count = self.gaps(), self.latencies(), self.count()
        looks = sum(count.values())
        return {
            "looks_s": round(looks / self.seconds, 1),
            "inferred": round(count["inferred"] / max(1, looks), 3),
            "unchanged": round(count["unchanged"] / max(1, looks), 3),
            "unseen_s": {"p50": _to(percentile(gaps, 0.5)), "p99": _to(percentile(gaps, 0.99)), "max": _to(gaps[-1])},
            "latency_s": {"p50": _to(percentile(latencies, 0.5)), "p99": _to(percentile(latencies, 0.99))}
            if latencies
            else None,
        }


def seen(database: Path, *, cameras: Iterable[str], since_at: datetime, until_at: datetime) -> Seen:
    """What a running city's log says was looked at between two instants, by when it was said; blind spells are no looks."""
    looks: dict[str, list[Detections]] = {camera: [] for camera in cameras}
    after: dict[str, Detections] = {}
    bus = LocalBus(database)
    try:
        offset = 0
        while messages := bus.read((DETECTIONS,), after=offset, limit=_PAGE):
            offset = messages[-1].offset
            for message in messages:
                if message.logged_at < since_at or message.key not in looks or message.key in after:
                    continue
                look = read_detections(message.value)
                if look.usable is Usable.LOST:
                    continue
                if message.logged_at < until_at:
                    looks[look.camera].append(look)
                else:
                    after[look.camera] = look
    finally:
        bus.close()
    return Seen(since_at, until_at, SystemClock().now(), looks, after)


def _to(seconds: float) -> float:
    return round(seconds, 2)
