"""How alike the thumbnails of one standing vehicle are, and those of different ones: what dwell's thresholds rest on."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from citybrain import recordings
from citybrain.domain.detection import Detection
from citybrain.errors import UsageError
from citybrain.evaluation import truth
from citybrain.evaluation.scenes import START
from citybrain.wire import read_detections
from pipeline.looks import likeness
from pipeline.rules.dwell import ALIKE, SURE_OVERLAP, VERY_ALIKE

FOLDER = Path(__file__).parents[1] / "models" / "evaluation" / "scenes" / "public"
STANDING = ("campus", "parking_street", "road_nepal_1", "street_jakarta")
VEHICLES = frozenset({"car", "truck", "bus"})
_APART = 20  # looks between two thumbnails of one vehicle: 10 s


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Likeness within a place over 10 s, and between vehicles seen in one picture; shares beyond dwell's thresholds."""
    if given.clips is None or not given.clips.is_dir():
        raise UsageError(
            "bench looks: name the folder of the clips of models/evaluation/scenes/public with --clips DIR"
        )
    clips = truth.load(FOLDER, clips=given.clips)
    same: list[float] = []
    other: list[float] = []
    for camera in clips.own.cameras:
        if clips.truth.clips[camera.id].looped is not None:
            continue  # the same clip once more
        values = recordings.from_video(clips.own, camera.id, truth.file_of(camera), start=START)
        looks = [
            [each for each in read_detections(value).detections if each.label in VEHICLES and each.look]
            for value in values
        ]
        if camera.id in STANDING:
            same += _same(looks)
        other += _other(looks)
    return {"same vehicle, 10 s apart": _told(same), "different vehicles": _told(other)}


def _same(looks: Sequence[Sequence[Detection]]) -> Iterator[float]:
    for early, late in zip(looks, looks[_APART:], strict=False):
        for a in early:
            for b in late:
                if a.look and b.look and a.box.overlap(b.box) >= SURE_OVERLAP:
                    yield likeness(a.look, b.look)


def _other(looks: Sequence[Sequence[Detection]]) -> Iterator[float]:
    for seen in looks[::2]:
        for a, b in combinations(seen, 2):
            if a.look and b.look and a.box.overlap(b.box) < 0.1:
                yield likeness(a.look, b.look)


def _told(values: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(values)
    if not ordered:
        return {"pairs": 0}
    return {
        "pairs": len(ordered),
        "p5": round(ordered[len(ordered) // 20], 2),
        "p50": round(ordered[len(ordered) // 2], 2),
        "p95": round(ordered[-1 - len(ordered) // 20], 2),
        f"at least {ALIKE}": f"{sum(value >= ALIKE for value in ordered) / len(ordered):.0%}",
        f"at least {VERY_ALIKE}": f"{sum(value >= VERY_ALIKE for value in ordered) / len(ordered):.0%}",
    }
