"""True while at least so many things with given labels are seen in the zone together."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from citybrain.domain.observation import Verdict
from pipeline.rules import Look, Memory, Observation, Seen, SeenRule


class Config(Seen):
    """`when:` of a count scene: `at_least` so many make it true; `fewer_than` makes it false (default: `at_least`).

    Between the two it is UNKNOWN, so that a number at the edge neither opens nor closes anything.
    """

    at_least: int = Field(ge=1)
    fewer_than: int | None = Field(default=None, ge=1)


@dataclass(frozen=True, slots=True)
class Count(SeenRule):
    at_least: int
    fewer_than: int

    def observe(self, memory: Memory, look: Look) -> tuple[Memory, list[Observation]]:
        there = self.seen_in(look)
        if len(there) >= self.at_least:
            return memory, [Observation("", Verdict.TRUE, there)]
        verdict = Verdict.FALSE if len(there) < self.fewer_than else Verdict.UNKNOWN
        return memory, [Observation("", verdict, reason=f"{len(there)} of {self.at_least}")]


def build(config: Config) -> Count:
    """Raises ValueError when `fewer_than` exceeds `at_least`."""
    fewer = config.at_least if config.fewer_than is None else config.fewer_than
    if fewer > config.at_least:
        raise ValueError(f"fewer_than must not exceed at_least, got {fewer} and {config.at_least}")
    return Count(config.labels, config.min_confidence, config.min_inside, config.at_least, fewer)
