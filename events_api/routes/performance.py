"""Periodic reports: how units and areas dealt with the cases of a day or a week, as JSON and as a table for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from datetime import date
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from citybrain.clock import iso
from citybrain.domain.camera import Text as Bilingual
from events_api.limits import Limited
from events_api.parts import Given, Parts, Viewer, limit
from events_api.performance import Period, Row, Span, rows_of, span_of
from events_api.ports import Fields, Wanted
from events_api.routes.camera_table import cell
from events_api.schemas import PROBLEM, Answer, Instant, Text, answers

router = APIRouter(tags=["overview"])

_PAGE = 500
_RATES = ("response_rate", "handling_rate", "on_time_rate", "response_p50_s", "handling_p50_s")
_COUNTS = (
    "filed", "rejected", "merged", "silenced", "gone_by_itself", "counted", "responded", "handled", "on_time", "late",
    "overdue", "open", "escalated", "verified", "recurring",
)  # fmt: skip


class Performance(Answer):
    """What became of the cases filed in the period; docs/api.md defines each figure."""

    key: str = Field(examples=["traffic_order"], description="unit, code of the area, or scene; empty: none, or all")
    name: Text
    filed: int
    rejected: int
    merged: int
    silenced: int = Field(description="nobody was told of them")
    gone_by_itself: int = Field(description="gone before anyone did anything")
    counted: int = Field(description="the others: what the rates are of")
    responded: int
    handled: int
    on_time: int
    late: int
    overdue: int
    open: int
    escalated: int
    verified: int = Field(description="a camera saw that it is gone")
    recurring: int
    response_rate: float | None = Field(ge=0, le=1)
    handling_rate: float | None = Field(ge=0, le=1)
    on_time_rate: float | None = Field(ge=0, le=1)
    response_p50_s: float | None = Field(description="median from posted to taken by the unit")
    handling_p50_s: float | None = Field(description="median from filed to done")


class PerformanceReport(Answer):
    period: Period
    since: Instant
    until: Instant
    as_of: Instant
    timezone: str = Field(examples=["Asia/Shanghai"])
    by: Literal["unit", "area", "scene"]
    rows: list[Performance]
    total: Performance


class PerformanceQuery(BaseModel):
    """Which report is asked for."""

    model_config = ConfigDict(extra="forbid")

    period: Period = Period.DAY
    of: date | None = Field(
        default=None,
        ge=date(2000, 1, 1),
        le=date(2199, 12, 31),
        description="a date within the period; left out: today",
    )
    by: Literal["unit", "area", "scene"] = "unit"
    level: Literal["district", "street", "community", "unit", "cell"] = Field(
        default="street", description="of the areas, with by=area"
    )


Asked = Annotated[PerformanceQuery, Query()]


@router.get("/performance", responses=answers(PerformanceReport, 422))
def performance(query: Asked, given: Given, _: Viewer) -> JSONResponse:
    """Response, handling and on-time rates of the cases filed in a day or a week, by unit, area or scene."""
    span, rows, total = _report(query, given)
    names = _names(query, given)
    return JSONResponse(
        {
            "period": query.period.value,
            "since": iso(span.since),
            "until": iso(span.until),
            "as_of": iso(given.clock.now()),
            "timezone": given.registry.timezone,
            "by": query.by,
            "rows": [_shown(row, names(row.key)) for row in rows],
            "total": _shown(total, Bilingual("合计", "all")),
        }
    )


@router.get(
    "/performance.csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}}, 422: PROBLEM, 429: PROBLEM},
)
def table(query: Asked, given: Given, actor: Viewer) -> Response:
    """The same as CSV (UTF-8 with its mark, so that spreadsheets read it); the last line is the sum."""
    limit(given, actor, Limited.EXPORT)
    span, rows, total = _report(query, given)
    names = _names(query, given)
    text = io.StringIO("\ufeff")
    text.seek(0, io.SEEK_END)
    out = csv.writer(text, lineterminator="\r\n")
    out.writerow(["since", "until", query.by, "name_zh", "name_en", *_COUNTS, *_RATES])
    for row, name in [*((row, names(row.key)) for row in rows), (total, Bilingual("合计", "all"))]:
        figures = [getattr(row, each) for each in (*_COUNTS, *_RATES)]
        out.writerow([cell(each) for each in (iso(span.since), iso(span.until), row.key, name.zh, name.en, *figures)])
    file = f"performance-{query.by}-{query.period.value}-{span.since:%Y%m%d}.csv"
    headers = {"content-disposition": f'attachment; filename="{file}"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _report(query: PerformanceQuery, given: Parts) -> tuple[Span, list[Row], Row]:
    now = given.clock.now()
    day = query.of or now.astimezone(ZoneInfo(given.registry.timezone)).date()
    span = span_of(day, query.period, timezone=given.registry.timezone)
    rows, total = rows_of(_cases(given, span), key=_key(query, given), at=now)
    return span, rows, total


def _cases(given: Parts, span: Span) -> Iterator[Fields]:
    """All that were filed in the span, page by page: a week of a large city is some thousands."""
    wanted, after = Wanted(since=span.since, until=span.until), None
    while page := given.store.cases(wanted, limit=_PAGE, after=after):
        yield from page
        after = (page[-1]["filed_at"], page[-1]["id"])


def _key(query: PerformanceQuery, given: Parts) -> Callable[[Fields], str]:
    if query.by == "unit":
        return lambda case: case["unit"] or ""
    if query.by == "scene":
        return lambda case: str(case["scene"])
    codes = {each.code for district in given.registry.areas for each in district.walk() if each.level == query.level}
    lengths = {len(code) for code in codes}
    return lambda case: next((code for n in lengths if (code := (case["grid_cell"] or "")[:n]) in codes), "")


def _names(query: PerformanceQuery, given: Parts) -> Callable[[str], Bilingual]:
    """What people call a key; a unit is called by its id."""
    known = {scene.id: scene.title for scene in given.scenes} if query.by == "scene" else {}
    if query.by == "area":
        known = {each.code: each.name for district in given.registry.areas for each in district.walk()}
    nothing = {"unit": Bilingual("无处置单位", "no unit"), "area": Bilingual("其他区域", "elsewhere")}.get(query.by)
    return lambda key: known.get(key) or (Bilingual(key, key) if key or nothing is None else nothing)


def _shown(row: Row, name: Bilingual) -> dict[str, Any]:
    figures = {each: getattr(row, each) for each in (*_COUNTS, *_RATES)}
    return {"key": row.key, "name": name.as_dict(), **figures}
