"""What people do about a case."""

from __future__ import annotations

from dataclasses import replace

from citybrain.domain.case import ALLOWED, CaseAction, CaseEventType, CaseState
from citybrain.domain.command import Act
from pipeline.cases.records import LocalityState, Told, put, tell
from pipeline.grouping import CaseRecord

_MOST_COMMANDS = 50
_SEVERER = {"low": "normal", "normal": "high", "high": "critical", "critical": "critical"}


def act(state: LocalityState, command: Act) -> tuple[LocalityState, list[Told], str]:
    """The locality after someone took an action; the word says why not, when it could not be taken."""
    for index, record in enumerate(state.records):
        if record.case.id != command.case:
            continue
        if command.id in record.done:
            return state, [], ""
        if record.case.state not in ALLOWED[command.action]:
            return state, [], f"cannot {command.action} a case that is {record.case.state}"
        after, told = _acted(record, command)
        return put(state, index, after), told, ""
    return state, [], "no such case"


def _acted(record: CaseRecord, command: Act) -> tuple[CaseRecord, list[Told]]:
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
        case CaseAction.EXTEND:
            case = replace(case, due_at=command.until or case.due_at)
        case CaseAction.CLOSE:
            case = replace(case, state=CaseState.CLOSED, closed_at=command.at)
            kind = CaseEventType.CLOSED
        case CaseAction.REOPEN:
            state = CaseState.DISPATCHED if case.posted_at else CaseState.FILED
            case = replace(case, state=state, judged=None, closed_at=None)
            kind, rejected_at = CaseEventType.REOPENED, None
        case CaseAction.ESCALATE:
            case = replace(case, severity=_SEVERER[case.severity])
            kind = CaseEventType.ESCALATED
        case CaseAction.DEFER:
            case = replace(case, state=CaseState.DEFERRED)
    done = (*record.done, command.id)[-_MOST_COMMANDS:]
    return tell(replace(record, rejected_at=rejected_at, done=done), case, kind, command.at, cause=command.id)
