"""The areas of the city, from the district down to the cell, with how many open cases each has by light."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from citybrain.domain.area import LEVELS, Area
from citybrain.domain.case import Light
from events_api.parts import Given, Viewer
from events_api.schemas import Answer, Text, answers

router = APIRouter(tags=["overview"])


class OpenByLight(Answer):
    green: int
    yellow: int
    red: int


class ShownArea(Answer):
    code: str = Field(
        examples=["530111001"], description="a camera's grid cell begins with it; `grid_cell` of GET /v1/cases"
    )
    name: Text
    level: Literal["district", "street", "community", "unit", "cell"]
    depth: int = Field(description="0 for a district, 4 for a cell")
    parent: str | None = Field(description="the code of the area around it")
    in_charge: str | None = Field(
        description="who is told when a case's time runs out; null: whoever is in charge around it"
    )
    open: OpenByLight = Field(description="of the area with all within it")


class AreaTree(Answer):
    items: list[ShownArea] = Field(description="each area before those within it; none where there is no areas.yaml")
    elsewhere: OpenByLight = Field(description="open cases that lie in none of them")


@router.get("/areas", responses=answers(AreaTree))
def areas(given: Given, _: Viewer) -> JSONResponse:
    """The tree of five levels, written down from above."""
    counted = given.store.open_by_cell()
    districts = given.registry.areas
    inside = tuple(each.code for each in districts)
    outside = {key: count for key, count in counted.items() if not _lies_in(key[0], inside)}
    items = [item for each in districts for item in _shown(each, None, counted)]
    return JSONResponse({"items": items, "elsewhere": _by_light(outside)})


Counted = Mapping[tuple[str | None, str], int]


def _shown(area: Area, parent: str | None, counted: Counted) -> Iterator[dict[str, Any]]:
    here = {key: count for key, count in counted.items() if _lies_in(key[0], (area.code,))}
    yield {
        "code": area.code,
        "name": area.name.as_dict(),
        "level": area.level,
        "depth": LEVELS.index(area.level),
        "parent": parent,
        "in_charge": area.in_charge,
        "open": _by_light(here),
    }
    for each in area.areas:
        yield from _shown(each, area.code, here)


def _lies_in(cell: str | None, codes: tuple[str, ...]) -> bool:
    return cell is not None and cell.startswith(codes)


def _by_light(counted: Counted) -> dict[str, int]:
    found: Counter[str] = Counter()
    for (_, light), count in counted.items():
        found[light] += count
    return {light.value: found[light.value] for light in Light}
