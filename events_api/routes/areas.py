"""The areas of the city as a tree, with how many open cases each has by light."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from citybrain.domain.area import Area
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
    in_charge: str | None = Field(
        description="who is told when a case's time runs out; null: whoever is in charge above"
    )
    open: OpenByLight
    areas: list[ShownArea]


class AreaTree(Answer):
    items: list[ShownArea] = Field(description="the districts; none where areas.yaml is none")
    elsewhere: OpenByLight = Field(description="open cases that lie in none of them")


@router.get("/areas", responses=answers(AreaTree))
def areas(given: Given, _: Viewer) -> JSONResponse:
    """The five levels, from the district down to the cell; an area counts what lies in those within it, too."""
    counted = given.store.open_by_cell()
    districts = given.registry.areas
    inside = [each.code for each in districts]
    outside = {key: count for key, count in counted.items() if not _lies_in(key[0], inside)}
    return JSONResponse({"items": [_shown(each, counted) for each in districts], "elsewhere": _by_light(outside)})


Counted = Mapping[tuple[str | None, str], int]


def _shown(area: Area, counted: Counted) -> dict[str, Any]:
    here = {key: count for key, count in counted.items() if _lies_in(key[0], [area.code])}
    return {
        "code": area.code,
        "name": area.name.as_dict(),
        "level": area.level,
        "in_charge": area.in_charge,
        "open": _by_light(here),
        "areas": [_shown(each, here) for each in area.areas],
    }


def _lies_in(cell: str | None, codes: list[str]) -> bool:
    return cell is not None and cell.startswith(tuple(codes))


def _by_light(counted: Counted) -> dict[str, int]:
    found: Counter[str] = Counter()
    for (_, light), count in counted.items():
        found[light] += count
    return {light.value: found[light.value] for light in Light}
