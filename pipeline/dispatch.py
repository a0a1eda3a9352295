"""Who is to handle a case and by when, and whether they are told: a decision with its reason."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from pipeline.calendar import Counts
from pipeline.city import City
from pipeline.pace import Pace
from pipeline.routes import Spot
from pipeline.scene import Scene, Status
from pipeline.silences import holding


class Reason(StrEnum):
    """Why a case is dispatched, or why not."""

    FIRST_NOTICE = "first_notice"
    TRIAL = "trial"
    SILENCED = "silenced"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the dispatch system is told, why, who is to handle the case and by when.

    `warn_at` is when four fifths of the time are used; `pace` is how it runs on; `silenced` the silence that holds it back.
    """

    dispatch: bool
    reason: Reason
    unit: str
    due_at: datetime
    warn_at: datetime
    pace: Pace
    note: str = ""
    silenced: str | None = None


def decide(scene: Scene, spot: Spot, at: datetime, *, city: City) -> Decision:
    """Who handles a case of this scene at this spot, by when, and whether they are told now.

    The time allowed is the route's, else the category's, else the scene's; so is the clock by which it runs.
    """
    route = city.routes.route(scene.id, spot, at, city.calendar)
    terms, category = scene.file.case, city.allowed.get(scene.file.case.code)
    unit = route.unit if route else city.areas.unit(scene.id, spot.grid_cell) or terms.unit
    allowed = (route and route.deadline) or (category and category.deadline) or terms.deadline
    counts = (route and route.clock) or (category and category.clock) or Counts.ALWAYS
    every = (route and route.escalate_every) or city.areas.escalate_every or allowed / 2
    pace = Pace(allowed, counts, every)
    due_at = pace.after(at, allowed, city.calendar)
    told = Decision(
        dispatch=True,
        reason=Reason.FIRST_NOTICE,
        unit=unit,
        due_at=due_at,
        warn_at=pace.warn_at(at, due_at, city.calendar),
        pace=replace(pace, escalate_at=due_at),
    )
    if scene.file.status is Status.TRIAL:
        return replace(told, dispatch=False, reason=Reason.TRIAL)
    cameras = () if spot.camera is None else (spot.camera,)
    silence = holding(city.all_silences, at, scene=scene.id, cameras=cameras, grid_cell=spot.grid_cell)
    if silence is None:
        return told
    note = f"{silence.author}: {silence.reason}"
    return replace(told, dispatch=False, reason=Reason.SILENCED, note=note, silenced=silence.id)
