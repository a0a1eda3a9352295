"""An area of the city: the tree of five levels by which cases are routed, counted and escalated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from citybrain.domain.camera import Text

LEVELS = ("district", "street", "community", "unit", "cell")
"""区、街道、片区、单元、网格, from above."""


@dataclass(frozen=True, slots=True)
class Area:
    """An area and those within it. `code` begins with the code of the area around it, as a camera's grid cell does.

    `in_charge` is told when time runs out, None leaves that to the area around; `units` handle its cases by scene.
    """

    code: str
    name: Text
    level: str
    in_charge: str | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    areas: tuple[Area, ...] = ()

    def walk(self) -> Iterator[Area]:
        """The area and all within it, each before those within it."""
        yield self
        for each in self.areas:
            yield from each.walk()
