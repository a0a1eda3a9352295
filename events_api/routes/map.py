"""What the wall's map draws: the city's own base layer, every camera as a point, and every open case."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from events_api.camera_overview import Known, Wanted
from events_api.parts import Given, Viewer
from events_api.routes.cameras import location_of
from events_api.schemas import Answer, CameraStateName, Instant, Location, Text, answers

router = APIRouter(tags=["map"])


class MapCamera(Answer):
    """A camera as a point; GET /v1/cameras/{id} tells the rest."""

    id: str
    name: Text
    location: Location | None
    grid_cell: str | None
    state: CameraStateName
    reason: Text
    late: bool
    zones: list[str] = Field(description="the kinds of its zones: what scenes may look for there")


class MapCameras(Answer):
    items: list[MapCamera]
    counts: dict[str, int] = Field(description="cameras that match, by state, whichever `state` was asked for")


class MapCase(Answer):
    """An open case as a point; GET /v1/cases/{id} tells the rest."""

    id: str
    scene: str
    title: Text
    severity: str
    light: Literal["green", "yellow", "red"]
    state: str
    trial: bool
    cameras: list[str]
    grid_cell: str | None
    location: Location | None
    filed_at: Instant
    due_at: Instant | None
    version: int


class MapCases(Answer):
    items: list[MapCase]
    more: bool = Field(description="there are more open cases than can be drawn; these are the newest")
    as_of: str = Field(description="events cursor that this is not older than: stream from here to miss nothing")


@router.get(
    "/map",
    response_class=Response,
    responses={200: {"content": {"application/geo+json": {}}}, 304: {"description": "it is still that one"}},
)
def base(given: Given, _: Viewer, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """The base layer of the configuration (`map.geojson`) as GeoJSON in EPSG:4326; empty when there is none."""
    layer = given.map.now()
    headers = {"etag": layer.etag, "cache-control": "private, no-cache"}
    if if_none_match is not None and layer.etag in (each.strip() for each in if_none_match.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(layer.content, media_type="application/geo+json", headers=headers)


@router.get("/map/cameras", responses=answers(MapCameras, 422))
def cameras(
    given: Given,
    _: Viewer,
    state: Annotated[list[CameraStateName] | None, Query(description="in one of these states")] = None,
) -> JSONResponse:
    """Every camera, short; with `state` those in trouble alone, which is how a map stays up to date."""
    overview = given.overview.now()
    wanted = Wanted(frozenset(state or ()))
    found, _more, counts = overview.find(wanted, urgent_first=False, after=None, limit=len(overview.cameras))
    return JSONResponse({"items": [_camera(known) for known in found], "counts": dict(counts)})


@router.get("/map/cases", responses=answers(MapCases))
def cases(given: Given, _: Viewer) -> Response:
    """Every open case, short, the newest first."""
    return Response(given.open_cases.now(), media_type="application/json")


def _camera(known: Known) -> dict[str, Any]:
    camera = known.camera
    return {
        "id": camera.id,
        "name": camera.name.as_dict(),
        "location": location_of(camera),
        "grid_cell": camera.grid_cell,
        "state": known.state,
        "reason": {"zh": known.reason_zh, "en": known.reason},
        "late": known.state != "unknown" and known.told.get("late") is True,
        "zones": sorted({zone.kind.value for zone in camera.zones}),
    }
