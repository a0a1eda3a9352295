"""What people do about a case."""

from __future__ import annotations

from dataclasses import replace

from citybrain.domain.case import ALLOWED, Case, CaseAction, CaseEventType, CaseState
from citybrain.domain.command import Act
from pipeline.areas import next_level
from pipeline.cases.deadlines import deferred, extended, resumed
from pipeline.cases.records import LocalityState, Told, put, tell
from pipeline.city import City
from pipeline.grouping import CaseRecord

_MOST_COMMANDS = 50
_SEVERER = {"low": "normal", "normal": "high", "high": "critical", "critical": "critical"}


def act(state: LocalityState, command: Act, city: City) -> tuple[LocalityState, list[Told], str]:
    """The locality after someone took an action; the word says why not, when it could not be taken."""
    for index, record in enumerate(state.records):
        if record.case.id != command.case:
            continue
        if command.id in record.done:
            return state, [], ""
        if record.case.state not in ALLOWED[command.action]:
            return state, [], f"cannot {command.action} a case that is {record.case.state}"
        after, told = _acted(record, command, city)
        return put(state, index, after), told, ""
    return state, [], "no such case"


def _acted(record: CaseRecord, command: Act, city: City) -> tuple[CaseRecord, list[Told]]:
    case = replace(record.case, reason=command.reason, note=command.note, actor=command.actor)
    kind, rejected_at = CaseEventType.STATUS, record.rejected_at
    match command.action:
        case CaseAction.CONFIRM:
            case = replace(case, judged="confirmed")
        case CaseAction.REJECT:
            case = replace(case, judged="rejected", state=CaseState.REJECTED, closed_at=command.at)
            kind, rejected_at = CaseEventType.REJECTED, command.at
        case CaseAction.HANDLE:
            case = replace(case, state=CaseState.HANDLING)
        case CaseAction.VERIFY:
            case = replace(case, state=CaseState.VERIFYING)
        case CaseAction.ARRIVE:
            case = replace(case, arrived_at=command.at)
        case CaseAction.RETURN:
            case = replace(case, state=CaseState.RETURNED)
        case CaseAction.ASSIGN:
            case = replace(case, unit=command.unit or case.unit)
        case CaseAction.CLOSE:
            case = replace(case, state=CaseState.CLOSED, closed_at=command.at)
            kind = CaseEventType.CLOSED
        case CaseAction.REOPEN:
            state = CaseState.DISPATCHED if case.posted_at else CaseState.FILED
            case = replace(case, state=state, judged=None, closed_at=None)
            kind, rejected_at = CaseEventType.REOPENED, None
        case CaseAction.ESCALATE:
            case = _escalated(case, city)
            kind = CaseEventType.ESCALATED
        case CaseAction.DEFER:
            case = replace(case, state=CaseState.DEFERRED)
    record = _timed(record, case, command, city)
    case = record.case
    done = (*record.done, command.id)[-_MOST_COMMANDS:]
    return tell(replace(record, rejected_at=rejected_at, done=done), case, kind, command.at, cause=command.id)


def _escalated(case: Case, city: City) -> Case:
    """One level up the tree of areas, and one step more urgent."""
    told = next_level(case, city.areas)
    return replace(
        case,
        severity=_SEVERER[case.severity],
        escalation=case.escalation + (told is not None),
        escalated_to=told or case.escalated_to,
    )


def _timed(record: CaseRecord, case: Case, command: Act, city: City) -> CaseRecord:
    """The record with the case as it is now, its time extended, stopped or running again."""
    after, was_deferred = replace(record, case=case), record.case.state is CaseState.DEFERRED
    if command.action is CaseAction.EXTEND and command.until is not None:
        return extended(after, command.until, city)
    if command.action is CaseAction.DEFER:
        return deferred(after, command.at, command.until)
    return resumed(after, command.at, city) if was_deferred and case.state is not CaseState.DEFERRED else after
