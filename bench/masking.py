"""How many faces and plates that a person sees in public clips are masked: the detector's boxes, and the cascades beside them."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import yaml

from citybrain.domain.geometry import Box
from citybrain.errors import ConfigError, Fault, UsageError
from citybrain.evidence.jpeg import encode
from citybrain.evidence.masking import searched
from citybrain.evidence.regions import Masking, Region, Seen
from citybrain.looking import EVIDENCE_QUALITY, EVIDENCE_WIDTH
from citybrain.ports import Picture
from detectors import config
from detectors.batching import Detector, open_detector
from ingest.footage import pictures

LABELS = Path(__file__).with_suffix(".yaml")
CONFIG = Path(__file__).parents[1] / "configs"
COVERED = 0.9
"""The share of a head or plate that must be masked for it to count."""
LARGE = 16
"""Pixels across in a picture as it is stored: from here on a face may be known again by who knows it."""
START = datetime(2026, 1, 1, tzinfo=UTC)
_GRID = 4000


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Recall by kind and size, and the share of all pictures' area that was masked for it."""
    if given.clips is None or not given.clips.is_dir():
        raise UsageError("bench masking: name the folder of the clips with --clips DIR; docs/evaluation.md lists them")
    labels: Mapping[str, Mapping[float, Mapping[str, Sequence[Sequence[float]]]]] = yaml.safe_load(LABELS.read_text())
    faults: list[Fault] = []
    settings = config.load(CONFIG, faults=faults)
    if faults:
        raise ConfigError(faults)
    there, masked, areas = Counter[str](), {"boxes": Counter[str](), "cascades": Counter[str]()}, []
    with open_detector(settings["city"]) as detector:
        for clip, instants in labels.items():
            for second, seen in instants.items():
                picture = _picture(given.clips / clip, second)
                regions = _regions(detector, picture)
                areas.append(float(_raster(regions["boxes"]).mean()))
                for kind, boxes in seen.items():
                    for box in boxes:
                        names = _names(kind, Box(*box), picture)
                        there.update(names)
                        for by, found in regions.items():
                            masked[by].update(names if _covered(Box(*box), found) else ())
    rows = [
        {
            "what": name,
            "seen": there[name],
            "masked": masked["boxes"][name],
            "recall": f"{masked['boxes'][name] / there[name]:.2f}",
            "by cascades alone": masked["cascades"][name],
        }
        for name in sorted(there)
    ]
    return {"pictures": len(areas), "found": rows, "area masked": f"{sum(areas) / len(areas):.1%}"}


def _picture(clip: Path, second: float) -> Picture:
    for at, picture in pictures(clip, start=START, every=timedelta(milliseconds=100)):
        if at >= START + timedelta(seconds=second):
            return picture
    raise UsageError(f"bench masking: {clip} ends before second {second}")


def _regions(detector: Detector, picture: Picture) -> Mapping[str, Sequence[Region]]:
    (detections,) = detector.detect([picture])
    stored = encode(picture, width=EVIDENCE_WIDTH, quality=EVIDENCE_QUALITY)
    image = np.asarray(cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_COLOR), dtype=np.uint8)
    return {
        "boxes": Masking().regions(Seen(each.label, each.box) for each in detections),
        "cascades": searched(image),
    }


def _names(kind: str, box: Box, picture: Picture) -> tuple[str, str]:
    width = (box.x2 - box.x1) * min(picture.width, EVIDENCE_WIDTH)
    return kind, f"{kind} of {LARGE} pixels and more" if width >= LARGE else f"{kind} below {LARGE} pixels"


def _covered(box: Box, regions: Iterable[Region]) -> bool:
    raster = _raster(regions)
    left, right, top, bottom = (round(each * _GRID) for each in (box.x1, box.x2, box.y1, box.y2))
    return float(raster[top:bottom, left:right].mean()) >= COVERED


def _raster(regions: Iterable[Region]) -> npt.NDArray[np.bool_]:
    """Where a picture is masked, on a grid."""
    raster = np.zeros((_GRID, _GRID), dtype=np.bool_)
    for each in regions:
        left, right, top, bottom = (
            round(side * _GRID) for side in (each.box.x1, each.box.x2, each.box.y1, each.box.y2)
        )
        raster[top:bottom, left:right] = True
    return raster
