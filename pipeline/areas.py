"""The tree of areas (区、街道、片区、单元、网格): who is in charge where, and who is told next when time runs out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import Field, field_validator

from citybrain.configuration import Bilingual, Section, SomeDuration, did_you_mean, parse, read
from citybrain.domain.area import LEVELS, Area
from citybrain.domain.camera import Camera
from citybrain.domain.case import Case
from citybrain.errors import Fault


class AreaFile(Section):
    """An area of configs/areas.yaml; its level is its depth in the tree."""

    code: str = Field(pattern=r"^\d{1,15}$")
    name: Bilingual
    in_charge: str | None = Field(default=None, min_length=1)
    units: dict[str, str] = Field(default_factory=dict)
    areas: tuple[AreaFile, ...] = ()


class AreasFile(Section):
    """The YAML of configs/areas.yaml."""

    escalate_every: SomeDuration | None = None
    areas: tuple[AreaFile, ...]

    @field_validator("areas")
    @classmethod
    def _some(cls, value: tuple[AreaFile, ...]) -> tuple[AreaFile, ...]:
        if not value:
            raise ValueError("expected at least one district, or no such file")
        return value


@dataclass(frozen=True)
class Areas:
    """The districts of a city with all within them, and how long one who was told has before the next is."""

    districts: Sequence[Area] = ()
    escalate_every: timedelta | None = None

    def over(self, cell: str | None) -> Sequence[Area]:
        """The areas that a grid cell lies in, the lowest first."""
        found: list[Area] = []
        inner: Sequence[Area] = self.districts
        while area := next((each for each in inner if cell is not None and cell.startswith(each.code)), None):
            found.insert(0, area)
            inner = area.areas
        return found

    def in_charge(self, cell: str | None) -> Sequence[str]:
        """Who is told when time runs out, one after the other: from the lowest area that has someone to the district."""
        return [each.in_charge for each in self.over(cell) if each.in_charge]

    def unit(self, scene: str, cell: str | None) -> str | None:
        """Who handles cases of a scene there, where the lowest area that says so does."""
        return next((unit for each in self.over(cell) if (unit := each.units.get(scene))), None)


NO_AREAS = Areas()


def next_level(case: Case, areas: Areas) -> str | None:
    """Whom the next escalation of a case tells; None when even the district knows, or nobody is in charge."""
    chain = areas.in_charge(case.grid_cell)
    return chain[case.escalation] if case.escalation < len(chain) else None


def load(path: Path, *, faults: list[Fault], scenes: Collection[str]) -> Areas:
    """The areas of a folder, or none; faults are added, never raised."""
    if not path.exists():
        return NO_AREAS
    shown, before = str(path), len(faults)
    value = read(path, faults=faults)
    file = None if value is None else parse(AreasFile, value, file=shown, faults=faults)
    if file is None:
        return NO_AREAS
    _Checks(shown, scenes, faults).level(file.areas, "areas")
    if len(faults) > before:
        return NO_AREAS
    return Areas(tuple(_area(each, 0) for each in file.areas), file.escalate_every)


def check_cameras(areas: Areas, cameras: Iterable[tuple[str, Camera]], *, faults: list[Fault]) -> None:
    """Where there are areas, every camera's grid cell lies in one. `cameras` come with the file they stand in."""
    for file, camera in cameras:
        if areas.districts and camera.grid_cell is not None and not areas.over(camera.grid_cell):
            message = f"{camera.grid_cell!r} of camera {camera.id!r} lies in no area of areas.yaml."
            faults.append(Fault(file, "grid_cell", message, "Correct the cell, or add its area."))


class _Checks:
    """What must hold between the areas of a file."""

    def __init__(self, file: str, scenes: Collection[str], faults: list[Fault]) -> None:
        self._file, self._scenes, self._faults = file, scenes, faults
        self._seen: set[str] = set()

    def level(self, areas: Sequence[AreaFile], key: str, *, depth: int = 0, around: AreaFile | None = None) -> None:
        for index, area in enumerate(areas):
            here = f"{key}[{index}]"
            if depth >= len(LEVELS):
                self._fault(
                    here, f"{area.code!r} is a level too deep.", f"There are {len(LEVELS)}: {', '.join(LEVELS)}."
                )
                continue
            beside = next((each.code for each in areas[:index] if _one_in_the_other(each.code, area.code)), None)
            if area.code in self._seen:
                self._fault(f"{here}.code", f"{area.code!r} stands here twice.", "Keep one.")
            elif around is not None and (not area.code.startswith(around.code) or area.code == around.code):
                message = f"{area.code!r} is not {around.code!r} and something more."
                self._fault(f"{here}.code", message, "Move it to the area whose code it begins with.")
            elif beside is not None:
                message = f"{area.code!r} and {beside!r} stand side by side, and one lies in the other."
                self._fault(f"{here}.code", message, "Put the longer one into `areas` of the shorter.")
            self._seen.add(area.code)
            for scene in sorted(set(area.units) - set(self._scenes)):
                remedy = did_you_mean(scene, self._scenes)
                self._fault(f"{here}.units.{scene}", f"there is no scene {scene!r}.", remedy)
            self.level(area.areas, f"{here}.areas", depth=depth + 1, around=area)

    def _fault(self, key: str, message: str, remedy: str) -> None:
        self._faults.append(Fault(self._file, key, message, remedy))


def _one_in_the_other(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _area(area: AreaFile, depth: int) -> Area:
    inner = tuple(_area(each, depth + 1) for each in area.areas)
    return Area(area.code, area.name, LEVELS[depth], area.in_charge, dict(area.units), inner)
