"""What the passing of time does to cases: lights change, and what was seen to be gone long enough closes by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from citybrain.domain.case import Case, CaseEventType, CaseState, Light
from pipeline.cases.records import LocalityState, Told, put, tell
from pipeline.city import City


def tick(state: LocalityState, at: datetime, city: City) -> tuple[LocalityState, list[Told]]:
    """The locality after time went by: lights change, and what was seen to be gone long enough closes by itself."""
    told: list[Told] = []
    for index, record in enumerate(state.records):
        case = record.case
        if not case.state.is_open:
            continue
        scene = city.scenes.get(case.scene)
        close_after = scene.file.case.close_after_clear if scene else None
        untouched = case.state in (CaseState.FILED, CaseState.DISPATCHED) and not record.done
        if close_after and untouched and case.cleared_at and at - case.cleared_at >= close_after:
            closed = replace(case, state=CaseState.CLOSED, closed_at=at, reason="gone by itself", actor="citybrain")
            after, said = tell(record, closed, CaseEventType.CLOSED, at)
        elif (light := light_at(case, at)) is not case.light:
            after, said = tell(record, replace(case, light=light), CaseEventType.STATUS, at)
        else:
            continue
        told += said
        state = put(state, index, after)
    return state, told


def light_at(case: Case, at: datetime) -> Light:
    """Green below 80 % of the time allowed, yellow to 100 %, red beyond."""
    if case.due_at is None:
        return Light.GREEN
    used = (at - case.filed_at) / (case.due_at - case.filed_at)
    return Light.RED if used > 1 else Light.YELLOW if used >= 0.8 else Light.GREEN
