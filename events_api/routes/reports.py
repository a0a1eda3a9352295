"""Reports: what the hotline, an inspector or a sensor tells of a problem, and the case that it became part of."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from citybrain.clock import iso
from citybrain.domain.camera import ZoneKind
from citybrain.domain.case import Origin, Report
from citybrain.domain.command import Reported
from citybrain.domain.coordinates import Crs, to_wgs84
from citybrain.domain.geometry import Point
from citybrain.domain.locality import kept_at, spot_of
from citybrain.wire import COMMANDS, write_command
from events_api.limits import Limited
from events_api.named_pictures import invalid, named_pictures
from events_api.parts import Given, Parts, Reader, audit, limit, needs
from events_api.personal import masked_reporter, masked_words
from events_api.ports import SceneInfo, StoredEvent
from events_api.problems import Problem
from events_api.routes.cases import EFFECT_WITHIN, shown
from events_api.schemas import PROBLEM, Answer, Short, ShownCase, answers
from events_api.schemas import Report as ReportModel
from events_api.security import Actor, Role

router = APIRouter(tags=["reports"])

OLDEST = timedelta(days=7)
_AHEAD = timedelta(minutes=2)
_log = logging.getLogger(__name__)

Reporting = Annotated[Actor, Depends(needs(Role.OPERATOR, Role.PLATFORM))]
_Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


class Where(BaseModel):
    model_config = ConfigDict(extra="forbid")

    lon: float = Field(ge=-180, le=180, examples=[102.7411])
    lat: float = Field(ge=-90, le=90, examples=[25.0142])
    crs: Crs = Field(default=Crs.WGS84, description="what the map gave: gcj02 (Amap, Tencent), bd09 (Baidu)")


class ReportRequest(BaseModel):
    """One problem, of one scene, at one spot: `scene` or `category`, and `location`, `grid_cell` or `camera`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "origin": "hotline",
                    "scene": "illegal_parking",
                    "location": {"lon": 102.7411, "lat": 25.0142},
                    "words": "a van on the pavement",
                    "reference": "12345-20261121-0815",
                }
            ]
        },
    )

    origin: Literal[Origin.HOTLINE, Origin.INSPECTOR, Origin.SENSOR]
    scene: Short | None = None
    category: Short | None = Field(default=None, description="the code of a category that one scene files")
    location: Where | None = None
    grid_cell: Annotated[str, StringConstraints(pattern=r"^\d{15}$")] | None = None
    camera: Short | None = Field(default=None, description="it is where this camera looks")
    at: AwareDatetime | None = Field(default=None, description="when it was noticed; now, when left out")
    words: Annotated[str, StringConstraints(max_length=2000, strip_whitespace=True)] = ""
    reference: Short | None = Field(default=None, description="the asker's own number; the same one is one report")
    reporter: Annotated[str, StringConstraints(max_length=100, strip_whitespace=True)] | None = Field(
        default=None, description="name or telephone; masked before it is kept"
    )
    sensor: _Id | None = Field(default=None, description="of the origin sensor: which one")
    ended: bool = Field(default=False, description="of the origin sensor: it is over")
    evidence: list[Short] = Field(default=[], max_length=12, description="references of pictures: POST /v1/photos")


class ReportAnswer(Answer):
    report: str = Field(description="its id: GET /v1/reports/{id}")
    applied: bool = Field(description="false: on its way")
    merged: bool | None = Field(description="whether it became part of a case that there was; null while on its way")
    reporter: str | None = Field(examples=["138****1234"], description="as it is kept")
    case: ShownCase | None


class ReportedCase(Answer):
    report: ReportModel | None = Field(description="null when the case has so many that it no longer shows this one")
    reporter: str | None = Field(examples=["138****1234"])
    merged: bool
    case: ShownCase


_ANSWERS: dict[int | str, dict[str, Any]] = {
    **answers(ReportAnswer, 422, 429, 503),
    201: {"model": ReportAnswer},
    202: {"model": ReportAnswer},
}


@router.post("/reports", responses=_ANSWERS)
async def report(
    asked: ReportRequest,
    given: Given,
    actor: Reporting,
    idempotency_key: Annotated[str | None, Header(max_length=256)] = None,
) -> JSONResponse:
    """201 with the case that it made or became part of; 200 when it was said before; 202 when it is still on its way."""
    limit(given, actor, Limited.ACTION)
    spot = _spot(asked, given)
    id, known = await asyncio.to_thread(_identity, given, asked, actor.name, idempotency_key)
    status = 200
    if known is None:
        evidence = await asyncio.to_thread(named_pictures, given.evidence, asked.evidence, role="report")
        command = _command(asked, spot, id, actor.name, given.clock.now(), evidence=evidence)
        shown_reporter = masked_reporter(asked.reporter) if asked.reporter else None
        await asyncio.to_thread(_put, given, actor, command, shown_reporter)
        # What ends something is told of the case, and not of the command: there is nothing to wait for.
        known = None if asked.ended else await given.feed.effect(id, within=EFFECT_WITHIN)
        status = 202 if known is None else 201
    answer = {
        "report": id,
        "applied": known is not None,
        "merged": None if known is None else _merged(known),
        "reporter": await asyncio.to_thread(given.reporters.get, id),
        "case": None if known is None else await asyncio.to_thread(_case, given, known),
    }
    return JSONResponse(answer, status_code=status)


@router.get("/reports/{id}", responses={200: {"model": ReportedCase}, 404: PROBLEM})
def reported(id: str, given: Given, _: Reader) -> JSONResponse:
    """A report and its case."""
    event = next((each for each in given.store.effects(id) if each.cause == id), None)
    if event is None:
        raise Problem(404, "no-such-report", f"no case has the report {id[:80]!r}")
    told = json.loads(event.raw)["data"]["reports"]
    return JSONResponse(
        {
            "report": next((each for each in told if each["id"] == id), None),
            "reporter": given.reporters.get(id),
            "merged": _merged(event),
            "case": _case(given, event),
        }
    )


@dataclass(frozen=True, slots=True)
class _Spot:
    scene: SceneInfo
    location: Point | None
    grid_cell: str | None
    locality: str


def _spot(asked: ReportRequest, given: Parts) -> _Spot:
    """What it is about and where. Raises Problem 422 naming the field that is not as expected."""
    _check(asked, given.clock.now())
    scene = _scene(asked, given)
    kind, cell = ZoneKind(scene.zone_kind), asked.grid_cell
    location = (
        None if asked.location is None else to_wgs84((asked.location.lon, asked.location.lat), asked.location.crs)
    )
    if asked.camera is not None:
        camera = given.cameras.get(asked.camera)
        if camera is None:
            raise invalid("camera", f"there is no camera {asked.camera[:80]!r}")
        location, cell = location or spot_of(camera, kind), cell or camera.grid_cell
        if location is None and cell is None:
            raise invalid("camera", "nobody knows where it stands: give a location or a grid cell")
    kept = kept_at(location, cell, cameras=given.cameras.values(), kind=kind, reach_m=scene.reach_m)
    return _Spot(scene, location, kept.grid_cell, kept.locality)


def _check(asked: ReportRequest, now: datetime) -> None:
    sensed = asked.origin is Origin.SENSOR
    if sensed and asked.sensor is None:
        raise invalid("sensor", "a sensor reports under its id")
    if not sensed and asked.sensor is not None:
        raise invalid("sensor", "only the origin sensor has one")
    if not sensed and asked.ended:
        raise invalid("ended", "only a sensor says that it is over")
    if asked.location is None and asked.grid_cell is None and asked.camera is None:
        raise invalid("location", "a report says where: location, grid_cell or camera")
    if asked.at is not None and not now - OLDEST <= asked.at <= now + _AHEAD:
        raise invalid("at", f"expected an instant of the last {OLDEST.days} days")


def _scene(asked: ReportRequest, given: Parts) -> SceneInfo:
    looked_for = [each for each in given.scenes if each.status != "draft"]
    if asked.scene is not None:
        found = [each for each in looked_for if each.id == asked.scene]
        if not found:
            raise invalid("scene", f"there is no scene {asked.scene[:80]!r}; there are {_ids(looked_for)}")
        if asked.category not in (None, found[0].code):
            raise invalid("category", f"scene {found[0].id} files {found[0].code}")
        return found[0]
    if asked.category is None:
        raise invalid("scene", f"a report says what: one of {_ids(looked_for)}, or a category")
    found = [each for each in looked_for if each.code == asked.category]
    if len(found) != 1:
        which = f"it is filed by {_ids(found)}: name one" if found else f"no scene of {_ids(looked_for)} files it"
        raise invalid("scene" if found else "category", which)
    return found[0]


def _ids(scenes: list[SceneInfo]) -> str:
    return ", ".join(each.id for each in scenes)


def _identity(given: Parts, asked: ReportRequest, actor: str, key: str | None) -> tuple[str, StoredEvent | None]:
    """The report's id, and its effect when it was made before: by Idempotency-Key, by origin and reference, or by its words.

    An Idempotency-Key that was used for another report is refused; the same reference is the same report, whatever it says.
    """
    said = _digest(asked.model_dump_json(exclude={"reporter"}))  # an id is seen by everybody
    if key is not None:
        mine = f"report-{_digest('key', actor, key)}-"
        id = mine + said
    elif asked.reference is not None:
        mine = id = f"report-{_digest(asked.origin, asked.sensor or '', asked.reference, str(asked.ended))}"
    else:
        at = asked.at or given.clock.now()
        mine = id = f"report-{_digest(actor, said, iso(at))}"
    done = given.store.effects(mine)
    known = next((event for event in done if event.cause == id), None)
    if done and known is None and key is not None:
        raise Problem(422, "idempotency-key-reused", "this Idempotency-Key was used for another report")
    return id, known


def _command(
    asked: ReportRequest, spot: _Spot, id: str, actor: str, now: datetime, *, evidence: tuple[Any, ...]
) -> Reported:
    at = min(asked.at or now, now)
    reference = masked_words(asked.reference) if asked.reference else None
    return Reported(
        id=id,
        scene=spot.scene.id,
        locality=spot.locality,
        place=f"sensor/{asked.sensor}" if asked.sensor else f"report/{id}",
        location=spot.location,
        grid_cell=spot.grid_cell,
        report=Report(id, asked.origin, at, masked_words(asked.words), reference, spot.location),
        actor=actor,
        at=now,
        evidence=evidence,
        label="sensor" if asked.sensor else "report",
        ended=asked.ended,
    )


def _put(given: Parts, actor: Actor, command: Reported, reporter: str | None) -> None:
    audit(given, actor, "report.made", command.id, origin=command.report.origin, scene=command.scene)
    if reporter:
        given.reporters.put(command.id, reporter)
    given.bus.publish(COMMANDS, command.locality, write_command(command))
    _log.info("%s reports %s (%s)", actor.name, command.scene, command.report.origin)


def _merged(event: StoredEvent) -> bool:
    return event.type.endswith(".merged")


def _case(given: Parts, event: StoredEvent) -> dict[str, Any] | None:
    case = given.store.case(event.case)
    return None if case is None else shown(case)


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:20]
