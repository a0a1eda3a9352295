"""The YAML of configs/routes.yaml: who handles what, by scene, camera, grid cell, day and hour, and what is silent."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from citybrain.clock import instant, iso
from citybrain.configuration import Section, SomeDuration, did_you_mean, parse, read
from citybrain.domain.command import Silence as KeptSilent
from citybrain.errors import Fault
from pipeline.calendar import Calendar, Counts, kinds_of, minutes_of

_HOURS = r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$"
_DAY = timedelta(days=1)
Day = Literal["working", "off", "holiday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
BY_CALENDAR = frozenset({"working", "off", "holiday"})


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a case is, as routes and silences know it: the camera that saw it, if one did, and its grid cell."""

    camera: str | None
    grid_cell: str | None


class Match(Section):
    """What a route or a silence is about; what is not said matches everything. `grid_cell` matches by its beginning."""

    scene: str | None = None
    camera: str | None = None
    grid_cell: str | None = Field(default=None, pattern=r"^\d{1,15}$")

    def matches(self, scene: str, spot: Spot) -> bool:
        cell = spot.grid_cell or ""
        return (
            self.scene in (None, scene)
            and self.camera in (None, spot.camera)
            and (self.grid_cell is None or cell.startswith(self.grid_cell))
        )


class Route(Match):
    """`hours` such as `08:00-18:00` in the city's own time; a span that passes midnight belongs to the day it begins on."""

    unit: str
    deadline: SomeDuration | None = None
    clock: Counts | None = None
    escalate_every: SomeDuration | None = None
    hours: str | None = Field(default=None, pattern=_HOURS)
    days: tuple[Day, ...] | None = None

    @field_validator("days", mode="before")
    @classmethod
    def _one(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("days")
    @classmethod
    def _some(cls, value: tuple[Day, ...] | None) -> tuple[Day, ...] | None:
        if value == ():
            raise ValueError("expected at least one day, or no such key")
        return value

    def is_on(self, local: datetime, calendar: Calendar) -> bool:
        """Whether the route holds at that wall time."""
        minute, day = local.hour * 60 + local.minute, local.date()
        if self.hours is not None:
            start, end = minutes_of(self.hours)
            if start <= end:
                if not start <= minute < end:
                    return False
            elif minute < end:
                day -= _DAY
            elif minute < start:
                return False
        return self.days is None or not kinds_of(day, calendar).isdisjoint(self.days)


class Silence(Match):
    """Cases that match are filed and shown, but nobody is told; `since` and `until` are instants with their offset."""

    since: datetime
    until: datetime
    author: str = Field(min_length=1)
    reason: str = Field(min_length=1)

    @field_validator("since", "until", mode="before")
    @classmethod
    def _instant(cls, value: object) -> datetime:
        if isinstance(value, datetime) and value.tzinfo is not None:  # YAML reads an instant with an offset by itself
            return value.astimezone(UTC)
        return instant(value.isoformat() if isinstance(value, datetime) else str(value))

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.until <= self.since:
            raise ValueError("until must be later than since")
        return self

    @property
    def kept(self) -> KeptSilent:
        """The silence as those made at run time are; its id is made of what it says."""
        said = f"{iso(self.since)}|{iso(self.until)}|{self.scene}|{self.camera}|{self.grid_cell}|{self.author}|{self.reason}"
        return KeptSilent(
            id=f"routes-{hashlib.sha256(said.encode()).hexdigest()[:12]}",
            since=self.since,
            until=self.until,
            author=self.author,
            reason=self.reason,
            scene=self.scene,
            camera=self.camera,
            grid_cell=self.grid_cell,
        )


class Routes(Section):
    """The first route that matches wins; without one the area's unit for the scene handles it, else the scene's own."""

    timezone: str = "Asia/Shanghai"
    routes: tuple[Route, ...] = ()
    silences: tuple[Silence, ...] = ()

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"expected an IANA time zone such as Asia/Shanghai, got {value!r}") from None
        return value

    @cached_property
    def kept_silent(self) -> tuple[KeptSilent, ...]:
        return tuple(each.kept for each in self.silences)

    def route(self, scene: str, spot: Spot, at: datetime, calendar: Calendar) -> Route | None:
        """The first that matches."""
        local = at.astimezone(ZoneInfo(self.timezone))
        return next((each for each in self.routes if each.matches(scene, spot) and each.is_on(local, calendar)), None)


def load(path: Path, *, faults: list[Fault], scenes: Collection[str], cameras: Collection[str] | None) -> Routes:
    """The routes of a folder, or none; faults are added, never raised. `cameras` is None when they are not all known."""
    if not path.exists():
        return Routes()
    shown = str(path)
    value = read(path, faults=faults)
    routes = None if value is None else parse(Routes, value, file=shown, faults=faults)
    if routes is None:
        return Routes()
    for name, matches in (("routes", routes.routes), ("silences", routes.silences)):
        for index, match in enumerate(matches):
            if match.scene is not None and match.scene not in scenes:
                message = f"there is no scene {match.scene!r}."
                faults.append(Fault(shown, f"{name}[{index}].scene", message, did_you_mean(match.scene, scenes)))
            if match.camera is not None and cameras is not None and match.camera not in cameras:
                message = f"there is no camera {match.camera!r}."
                faults.append(Fault(shown, f"{name}[{index}].camera", message, did_you_mean(match.camera, cameras)))
    return routes


def check_calendar(routes: Routes, *, file: str, faults: list[Fault]) -> None:
    """Where there is no calendar no day is a holiday and no hour is worked: a route that asks for one is a mistake."""
    for index, route in enumerate(routes.routes):
        asked = [("days", day) for day in sorted(BY_CALENDAR & set(route.days or ()))]
        asked += [("clock", "working_hours")] if route.clock is Counts.WORKING_HOURS else []
        for key, word in asked:
            message = f"{word!r} needs a calendar, and there is none."
            faults.append(Fault(file, f"routes[{index}].{key}", message, "Add calendar.yaml."))
