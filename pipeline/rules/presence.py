"""True while at least one thing with a given label is seen in the zone."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from citybrain.configuration import Section
from citybrain.domain.observation import Verdict
from pipeline.rules import Look, Memory, Observation, ZoneRule, inside


class Config(Section):
    """`when:` of a presence scene. `min_inside` is the least share of a box that must lie in the zone."""

    labels: frozenset[str] = Field(min_length=1)
    min_confidence: float = Field(default=0.4, ge=0, le=1)
    min_inside: float = Field(default=0.3, ge=0, le=1)


@dataclass(frozen=True, slots=True)
class Presence(ZoneRule):
    min_confidence: float = 0.4
    min_inside: float = 0.3

    def observe(self, memory: Memory, look: Look) -> tuple[Memory, list[Observation]]:
        there = inside(
            look.zone,
            look.seen,
            labels=self.labels,
            min_confidence=self.min_confidence,
            min_inside=self.min_inside,
        )
        return memory, [Observation("", Verdict.TRUE if there else Verdict.FALSE, there)]


def build(config: Config) -> Presence:
    return Presence(config.labels, config.min_confidence, config.min_inside)
