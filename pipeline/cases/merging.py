"""What becomes of a case that another one was merged into, and of that when the merge is taken back."""

from __future__ import annotations

from dataclasses import replace

from citybrain.domain.case import Case, CaseEventType
from citybrain.domain.command import Absorb
from pipeline.cases.records import LocalityState, Told, put, remembering, tell, with_evidence
from pipeline.cases.verification import asked_anew
from pipeline.grouping import CaseRecord
from pipeline.loop import Absorbed


def mismatch(case: Case, into: Case | None) -> str:
    """Why a case cannot become part of another one; empty when it can."""
    if into is None:
        return "there is no such case to merge it into"
    if into.scene != case.scene:
        return f"a case of {case.scene} is no part of one of {into.scene}"
    return "" if into.state.is_open else f"the case to merge it into is {into.state}"


def absorb(state: LocalityState, command: Absorb) -> tuple[LocalityState, list[Told], str]:
    """The locality of the case that another was merged into, or merged into no more; the word says why that cannot be."""
    for index, record in enumerate(state.records):
        if record.case.id != command.case:
            continue
        if command.id in record.done:
            return state, [], ""
        if command.undone:
            return _returned(state, index, command)
        if why := mismatch(command.other, record.case):
            return state, [], why
        after, told = _absorbed(record, command)
        return put(state, index, after), told, ""
    return state, [], "" if command.undone else mismatch(command.other, None)


def _absorbed(record: CaseRecord, command: Absorb) -> tuple[CaseRecord, list[Told]]:
    case, other = record.case, command.other
    cameras = tuple(each for each in other.cameras if each not in case.cameras)
    known, told_before = {each.ref for each in case.evidence}, {each.id for each in case.reports}
    reports = tuple(each for each in other.reports if each.id not in told_before)
    came = Absorbed(
        case=other.id,
        cameras=cameras,
        evidence=tuple(each.ref for each in other.evidence if each.ref not in known),
        reports=tuple(each.id for each in reports),
        places={place: camera for place, camera in command.places.items() if place not in record.sightings},
    )
    after = replace(
        case,
        cameras=(*case.cameras, *cameras),
        reports=tuple(sorted((*case.reports, *reports), key=lambda each: (each.at, each.id))),
        evidence=with_evidence(case, other.evidence),
        confidence=max(case.confidence, other.confidence),
        reason="another case is part of it",
        note="",
        actor=command.actor,
        undoable=None,
    )
    done = remembering(record.done, command.id)
    record = replace(record, done=done, undo=None, absorbed=(*record.absorbed, came))
    return tell(asked_anew(record, command.at), after, CaseEventType.MERGED, command.at, cause=command.id)


def _returned(state: LocalityState, index: int, command: Absorb) -> tuple[LocalityState, list[Told], str]:
    """Without what came by a merge that was taken back."""
    record = state.records[index]
    went = next((each for each in record.absorbed if each.case == command.other.id), None)
    if went is None:
        return state, [], ""
    case = record.case
    after = replace(
        case,
        cameras=tuple(each for each in case.cameras if each not in went.cameras),
        reports=tuple(each for each in case.reports if each.id not in went.reports),
        evidence=tuple(each for each in case.evidence if each.ref not in went.evidence),
        reason="a merge was taken back",
        note="",
        actor=command.actor,
        undoable=None,
    )
    absorbed = tuple(each for each in record.absorbed if each is not went)
    record = replace(record, done=remembering(record.done, command.id), undo=None, absorbed=absorbed)
    if not case.state.is_open:  # nobody is told, but should it be reopened it must not show what is another's
        return put(state, index, replace(record, case=replace(after, reason=case.reason, actor=case.actor))), [], ""
    record, told = tell(record, after, CaseEventType.STATUS, command.at, cause=command.id)
    return put(state, index, record), told, ""
