"""The time allowed of a case: extended, stopped while it is deferred, and who is told up the tree when it has run out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from citybrain.domain.case import Case, CaseState, Light
from pipeline.areas import next_level
from pipeline.city import City
from pipeline.grouping import CaseRecord
from pipeline.pace import WARN_SHARE

TIME_RAN_OUT = "time ran out"
RELEASED = "released"
"""The stamp of the instant at which no silence held a case back any more."""


def light_at(case: Case, at: datetime) -> Light:
    """Green to `warn_at`, yellow to `due_at`, red beyond; once the unit says that it is done, as it was then."""
    if case.due_at is None:
        return Light.GREEN
    if case.state is CaseState.VERIFYING and case.done_at is not None:
        at = case.done_at
    # A case that was stored before there was a `warn_at` has none.
    warned_at = case.warn_at or case.filed_at + (case.due_at - case.filed_at) * WARN_SHARE
    return Light.RED if at > case.due_at else Light.YELLOW if at >= warned_at else Light.GREEN


def extended(record: CaseRecord, until: datetime, city: City) -> CaseRecord:
    """The case with time until then (延期); who was told that it had run out stays told."""
    pace = replace(record.pace, escalate_at=until)
    since = record.case.stamps.get(RELEASED, record.case.filed_at)
    case = replace(record.case, due_at=until, warn_at=pace.warn_at(since, until, city.calendar))
    return replace(record, case=case, pace=pace)


def deferred(record: CaseRecord, at: datetime, until: datetime | None) -> CaseRecord:
    """The case while no time runs (挂账), to go on by itself at `until` if that is given."""
    return replace(record, pace=replace(record.pace, stopped_at=at, resume_at=until))


def resumed(record: CaseRecord, at: datetime, city: City) -> CaseRecord:
    """The case after time runs again: what was left of it when it was deferred is left now."""
    case, pace = record.case, record.pace
    if pace.stopped_at is None:
        return record
    stopped_at = pace.stopped_at

    def moved(instant: datetime | None) -> datetime | None:
        if instant is None or instant <= stopped_at:
            return instant
        return pace.after(at, pace.between(stopped_at, instant, city.calendar), city.calendar)

    return replace(
        record,
        case=replace(case, due_at=moved(case.due_at), warn_at=moved(case.warn_at)),
        pace=replace(pace, escalate_at=moved(pace.escalate_at), stopped_at=None, resume_at=None),
    )


def begun_anew(record: CaseRecord, at: datetime, city: City) -> CaseRecord:
    """The case with all its time from now on. One stored before its time was known goes on with what it has."""
    pace = record.pace
    if not pace.allowed:
        return record
    due_at = pace.after(at, pace.allowed, city.calendar)
    case = replace(record.case, due_at=due_at, warn_at=pace.warn_at(at, due_at, city.calendar))
    case = replace(case, light=light_at(case, at))
    return replace(record, case=case, pace=replace(pace, escalate_at=due_at))


def escalated(record: CaseRecord, at: datetime, city: City) -> CaseRecord | None:
    """The case one level further up the tree of areas (督办), where its time has run out; None where it has not, or nobody is."""
    case, pace = record.case, record.pace
    if pace.escalate_at is None or at <= pace.escalate_at:
        return None
    told = next_level(case, city.areas)
    if told is None:
        return None
    case = replace(
        case, escalation=case.escalation + 1, escalated_to=told, reason=TIME_RAN_OUT, note="", actor="citybrain"
    )
    next_at = pace.after(pace.escalate_at, pace.every, city.calendar) if pace.every else None
    return replace(record, case=case, pace=replace(pace, escalate_at=next_at))
