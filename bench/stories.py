"""The demo's clips replayed through detector and pipeline: which cases each gives, beside what its story tells."""

from __future__ import annotations

import argparse
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from bench.chaos import STORIES
from bench.running import FOOTAGE
from citybrain import assembly, recordings
from citybrain.assembly import Configuration
from citybrain.demo.city import CONFIG, DemoCity
from citybrain.domain.case import CaseEventType

START = datetime(2026, 1, 1, tzinfo=UTC)


def measure(_given: argparse.Namespace) -> dict[str, Any]:
    """Every clip once, as fast as it can: one case where its story tells of a problem, none where it tells of nothing."""
    DemoCity(data=FOOTAGE.parent, footage=FOOTAGE, epoch=START).build_footage(lambda _camera, _share: None)
    configuration = assembly.load(CONFIG)
    rows = [row(configuration, camera.id) for camera in configuration.cameras]
    return {"clips": rows, "holds": all(each["right"] for each in rows)}


def row(configuration: Configuration, camera: str) -> dict[str, Any]:
    """What one clip gives. A problem seen by two cameras is expected of each of them alone."""
    video = FOOTAGE / f"{camera}.mp4"
    values = recordings.from_video(configuration, camera, video, start=START)
    events = list(recordings.replay(configuration, values, state=None))
    cases = Counter(event.case.scene for event in events if event.type is CaseEventType.FILED)
    expected = Counter(story.scene for story in STORIES if camera in story.cameras)
    shown = [f"{event.type.rpartition('.')[2]} {(event.at - START).total_seconds():.0f} s" for event in events]
    return {
        "camera": camera,
        "expected": ", ".join(expected) or "nothing",
        "cases": ", ".join(f"{scene} {count}" for scene, count in sorted(cases.items())) or "none",
        "events": ", ".join(shown),
        "right": cases == expected,
    }
