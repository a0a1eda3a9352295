"""What `citybrain evaluate scenes` does: a set of clips through the pipeline, counted, told, drawn."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from citybrain.errors import UsageError
from citybrain.evaluation import scene_report, timelines
from citybrain.evaluation.scenes import evaluate
from detectors.registry import find_models

DONE, FAILED = 0, 1
OURS = Path("evaluation") / "scenes" / "ours"
"""Where the set that ships lies, in the models' folder."""


def scenes(given: argparse.Namespace) -> int:
    """The figures of a set on stdout; 1 when an event was missed or late, or a case false."""
    folder = given.set or find_models(Path.cwd()) / OURS
    if given.hours is not None and not 0 < given.hours < 24 * 365:
        raise UsageError(f"--hours {given.hours:g}: expected more than none, and less than a year")
    found = evaluate(
        folder,
        clips=given.clips,
        config=given.config,
        only=given.only or (),
        hours=given.hours,
        workers=given.workers or os.cpu_count() or 1,
        say=_progress,
    )
    if given.plots is not None:
        for path in timelines.draw(found, given.plots):
            print(f"citybrain: {path}", file=sys.stderr)
    if given.json:
        print(json.dumps(scene_report.as_json(found), ensure_ascii=False))
    else:
        print(scene_report.as_markdown(found) if given.markdown else scene_report.as_text(found))
    return DONE if found.holds else FAILED


def _progress(clip: str, share: float) -> None:
    print(f"citybrain: {clip} {share:.0%}", file=sys.stderr, flush=True)
