"""Sensors as people see them: what each last said, and whether it can still be heard."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from citybrain.clock import instant
from events_api.parts import Given, Viewer
from events_api.schemas import Answer, Instant, Location, Text, answers
from events_api.signs import hot_fields

router = APIRouter(tags=["sensors"])

FORGOTTEN = timedelta(seconds=30)
"""What the listener does not renew that long is not known any more."""

SensorState = Literal["on", "off", "silent", "unheard", "unknown"]


class Sensor(Answer):
    id: str = Field(examples=["wl-001"])
    name: Text
    kind: str = Field(examples=["water_level"])
    scene: str = Field(examples=["waterlogging"])
    topic: str
    location: Location | None
    grid_cell: str | None
    state: SensorState = Field(
        description="silent: heard once and no longer; unheard: not yet; unknown: nobody listens now"
    )
    on: bool = Field(description="whether it was on when it was last heard")
    value: float | None
    heard_at: Instant | None
    silent_since: Instant | None
    unreadable: int = Field(description="messages that could not be read since the listener started")
    reason: str = Field(description="why not, of the last of them")
    connected: bool = Field(description="whether the broker is reached")
    broker: str = Field(description="why not")


class SensorList(Answer):
    items: list[Sensor]


@router.get("/sensors", responses=answers(SensorList))
def sensors(given: Given, _: Viewer) -> JSONResponse:
    """Every sensor of sensors.yaml, by id."""
    now = given.clock.now()
    told = (hot_fields(value) for _, value in given.hot.scan("sensor/"))
    return JSONResponse({"items": [_shown(each, now) for each in told if isinstance(each.get("id"), str)]})


def _shown(told: dict[str, Any], now: datetime) -> dict[str, Any]:
    location = told.get("location")
    return {
        **{name: told.get(name) for name in ("id", "name", "kind", "scene", "topic", "grid_cell")},
        "location": {"lon": location[0], "lat": location[1], "crs": "EPSG:4326"} if location else None,
        "state": _state(told, now),
        **{name: told.get(name) for name in ("on", "value", "heard_at", "silent_since")},
        **{name: told.get(name) for name in ("unreadable", "reason", "connected", "broker")},
    }


def _state(told: dict[str, Any], now: datetime) -> SensorState:
    try:
        known = now - instant(str(told.get("at"))) < FORGOTTEN
    except ValueError:
        known = False
    if not known or not told.get("connected"):
        return "unknown"
    if told.get("heard_at") is None:
        return "unheard"
    if told.get("silent_since") is not None:
        return "silent"
    return "on" if told.get("on") else "off"
