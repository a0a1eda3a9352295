"""The change gate, measured: what it saves, what it misses, how long a miss lasts, and what audits find of that.

Every look goes through the detector, whatever the gate says of it: so it is known what each skipped look would have
hidden. A look is a miss when something that a scene asks for is surely there and was not, or was and is not.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.damage import WEATHERS
from bench.quality import TIMELINES
from citybrain import assembly
from citybrain.assembly import Configuration
from citybrain.demo.footage import compose, load
from citybrain.domain.detection import Detection, Usable
from citybrain.errors import UsageError
from citybrain.evaluation.disturbed import as_bgr, as_picture
from citybrain.ports import Picture
from detectors.audit import is_audited, is_miss
from detectors.batching import Detector, open_detector
from detectors.gate import Gate
from ingest.footage import pictures
from ingest.quality import Usability, sight_of

START = datetime(2026, 1, 1, tzinfo=UTC)
EVERY, CLIPS_EVERY = timedelta(seconds=2), timedelta(milliseconds=500)
SKIES = (
    ("clouds", 0.3),
    ("clouds", 0.5),
    ("lamp flicker", 0.05),
    ("lamp flicker", 0.15),
    ("rain", 0.5),
    ("wind", 0.002),
)
UNDER_THEM = "kerb-a"

Look = tuple[datetime, Picture]


@dataclass(slots=True)
class _Tally:
    """What became of one camera's looks."""

    looks: int = 0
    skipped: int = 0
    missed: int = 0
    audited: int = 0
    audits_missed: int = 0
    gate_s: float = 0.0
    spans: list[timedelta] = field(default_factory=list)

    def row(self, name: str) -> dict[str, Any]:
        return {
            "footage": name,
            "looks": self.looks,
            "skipped": _share(self.skipped, self.looks),
            "missed_per_skipped": _share(self.missed, self.skipped),
            "longest_miss_s": max((span.total_seconds() for span in self.spans), default=0.0),
            "audited": self.audited,
            "audits_missed": self.audits_missed,
            "gate_ms": round(self.gate_s / max(1, self.looks) * 1000, 3),
        }


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """The share of looks skipped, of skipped looks missed, and how long the longest miss lasted, per footage."""
    configuration = assembly.load(TIMELINES.parent)
    settings = configuration.detector_of(configuration.cameras[0])
    rows = []
    with open_detector(settings, looks=()) as detector:
        detector.warmup()
        for name, looks in _footage(given):
            rows.append(_tally(looks, detector, configuration, settings.reaffirm_for).row(name))
    skipped = sum(row["skipped"] * row["looks"] for row in rows)
    return {
        "footage": rows,
        "reaffirm_for_s": settings.reaffirm_for.total_seconds(),
        "missed_per_skipped": _share(sum(r["missed_per_skipped"] * r["skipped"] * r["looks"] for r in rows), skipped),
        "holds": all(row["longest_miss_s"] <= settings.reaffirm_for.total_seconds() for row in rows),
    }


def _tally(looks: Iterator[Look], detector: Detector, configuration: Configuration, reaffirm: timedelta) -> _Tally:
    labels = frozenset().union(*(each.rule.labels for each in configuration.scenes.values()))
    gate, usability, tally = Gate(reaffirm), Usability(), _Tally()
    repeated: tuple[Detection, ...] = ()
    missed_since: datetime | None = None
    for seq, (at, picture) in enumerate(looks, start=1):
        sight = sight_of(picture)
        if usability.judge(sight, at).usable is not Usable.OK:
            gate.forget()
            continue
        (seen,) = detector.detect([picture])
        luma = sight.luma
        began = time.process_time()
        unchanged = gate.unchanged(luma, at)
        tally.gate_s += time.process_time() - began
        tally.looks += 1
        missed = unchanged and is_miss(repeated, seen, labels)
        if missed_since is not None and not missed:
            tally.spans.append(at - missed_since)
        missed_since = (missed_since or at) if missed else None
        if not unchanged:
            gate.saw(luma, at)
            repeated = seen
            continue
        tally.skipped += 1
        tally.missed += missed
        # Counted as an audit would, and yet skipped: what the gate alone does is what is measured.
        if is_audited("bench", seq):
            tally.audited += 1
            tally.audits_missed += missed
    return tally


# -- footage ----------------------------------------------------------------------------------------------------------


def _footage(given: argparse.Namespace) -> Iterator[tuple[str, Iterator[Look]]]:
    for path in sorted(TIMELINES.glob("*.yaml")):
        yield path.stem, _composed(path)
    for sky, strength in SKIES:
        yield f"{UNDER_THEM}, {sky} {strength}", _composed(TIMELINES / f"{UNDER_THEM}.yaml", sky, strength)
    if given.clips is None:
        return
    if not given.clips.is_dir():
        raise UsageError(f"bench gate: {given.clips} is no folder")
    for path in sorted(each for each in given.clips.iterdir() if each.suffix in (".mp4", ".avi", ".mkv")):
        yield path.stem, _recoded(path)


def _composed(path: Path, sky: str = "", strength: float = 0.0) -> Iterator[Look]:
    timeline = load(path)
    for number in range(int(timeline.seconds / EVERY.total_seconds())):
        shown = compose(timeline, at=number * EVERY.total_seconds())
        if sky:
            shown = WEATHERS[sky][0](shown, number, strength)
        yield START + number * EVERY, as_picture(shown)


def _recoded(path: Path) -> Iterator[Look]:
    for at, picture in pictures(path, start=START, every=CLIPS_EVERY):
        yield at, as_picture(as_bgr(picture))


def _share(part: float, whole: float) -> float:
    return round(part / whole, 4) if whole else 0.0
