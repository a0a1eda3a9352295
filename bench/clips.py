"""Public clips through the whole pipeline, judged against what a person watching says."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from citybrain import assembly, recordings
from citybrain.assembly import Configuration
from citybrain.domain.case import CaseEvent, CaseEventType
from citybrain.errors import UsageError

FOLDER = Path(__file__).parent / "clips"
START = datetime(2026, 1, 1, tzinfo=UTC)


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Each clip's cases beside the truth: found, missed, false, and how long after the thing began."""
    if given.clips is None or not given.clips.is_dir():
        raise UsageError("bench clips: name the folder of the clips with --clips DIR; docs/evaluation.md lists them")
    os.environ["CLIPS"] = str(given.clips.resolve())
    configuration = assembly.load(FOLDER)
    truth: Mapping[str, Mapping[str, int]] = yaml.safe_load((FOLDER / "truth.yaml").read_text())
    rows = [_row(configuration, camera.id, truth[camera.id]) for camera in configuration.cameras]
    sums = {name: sum(row[name] for row in rows) for name in ("problems", "found", "missed", "false")}
    return {"clips": rows, **sums, "holds": sums["missed"] == 0 and sums["false"] == 0}


def _row(configuration: Configuration, camera: str, truth: Mapping[str, int]) -> dict[str, Any]:
    settings = next(each for each in configuration.cameras if each.id == camera)
    video = Path(settings.url.get_secret_value().removeprefix("file://"))
    seen = list(recordings.from_video(configuration, camera, video, start=START))
    events = list(recordings.replay(configuration, seen, state=None))
    filed = [event for event in events if event.type is CaseEventType.FILED]
    cases = Counter(event.case.scene for event in filed)
    found = sum(min(count, truth.get(scene, 0)) for scene, count in cases.items())
    return {
        "clip": video.name,
        "looks": len(seen),
        "problems": sum(truth.values()),
        "cases": ", ".join(f"{scene} {count}" for scene, count in sorted(cases.items())) or "none",
        "found": found,
        "missed": sum(truth.values()) - found,
        "false": len(filed) - found,
        "at_s": ", ".join(_when(event) for event in filed),
    }


def _when(event: CaseEvent) -> str:
    began, confirmed = ((at - START).total_seconds() for at in (event.case.began_at, event.case.confirmed_at))
    return f"{began:.1f}→{confirmed:.1f}"
