"""What people do about a case."""

from __future__ import annotations

from dataclasses import replace

from citybrain.domain.case import ALLOWED, Case, CaseAction, CaseEventType, CaseState
from citybrain.domain.command import Act
from pipeline.areas import next_level
from pipeline.cases.deadlines import begun_anew, deferred, extended, light_at, resumed
from pipeline.cases.merging import mismatch
from pipeline.cases.records import LocalityState, Told, put, remembering, tell, with_evidence
from pipeline.cases.verification import asked
from pipeline.city import City
from pipeline.grouping import CaseRecord
from pipeline.loop import Undo

_SEVERER = {"low": "normal", "normal": "high", "high": "critical", "critical": "critical"}
_UNDOABLE = (CaseAction.CONFIRM, CaseAction.REJECT, CaseAction.MERGE)
_KINDS = {
    CaseAction.REJECT: CaseEventType.REJECTED,
    CaseAction.CLOSE: CaseEventType.CLOSED,
    CaseAction.MERGE: CaseEventType.CLOSED,
    CaseAction.REOPEN: CaseEventType.REOPENED,
    CaseAction.ESCALATE: CaseEventType.ESCALATED,
}


def act(state: LocalityState, command: Act, city: City) -> tuple[LocalityState, list[Told], str]:
    """The locality after someone took an action; the word says why not, when it could not be taken."""
    for index, record in enumerate(state.records):
        if record.case.id != command.case:
            continue
        if command.id in record.done:
            return state, [], ""
        if why := _refused(state, record.case, command):
            return state, [], why
        after, told = _acted(record, command, city)
        return put(state, index, after), told, ""
    return state, [], "no such case"


def _refused(state: LocalityState, case: Case, command: Act) -> str:
    """Why the action cannot be taken; empty when it can."""
    action, until = command.action, command.until
    if case.state not in ALLOWED[action]:
        return f"cannot {action} a case that is {case.state}"
    match action:
        case CaseAction.RETURN if not command.reason:
            return "to return a case needs a reason"
        case CaseAction.ASSIGN if not command.unit:
            return "to assign a case needs a unit"
        case CaseAction.EXTEND if until is None or until <= command.at or (case.due_at and until <= case.due_at):
            return "to extend a case needs a time that is to come, and later than it has"
        case CaseAction.DEFER if until is not None and until <= command.at:
            return "to defer a case needs a time that is to come, or none"
        case CaseAction.MERGE:
            return _not_merged(state, case, command)
        case CaseAction.UNDO if case.undoable is None:
            return "there is nothing to undo"
    return ""


def _not_merged(state: LocalityState, case: Case, command: Act) -> str:
    if command.into is None or command.into_locality is None:
        return "to merge a case needs the case that it is part of"
    if command.into == case.id:
        return "a case is no part of itself"
    if command.into_locality != case.locality:
        return ""  # where that one is kept, it is known whether it can be
    into = next((each.case for each in state.records if each.case.id == command.into), None)
    return mismatch(case, into)


def _acted(record: CaseRecord, command: Act, city: City) -> tuple[CaseRecord, list[Told]]:
    action, was = command.action, record.case
    taken = [replace(each, role="field") for each in command.evidence]
    case = replace(
        was,
        reason=command.reason,
        note=command.note,
        actor=command.actor,
        evidence=with_evidence(was, taken),
        undoable=action.value if action in _UNDOABLE else None,
    )
    record = replace(record, case=case, done=remembering(record.done, command.id))
    kind = _KINDS.get(action, CaseEventType.STATUS)
    if action is CaseAction.UNDO:
        record = _undone(record, was)
        kind = CaseEventType.STATUS if record.case.state is was.state else CaseEventType.REOPENED
    else:
        record = _moved(record, command, city)
        record = replace(record, undo=Undo(was.state, was.judged) if case.undoable else None)
    case = record.case
    if was.state is CaseState.VERIFYING and case.state.is_open and case.state is not CaseState.VERIFYING:
        record = replace(record, case=replace(case, done_at=None))
    if case.state is not CaseState.VERIFYING:
        record = replace(record, verification=None)
    if case.state.is_open and case.state is not CaseState.DEFERRED:
        record = resumed(record, command.at, city)
    return tell(record, record.case, kind, command.at, cause=command.id)


def _moved(record: CaseRecord, command: Act, city: City) -> CaseRecord:
    """The record after the action itself."""
    case, at = record.case, command.at
    match command.action:
        case CaseAction.CONFIRM:
            return replace(record, case=replace(case, judged="confirmed"))
        case CaseAction.REJECT:
            case = replace(case, judged="rejected", state=CaseState.REJECTED, closed_at=at)
            return replace(record, case=case, rejected_at=at)
        case CaseAction.CLOSE:
            return replace(record, case=replace(case, state=CaseState.CLOSED, closed_at=at))
        case CaseAction.MERGE:
            reason = command.reason or "merged"
            case = replace(case, state=CaseState.CLOSED, closed_at=at, merged_into=command.into, reason=reason)
            return replace(record, case=case, into_locality=command.into_locality)
        case CaseAction.REOPEN:
            return begun_anew(_reopened(record), at, city)
        case CaseAction.EXTEND if command.until is not None:
            record = extended(record, command.until, city)
            return replace(record, case=replace(record.case, light=light_at(record.case, at)))
        case CaseAction.DEFER:
            return deferred(replace(record, case=replace(case, state=CaseState.DEFERRED)), at, command.until)
        case CaseAction.ESCALATE:
            return replace(record, case=_escalated(case, city))
    return _handled(record, command)


def _handled(record: CaseRecord, command: Act) -> CaseRecord:
    """The record after what a unit did, or another one is to do."""
    case, at = record.case, command.at
    match command.action:
        case CaseAction.HANDLE:
            case = replace(case, state=CaseState.HANDLING, accepted_at=case.accepted_at or at)
        case CaseAction.ARRIVE:  # whoever is there has taken it
            accepted_at = case.accepted_at or at
            case = replace(case, state=CaseState.HANDLING, accepted_at=accepted_at, arrived_at=case.arrived_at or at)
        case CaseAction.VERIFY:
            case = replace(case, state=CaseState.VERIFYING, accepted_at=case.accepted_at or at, done_at=at)
            return asked(replace(record, case=case), at)
        case CaseAction.RETURN:
            case = replace(case, state=CaseState.RETURNED, accepted_at=None, arrived_at=None)
        case CaseAction.ASSIGN:
            state = CaseState.DISPATCHED if case.state in _WITH_A_UNIT else case.state
            case = replace(case, state=state, unit=command.unit, accepted_at=None, arrived_at=None)
    return replace(record, case=case)


def _escalated(case: Case, city: City) -> Case:
    told = next_level(case, city.areas)
    return replace(
        case,
        severity=_SEVERER[case.severity],
        escalation=case.escalation + (told is not None),
        escalated_to=told or case.escalated_to,
    )


_WITH_A_UNIT = (CaseState.HANDLING, CaseState.VERIFYING, CaseState.RETURNED)


def _reopened(record: CaseRecord) -> CaseRecord:
    """As when it was filed: whoever had it has to take it again."""
    case = replace(
        record.case,
        state=CaseState.DISPATCHED if record.case.posted_at else CaseState.FILED,
        judged=None,
        closed_at=None,
        merged_into=None,
        accepted_at=None,
        arrived_at=None,
        done_at=None,
        verified_at=None,
        escalation=0,
        escalated_to=None,
    )
    return replace(record, case=case, rejected_at=None, into_locality=None)


def _undone(record: CaseRecord, was: Case) -> CaseRecord:
    """As it stood before what `was.undoable` names, but for what the world has told of it since."""
    before = record.undo
    if before is None:  # never: what is undoable has its Undo
        return record
    case = replace(record.case, judged=before.judged, reason=record.case.reason or f"{was.undoable} taken back")
    record = replace(record, case=case, undo=None)
    if was.undoable == CaseAction.CONFIRM:
        return record
    posted = before.state is CaseState.FILED and case.posted_at is not None
    state = CaseState.DISPATCHED if posted else before.state
    case = replace(case, state=state, closed_at=None, merged_into=None)
    return replace(record, case=case, rejected_at=None, into_locality=None)
