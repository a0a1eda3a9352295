"""What one camera saw at one instant, with the stamps of its way and the verdict whether it could see at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from citybrain.domain.geometry import Box


class Usable(StrEnum):
    """Whether a look can be judged by. Anything but OK is UNKNOWN to every rule: it neither confirms nor clears."""

    OK = "ok"
    LOST = "lost"
    FROZEN = "frozen"
    DARK = "dark"
    OVEREXPOSED = "overexposed"
    BLURRED = "blurred"
    MOVED = "moved"
    OCCLUDED = "occluded"
    NO_SIGNAL = "no_signal"


class Finding(StrEnum):
    """What a person should see to although the look can be judged by."""

    COLOUR_CAST = "colour_cast"
    PARTLY_OVEREXPOSED = "partly_overexposed"
    PARTLY_OCCLUDED = "partly_occluded"


class Looked(StrEnum):
    """How the boxes came about: by the detector, re-affirmed because the view had not changed, or not at all."""

    INFERRED = "inferred"
    UNCHANGED = "unchanged"
    NOT = "not"


LOOK_SIDE = 16
"""A detection's `look` is LOOK_SIDE × LOOK_SIDE luma bytes, row by row."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One thing seen: our label, confidence 0..1, box 0..1, and what it looked like (256 luma bytes) where asked for."""

    label: str
    confidence: float
    box: Box
    look: bytes | None = None


@dataclass(frozen=True, slots=True)
class Detections:
    """Everything one camera saw at one instant.

    `captured_at` is the camera's time (arrival time when `clock_ok` is false). `stamps` holds `received`, `decoded`,
    `inferred`. `seq` counts the camera's looks from 1 since `taken_up_at`, when the process that looks began to look at this
    camera: so a loss is seen, and none where a camera changes hands. `evidence` names the stored picture, if one was kept.
    `findings` says what is wrong with a picture that can still be judged by.
    """

    camera: str
    captured_at: datetime
    seq: int
    usable: Usable = Usable.OK
    looked: Looked = Looked.INFERRED
    clock_ok: bool = True
    stamps: Mapping[str, datetime] = field(default_factory=dict)
    model: str | None = None
    evidence: str | None = None
    findings: tuple[Finding, ...] = ()
    taken_up_at: datetime | None = None
    detections: tuple[Detection, ...] = ()
