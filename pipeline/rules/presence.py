"""True while at least one thing with a given label is seen in the zone."""

from __future__ import annotations

from dataclasses import dataclass

from citybrain.domain.observation import Verdict
from pipeline.rules import Look, Memory, Observation, Seen, SeenRule


class Config(Seen):
    """`when:` of a presence scene."""


@dataclass(frozen=True, slots=True)
class Presence(SeenRule):
    def observe(self, memory: Memory, look: Look) -> tuple[Memory, list[Observation]]:
        there = self.seen_in(look)
        return memory, [Observation("", Verdict.TRUE if there else Verdict.FALSE, there)]


def build(config: Config) -> Presence:
    return Presence(config.labels, config.min_confidence, config.min_inside)
