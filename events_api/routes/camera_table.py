"""The cameras as a table for a spreadsheet, and what states one went through: never an address among it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response, StreamingResponse

from citybrain.clock import iso
from events_api.camera_overview import Known, Wanted
from events_api.limits import Limited
from events_api.parts import Given, Viewer, limit
from events_api.problems import Problem
from events_api.routes.cameras import shown
from events_api.schemas import PROBLEM, Answer, CameraStateName, Instant, Text, answers

router = APIRouter(tags=["cameras"])

COLUMNS = (
    "id", "name_zh", "name_en", "lon", "lat", "grid_cell", "state", "reason_zh", "reason_en", "since", "last_look_at",
    "staleness_s", "patience_s", "late", "usable", "findings_zh", "findings_en", "clock_ok", "codec", "through", "width",
    "height", "looks", "overtaken", "lost_looks", "reconnects", "strikes",
)  # fmt: skip


class CameraSpell(Answer):
    """A stretch in one state for one reason."""

    state: CameraStateName
    reason: Text
    since: Instant


class CameraHistory(Answer):
    items: list[CameraSpell]


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_AT_ONCE = 500


@router.get(
    "/cameras.csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}}, 422: PROBLEM, 429: PROBLEM},
)
def table(
    given: Given,
    actor: Viewer,
    state: Annotated[list[CameraStateName] | None, Query(description="in one of these states")] = None,
    grid_cell: Annotated[str, Query(pattern=r"^\d{0,15}$", description="a code or its beginning")] = "",
    q: Annotated[str, Query(max_length=100, description="part of the id or of the name")] = "",
) -> Response:
    """All cameras that match as CSV (UTF-8 with its mark, so that spreadsheets read it), by id."""
    limit(given, actor, Limited.EXPORT)
    wanted = Wanted(frozenset(state or ()), frozenset(), grid_cell, q.strip())
    found, _, _ = given.overview.now().find(wanted, urgent_first=False, after=None, limit=len(given.cameras))
    name = f"cameras-{given.clock.now():%Y%m%d-%H%M}.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_lines(found), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/cameras/{id:path}/history", responses=answers(CameraHistory, 404))
def history(id: str, given: Given, _: Viewer) -> JSONResponse:
    """The camera's last states, the newest first, as far as this process has seen them."""
    if id not in given.cameras:
        raise Problem(404, "no-such-camera", f"there is no camera {id[:80]!r}")
    given.overview.now()
    return JSONResponse(
        {
            "items": [
                {"state": each.state, "reason": {"zh": each.reason_zh, "en": each.reason}, "since": iso(each.since)}
                for each in given.history.of(id)
            ]
        }
    )


def _lines(cameras: list[Known]) -> Iterator[str]:
    yield "\ufeff" + _written([COLUMNS])
    for start in range(0, len(cameras), _AT_ONCE):
        yield _written([_row(shown(known)) for known in cameras[start : start + _AT_ONCE]])


def _written(rows: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def _row(camera: dict[str, Any]) -> list[object]:
    place = camera["location"] or {"lon": None, "lat": None}
    flat = {
        **camera,
        **camera["counts"],
        **{f"{what}_{tongue}": camera[what][tongue] for what in ("name", "reason") for tongue in ("zh", "en")},
        **{f"findings_{tongue}": "; ".join(each[tongue] for each in camera["findings"]) for tongue in ("zh", "en")},
        "lon": place["lon"],
        "lat": place["lat"],
    }
    return [cell(flat[column]) for column in COLUMNS]


def cell(value: object) -> object:
    """A spreadsheet takes text that begins like a formula for one: an apostrophe makes it text again."""
    if isinstance(value, str):
        return "'" + value if value.startswith(_FORMULA) else value
    return {None: "", True: "yes", False: "no"}.get(value, value) if value is None or isinstance(value, bool) else value
