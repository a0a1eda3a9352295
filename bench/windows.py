"""Looking at what changed, beside looking at the whole whenever something did: what it saves, and what it misses.

Every picture goes through the detector whole as well, so that it is known what each of the two would have had to tell.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import cv2

from bench import footage
from bench.decode import keyframes_of
from bench.machine import machine
from citybrain import assembly
from citybrain.demo.city import CONFIG
from citybrain.domain.detection import Detection
from citybrain.domain.frame import Frame
from citybrain.ports import Picture
from detectors.audit import is_miss
from detectors.batching import Detector, open_detector
from detectors.gate import Cells, Gate
from detectors.windows import Part
from ingest.decode import Decoder
from ingest.quality import sight_of

_EVERY, _REAFFIRM = timedelta(seconds=2), timedelta(seconds=10)
_ROUNDS = 2
_START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Watcher:
    """Looks at one camera with the gate, and with windows or without; and what that came to."""

    detector: Detector
    windows: bool
    gate: Gate
    known: tuple[Detection, ...] | None = None
    unchanged: int = 0
    in_windows: int = 0
    whole: int = 0
    again: int = 0
    missed: int = 0
    spent_s: float = 0.0

    def look(self, picture: Picture, at: datetime, truth: Sequence[Detection], labels: frozenset[str]) -> None:
        """One look; `truth` is what the whole shows."""
        luma = sight_of(picture).luma
        began, again = time.process_time(), self.detector.second_looks
        changed = self.gate.changed(luma, at) if self.known is not None else None
        if changed is not None and not changed.any():
            self.unchanged += 1
        else:
            self._infer(picture, at, changed)
        self.spent_s += time.process_time() - began
        self.again += self.detector.second_looks - again
        self.missed += is_miss(self.known or (), truth, labels)

    def _infer(self, picture: Picture, at: datetime, changed: Cells | None) -> None:
        part = Part(changed, self.known) if self.windows and changed is not None and self.known is not None else None
        (seen,) = self.detector.detect_changes([picture], [part])
        self.known = seen.detections
        self.gate.saw(sight_of(picture).luma, at, only=seen.cells)
        if seen.cells is None:
            self.whole += 1
        else:
            self.in_windows += 1


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Each street of the small city at one look each two seconds. CPU-ms per look are gate and detector alone."""
    cv2.setNumThreads(1)
    rows = []
    with open_detector(assembly.load(CONFIG).detectors["city"], looks=()) as detector:
        detector.warmup()
        for stream in footage.CITY:
            for name, path in footage.clips(footage.CITY[stream], source=given.clips).items():
                rows.append({"clip": name} | row(detector, *keyframes_of(path)))
    return {
        "machine": machine(),
        "reaffirm_for": str(_REAFFIRM),
        "rows": rows,
        "sum": (total := summed(rows)),
        "holds": holds(total),
    }


def row(detector: Detector, codec: str, keyframes: Sequence[bytes], *, rounds: int = _ROUNDS) -> dict[str, Any]:
    """One camera: shares of its looks with windows, and cost and misses with them and without."""
    labels = frozenset(detector.settings.labels.values())
    decoder = Decoder()
    with_windows, without = (Watcher(detector, windows, Gate(_REAFFIRM)) for windows in (True, False))
    looks, whole_s = 0, 0.0
    for number, data in enumerate(list(keyframes) * rounds):
        at = _START + number * _EVERY
        picture = decoder.decode(Frame(camera="bench", codec=codec, packets=(data,), captured_at=at, received_at=at))
        began = time.process_time()
        (truth,) = detector.detect([picture])
        whole_s += time.process_time() - began
        for each in (with_windows, without):
            each.look(picture, at, truth, labels)
        looks += 1
    return {
        "looks": looks,
        "unchanged": round(with_windows.unchanged / looks, 2),
        "in_windows": round(with_windows.in_windows / looks, 2),
        "whole": round(with_windows.whole / looks, 2),
        "second_looks": round(with_windows.again / looks, 2),
        "ms_windows": round(with_windows.spent_s / looks * 1000, 1),
        "ms_gate_only": round(without.spent_s / looks * 1000, 1),
        "ms_every_look": round(whole_s / looks * 1000, 1),
        "missed_windows": with_windows.missed,
        "missed_gate_only": without.missed,
    }


def summed(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {name: sum(row[name] for row in rows) for name in ("looks", "missed_windows", "missed_gate_only")}


def holds(total: Mapping[str, int]) -> bool:
    """Windows may miss in one look of twenty what the gate alone does not: each such miss ends with the next whole look."""
    return total["missed_windows"] - total["missed_gate_only"] <= total["looks"] / 20
