"""What the passing of time does to cases: lights change, silences and deferrals end, time runs out, what is gone closes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from citybrain.domain.case import CaseEventType, CaseState
from pipeline.cases.deadlines import RELEASED, begun_anew, escalated, light_at, resumed
from pipeline.cases.records import LocalityState, Told, put, tell
from pipeline.city import City
from pipeline.dispatch import Reason
from pipeline.grouping import CaseRecord
from pipeline.silences import holding

_AT_REST = (CaseState.DEFERRED, CaseState.VERIFYING)


def tick(state: LocalityState, at: datetime, city: City) -> tuple[LocalityState, list[Told]]:
    """The locality after time went by."""
    told: list[Told] = []
    for index, before in enumerate(state.records):
        if not before.case.state.is_open:
            continue
        record, said = _closed_by_itself(before, at, city)
        if record.case.state.is_open:
            for step in (_resumed, _released, _run_out, _lit):
                record, more = step(record, at, city)
                said += more
        if record is not before:
            told += said
            state = put(state, index, record)
    return state, told


def release(state: LocalityState, *, at: datetime, city: City, cause: str) -> tuple[LocalityState, list[Told]]:
    """The locality after silences were made or ended: what none of them holds back any more is told."""
    told: list[Told] = []
    for index, before in enumerate(state.records):
        record, said = _released(before, at, city, cause=cause)
        if record is not before:
            told += said
            state = put(state, index, record)
    return state, told


def _closed_by_itself(record: CaseRecord, at: datetime, city: City) -> tuple[CaseRecord, list[Told]]:
    """What was seen to be gone long enough, unless people took it up."""
    case, scene = record.case, city.scenes.get(record.case.scene)
    close_after = scene.file.case.close_after_clear if scene else None
    untouched = case.state in (CaseState.FILED, CaseState.DISPATCHED) and not record.done
    if not (close_after and untouched and case.cleared_at and at - case.cleared_at >= close_after):
        return record, []
    closed = replace(case, state=CaseState.CLOSED, closed_at=at, reason="gone by itself", actor="citybrain")
    return tell(record, closed, CaseEventType.CLOSED, at)


def _resumed(record: CaseRecord, at: datetime, city: City) -> tuple[CaseRecord, list[Told]]:
    """A deferral that was to last until now: the case is again where it was, with the time that was left."""
    resume_at = record.pace.resume_at
    if record.case.state is not CaseState.DEFERRED or resume_at is None or at < resume_at:
        return record, []
    record = resumed(record, resume_at, city)
    case = record.case
    before = CaseState.HANDLING if case.accepted_at else CaseState.DISPATCHED if case.posted_at else CaseState.FILED
    case = replace(case, state=before, reason="deferral over", note="", actor="citybrain")
    return tell(record, case, CaseEventType.STATUS, at)


def _released(
    record: CaseRecord, at: datetime, city: City, *, cause: str | None = None
) -> tuple[CaseRecord, list[Told]]:
    """A case that a silence held back and none holds now: whoever is to know is told, if the thing is still there."""
    case = record.case
    if case.silenced is None or not case.state.is_open:
        return record, []
    silence = holding(city.all_silences, at, scene=case.scene, cameras=case.cameras, grid_cell=case.grid_cell)
    if silence is not None:
        if silence.id == case.silenced:
            return record, []
        note = f"{silence.author}: {silence.reason}"
        held = replace(case, silenced=silence.id, reason=Reason.SILENCED.value, note=note, actor="citybrain")
        return tell(record, held, CaseEventType.STATUS, at, cause=cause)
    if not case.present:
        return record, []
    record = replace(begun_anew(record, at, city), dispatch=True, notice=case.version + 1)
    stamps = {**case.stamps, RELEASED: at}
    told = replace(record.case, silenced=None, stamps=stamps, reason="silence over", note="", actor="citybrain")
    return tell(record, told, CaseEventType.STATUS, at, cause=cause)


def _run_out(record: CaseRecord, at: datetime, city: City) -> tuple[CaseRecord, list[Told]]:
    """The next levels of the area tree are told, each after its time. Of what nobody was told there is nothing to run out."""
    said: list[Told] = []
    while record.dispatch and record.case.state not in _AT_REST and (after := escalated(record, at, city)):
        case = replace(after.case, light=light_at(after.case, at))
        record, more = tell(after, case, CaseEventType.ESCALATED, at)
        said += more
    return record, said


def _lit(record: CaseRecord, at: datetime, _: City) -> tuple[CaseRecord, list[Told]]:
    case = record.case
    held = case.silenced is not None or case.state is CaseState.DEFERRED
    if held or (light := light_at(case, at)) is case.light:
        return record, []
    return tell(record, replace(case, light=light), CaseEventType.STATUS, at)
