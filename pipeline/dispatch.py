"""Who is to handle a case and by when, and whether they are told: a decision with its reason."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from citybrain.clock import instant
from citybrain.configuration import Section, SomeDuration, did_you_mean, parse, read
from citybrain.errors import Fault
from pipeline.scene import Scene, Status


class Reason(StrEnum):
    """Why a case is dispatched, or why not."""

    FIRST_NOTICE = "first_notice"
    TRIAL = "trial"
    SILENCED = "silenced"


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
    """`hours` such as `08:00-18:00` in the city's own time; a span may pass midnight."""

    unit: str
    deadline: SomeDuration | None = None
    hours: str | None = Field(default=None, pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")

    def is_on(self, minute: int) -> bool:
        """Whether the minute of the day (0..1439) lies in the hours."""
        if self.hours is None:
            return True
        start, end = (int(text[:2]) * 60 + int(text[3:]) for text in self.hours.split("-"))
        return start <= minute < end if start <= end else minute >= start or minute < end


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


class Routes(Section):
    """The YAML of configs/routes.yaml. The first route that matches wins; without one the scene's own unit handles it."""

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


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the dispatch system is told, why, who is to handle the case and by when."""

    dispatch: bool
    reason: Reason
    unit: str
    due_at: datetime
    note: str = ""


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


def decide(scene: Scene, spot: Spot, at: datetime, *, routes: Routes) -> Decision:
    """Who handles a case of this scene at this spot, by when, and whether they are told now."""
    local = at.astimezone(ZoneInfo(routes.timezone))
    minute = local.hour * 60 + local.minute
    route = next((each for each in routes.routes if each.matches(scene.id, spot) and each.is_on(minute)), None)
    unit = route.unit if route else scene.file.case.unit
    allowed: timedelta = (route.deadline if route else None) or scene.file.case.deadline
    due_at = at + allowed
    if scene.file.status is Status.TRIAL:
        return Decision(False, Reason.TRIAL, unit, due_at)
    for silence in routes.silences:
        if silence.matches(scene.id, spot) and silence.since <= at < silence.until:
            return Decision(False, Reason.SILENCED, unit, due_at, f"{silence.author}: {silence.reason}")
    return Decision(True, Reason.FIRST_NOTICE, unit, due_at)
