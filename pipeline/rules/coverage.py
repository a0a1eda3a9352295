"""True while things with given labels cover a share of the zone: water on a road, goods on a pavement."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from citybrain.configuration import Section
from citybrain.domain.observation import Verdict
from pipeline.rules import Look, Memory, Observation, ZoneRule


class Config(Section):
    """`when:` of a coverage scene. From `min_share` of the zone it is true, below `clear_share` false, between UNKNOWN."""

    labels: frozenset[str] = Field(min_length=1)
    min_share: float = Field(gt=0, le=1)
    clear_share: float | None = Field(default=None, ge=0, le=1)
    min_confidence: float = Field(default=0.4, ge=0, le=1)


@dataclass(frozen=True, slots=True)
class Coverage(ZoneRule):
    min_share: float = 0.2
    clear_share: float = 0.1
    min_confidence: float = 0.4

    def observe(self, memory: Memory, look: Look) -> tuple[Memory, list[Observation]]:
        there = tuple(
            each
            for each in look.seen.detections
            if each.label in self.labels
            and each.confidence >= self.min_confidence
            and look.zone.polygon.share_inside(each.box) > 0
        )
        share = look.zone.polygon.share_covered(each.box for each in there)
        if share >= self.min_share:
            return memory, [Observation("", Verdict.TRUE, there)]
        verdict = Verdict.FALSE if share <= self.clear_share else Verdict.UNKNOWN
        return memory, [Observation("", verdict, reason=f"{share:.0%} of the zone")]


def build(config: Config) -> Coverage:
    """Raises ValueError when `clear_share` exceeds `min_share`."""
    clear = config.min_share / 2 if config.clear_share is None else config.clear_share
    if clear > config.min_share:
        raise ValueError(f"clear_share must not exceed min_share, got {clear} and {config.min_share}")
    return Coverage(config.labels, config.min_share, clear, config.min_confidence)
