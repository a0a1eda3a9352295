"""What the dispatch system and ingest let a case know: that it was taken, that a clip is stored."""

from __future__ import annotations

from dataclasses import replace

from citybrain.domain.case import CaseEventType, CaseState
from citybrain.domain.command import Delivered, Filmed
from pipeline.cases.deadlines import RELEASED
from pipeline.cases.records import LocalityState, Told, event_id, put, tell, with_evidence


def delivered(state: LocalityState, command: Delivered) -> tuple[LocalityState, list[Told]]:
    """The locality after the dispatch system took a case: only the first notice changes the case."""
    for index, record in enumerate(state.records):
        case = record.case
        if case.id != command.case or case.posted_at is not None or command.event != event_id(case.id, record.notice):
            continue
        stamps = dict(case.stamps) | {
            RELEASED if RELEASED in case.stamps else "filed": command.committed_at,
            "posted": command.posted_at,
            "acknowledged": command.acknowledged_at,
        }
        captured = stamps.get("captured")  # what was reported was never captured
        latency = (command.posted_at - captured).total_seconds() if captured else None
        after = replace(
            case,
            state=CaseState.DISPATCHED if case.state is CaseState.FILED else case.state,
            posted_at=command.posted_at,
            external_id=command.external_id,
            stamps=stamps,
            latency_s=latency,
        )
        dispatched, told = tell(record, after, CaseEventType.DISPATCHED, command.at, cause=command.id)
        return put(state, index, dispatched), [replace(each, dispatch=False) for each in told]
    return state, []


def filmed(state: LocalityState, command: Filmed) -> tuple[LocalityState, list[Told], str]:
    """The locality after a clip of an episode is stored; the word says why not, when no open case can take it.

    The episode is known by scene, place and the instant it was confirmed, not by when it began: ingest, which forgets
    when it restarts, may have seen only the rest of the hold. Of a clip that is attached nobody said anything: reason,
    note and actor stay what they were.
    """
    known = [
        (sighting.began_at, index)
        for index, record in enumerate(state.records)
        if record.case.scene == command.scene and (sighting := record.sightings.get(command.place)) is not None
        if sighting.began_at <= command.confirmed_at
    ]
    if not known:
        return state, [], "no case has the episode that was filmed"
    _, index = max(known)
    record = state.records[index]
    case = replace(record.case, evidence=with_evidence(record.case, [command.clip]))
    if not case.state.is_open:
        return state, [], f"a clip came when the case was already {case.state}"
    if case.evidence == record.case.evidence:
        return state, [], ""
    after, told = tell(record, case, CaseEventType.STATUS, command.at, cause=command.id)
    return put(state, index, after), told, ""
