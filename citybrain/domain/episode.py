"""An episode: a stretch during which a scene holds at a place; and what stage one tells stage two of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from citybrain.domain.geometry import Box, Point


class ChangeKind(StrEnum):
    """What happened to an episode.

    began ──► unseen ◄──► seen_again
      └──────────┴────────────┴─────► ended

    When it was asked to look again (`LookAgain`): seen_gone, or still_there; and unseen, seen_again where no episode is open.
    """

    BEGAN = "began"
    UNSEEN = "unseen"
    SEEN_AGAIN = "seen_again"
    ENDED = "ended"
    SEEN_GONE = "seen_gone"
    STILL_THERE = "still_there"


class EvidenceKind(StrEnum):
    """A picture, or a clip: what the camera sent for some seconds, undecoded."""

    PICTURE = "picture"
    CLIP = "clip"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is stored that shows it: reference, camera, instant, box 0..1, and what it is for.

    A picture's `role` is first, confirming, clear, after (looked again when a unit was done), field (taken on the spot) or
    report. A clip's is around: it begins at `captured_at`, before the look that confirmed, and ends at `until_at`, after it.
    """

    ref: str
    camera: str
    captured_at: datetime
    role: str
    box: Box | None = None
    until_at: datetime | None = None

    @property
    def kind(self) -> EvidenceKind:
        return EvidenceKind.PICTURE if self.until_at is None else EvidenceKind.CLIP


@dataclass(frozen=True, slots=True)
class EpisodeChange:
    """A fact about one episode, complete enough for a stage that has never seen the camera.

    `place` is where it is (`camera/zone` or `camera/zone/anchor`), `locality` the key that everything which may be the same
    problem shares, `shared_place` the name two cameras give to one place, `ground` its (longitude, latitude) where surveyed.
    `at` is the captured_at of the look that told. Of an answer to `LookAgain`, `began_at` is its asked_at. Figures in seconds:
    observed, assumed between looks, unseen.
    """

    kind: ChangeKind
    scene: str
    camera: str
    zone: str
    place: str
    locality: str
    began_at: datetime
    at: datetime
    label: str
    confidence: float
    box: Box | None
    observed_s: float
    assumed_s: float
    unseen_s: float
    reason: str = ""
    shared_place: str | None = None
    ground: Point | None = None
    evidence: tuple[Evidence, ...] = ()
    stamps: Mapping[str, datetime] = field(default_factory=dict)
    model: str | None = None
