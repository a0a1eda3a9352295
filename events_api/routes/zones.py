"""A camera's zones: as its file says them, drawn anew, and what the last hour would have given by a drawing."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from citybrain.clock import iso
from citybrain.domain.camera import ZoneKind
from citybrain.domain.geometry import Point, Polygon
from events_api.drawing import (
    Busy,
    Changed,
    DrawnZone,
    Faulty,
    NotWritable,
    Rehearsed,
    RehearsedCase,
    Sheet,
    TooLong,
    ZoneFiles,
)
from events_api.parts import Engineer, Given, Parts, audit
from events_api.problems import Problem
from events_api.schemas import Answer, Instant, Text, answers

router = APIRouter(tags=["cameras"])

_DECIMALS = 4  # a ten-thousandth of a picture's side: finer than anybody draws
_EXAMPLE: dict[str, Any] = {
    "id": "kerb",
    "kind": "no_parking",
    "polygon": [[0.1, 0.55], [0.48, 0.52], [0.6, 0.98], [0.05, 0.98]],
}
_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("expected a name in letters that can be seen")
    return text.strip()


class ZoneDrawing(BaseModel):
    """A zone as it is drawn: its corners in order, 0..1 from the picture's top left."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
    kind: ZoneKind
    polygon: list[tuple[_Share, _Share]] = Field(min_length=3, max_length=100)
    place: Annotated[str, StringConstraints(max_length=200), AfterValidator(_printable)] | None = Field(
        default=None, description="a name that the zone shares with zones of other cameras that show the same"
    )


class Drawing(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"zones": [_EXAMPLE]}]})

    zones: list[ZoneDrawing] = Field(max_length=50)


class WrittenZone(Answer):
    id: str
    kind: str
    polygon: list[list[float]]
    place: str | None
    surveyed: bool = Field(description="its corners were surveyed; that survey is carried over when it is drawn anew")


class ZoneSheet(Answer):
    camera: str
    file: str = Field(examples=["cameras.yaml"], description="below the configuration folder")
    revision: str = Field(description="of what the file says of this camera: to be sent as `If-Match`")
    zones: list[WrittenZone]


class SavedZones(ZoneSheet):
    configuration: str = Field(description="`revision` in GET /v1/configuration once the processes go on by it")


class Previewed(Answer):
    change: str = Field(
        description="gained: with the drawn zones only; lost: with the present ones only; kept: with both"
    )
    scene: str
    title: Text
    severity: str
    zone: str
    began_at: Instant
    filed_at: Instant
    box: list[float] | None
    picture: str | None = Field(description="GET /v1/evidence/{ref}, as long as it is kept")


class Preview(Answer):
    since: Instant
    until: Instant
    looks: int = Field(description="how many were judged, those that only led up to `since` included")
    cases: list[Previewed]


@router.get("/cameras/{id:path}/zones", responses=answers(ZoneSheet, 404, 409))
def zones(id: str, given: Given, _: Engineer) -> JSONResponse:
    """The zones as the camera's file says them now; `ETag` is their revision."""
    try:
        sheet = _files(given).sheet(id)
    except NotWritable as error:
        raise Problem(409, "zones-not-writable", str(error)) from None
    if sheet is None:
        raise _no_camera(id)
    return _answer(_written(sheet), sheet)


@router.put("/cameras/{id:path}/zones", responses=answers(SavedZones, 404, 409, 412, 422, 428))
def save(
    id: str,
    drawn: Drawing,
    given: Given,
    actor: Engineer,
    if_match: Annotated[str | None, Header(max_length=200, description="the revision that was drawn upon")] = None,
) -> JSONResponse:
    """Write the zones into the camera's file, if the whole configuration is without faults then. Nothing else in it changes,
    and the processes go on by it within seconds."""
    zones, files = _checked(drawn), _files(given)
    if id not in given.cameras:
        raise _no_camera(id)
    if if_match is None:
        raise Problem(428, "revision-needed", "say with If-Match which revision of the zones was drawn upon")
    audit(given, actor, "zones.saved", id, zones=", ".join(zone.id for zone in zones), upon=if_match.strip('W/" '))
    try:
        sheet, configuration = files.write(id, zones, revision=if_match.strip('W/" '))
    except Changed as error:
        raise Problem(412, "zones-changed", str(error), more={"revision": error.sheet.revision}) from None
    except Faulty as error:
        raise Problem(422, "zones-refused", str(error), more={"faults": list(error.faults)}) from None
    except NotWritable as error:
        raise Problem(409, "zones-not-writable", str(error)) from None
    return _answer({**_written(sheet), "configuration": configuration}, sheet)


@router.post("/cameras/{id:path}/zones/preview", responses=answers(Preview, 404, 409, 422, 503))
def preview(id: str, drawn: Drawing, given: Given, _: Engineer) -> JSONResponse:
    """The cases that the camera's looks of the last hour give by these zones, beside those that they give by the present
    ones. Takes seconds; one at a time."""
    zones = _checked(drawn)
    if id not in given.cameras:
        raise _no_camera(id)
    if given.rehearsal is None:
        raise Problem(503, "no-rehearsal", "this installation keeps no looks that could be judged again")
    try:
        told = given.rehearsal.rehearse(id, zones)
    except Busy as error:
        raise Problem(503, "rehearsal-busy", str(error), headers={"Retry-After": "5"}) from None
    except TooLong as error:
        raise Problem(503, "rehearsal-too-long", str(error)) from None
    except Faulty as error:
        raise Problem(422, "zones-refused", str(error), more={"faults": list(error.faults)}) from None
    return JSONResponse(_told(told))


def _files(given: Parts) -> ZoneFiles:
    if given.zone_files is None:
        raise Problem(409, "zones-not-writable", "this installation's configuration is not written from here")
    return given.zone_files


def _checked(drawn: Drawing) -> list[DrawnZone]:
    """The zones as domain values. Raises Problem 422 that names each one that is no polygon, or that is said twice."""
    found: list[DrawnZone] = []
    faults: list[dict[str, str]] = []
    for index, each in enumerate(drawn.zones):
        points: tuple[Point, ...] = tuple((round(x, _DECIMALS), round(y, _DECIMALS)) for x, y in each.polygon)
        try:
            Polygon(points)
        except ValueError as error:
            faults.append(_fault(index, "polygon", f"{each.id}: {error}"))
        if any(before.id == each.id for before in found):
            faults.append(_fault(index, "id", f"{each.id!r} is the id of another zone too"))
        found.append(DrawnZone(each.id, each.kind, points, each.place or None))
    if faults:
        detail = "; ".join(f"{each['field']}: {each['message']}" for each in faults)
        raise Problem(422, "invalid-request", detail, more={"errors": faults})
    return found


def _fault(index: int, field: str, message: str) -> dict[str, str]:
    return {"field": f"zones.{index}.{field}", "in": "body", "message": message}


def _written(sheet: Sheet) -> dict[str, Any]:
    return {
        "camera": sheet.camera,
        "file": sheet.file,
        "revision": sheet.revision,
        "zones": [
            {
                "id": zone.id,
                "kind": zone.kind.value,
                "polygon": [list(point) for point in zone.points],
                "place": zone.place,
                "surveyed": zone.id in sheet.surveyed,
            }
            for zone in sheet.zones
        ],
    }


def _answer(fields: dict[str, Any], sheet: Sheet) -> JSONResponse:
    return JSONResponse(fields, headers={"etag": f'"{sheet.revision}"', "cache-control": "no-store"})


def _told(rehearsed: Rehearsed) -> dict[str, Any]:
    return {
        "since": iso(rehearsed.since),
        "until": iso(rehearsed.until),
        "looks": rehearsed.looks,
        "cases": [_case(each) for each in rehearsed.cases],
    }


def _case(each: RehearsedCase) -> dict[str, Any]:
    return {
        "change": each.change,
        "scene": each.scene,
        "title": each.title.as_dict(),
        "severity": each.severity,
        "zone": each.zone,
        "began_at": iso(each.began_at),
        "filed_at": iso(each.filed_at),
        "box": None if each.box is None else each.box.as_list(),
        "picture": each.picture,
    }


def _no_camera(id: str) -> Problem:
    return Problem(404, "no-such-camera", f"there is no camera {id[:80]!r}")
