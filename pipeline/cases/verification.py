"""Verification by camera (核查): the unit says that it is done, and every camera of the case is asked what it sees now.

done ──► asked ──┬─ one still sees it ──────────────────────────────► handling, "still there"
           ▲     ├─ all that can see saw it gone, with a picture ──► verified, closed: "seen to be gone"
           │     └─ nobody can see, or nobody is asked ──► it waits, and says so
           └── asked again while there is no answer
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from citybrain.clock import iso
from citybrain.domain.case import Case, CaseEventType, CaseState
from citybrain.domain.command import LookAgain
from citybrain.domain.episode import ChangeKind, EpisodeChange, Evidence
from pipeline.cases.records import LocalityState, Told, put, tell, with_evidence
from pipeline.city import City, unwatched
from pipeline.grouping import CaseRecord
from pipeline.loop import Verification

ASK_AGAIN = timedelta(seconds=30)
STILL_THERE, SEEN_GONE = "still there", "seen to be gone"


def asked(record: CaseRecord, at: datetime) -> CaseRecord:
    """The record whose cameras are asked from now on. Where no camera sees it, nobody is, and people close it."""
    places = _places(record)
    return replace(record, verification=Verification(at, at, places) if places else None)


def asked_anew(record: CaseRecord, at: datetime) -> CaseRecord:
    """The record after one more place became part of it: while it is verified, all are asked once more, that one too."""
    return asked(record, at) if record.case.state is CaseState.VERIFYING else record


def ask_again(state: LocalityState, *, key: str, at: datetime, city: City) -> tuple[LocalityState, list[Told]]:
    """The locality, whose key this is, after time went by: who has not answered is asked again, who cannot any more is not."""
    told: list[Told] = []
    for index, before in enumerate(state.records):
        if before.case.state is not CaseState.VERIFYING:
            continue
        verification = before.verification
        if verification is None:  # it was brought here by an older version, or by taking something back
            record, said = asked(before, at), list[Told]()
        elif at - verification.said_at >= ASK_AGAIN and verification.waiting:
            scene, own = before.case.scene, set(before.sightings)
            waiting = {
                place: camera
                for place, camera in verification.waiting.items()
                if not unwatched(city, scene, place, locality=key if place in own else None)
            }
            again = replace(before, verification=replace(verification, said_at=at, waiting=waiting))
            record, said = settled(again, at)
        else:
            continue
        if record.verification is not verification:
            told += said
            state = put(state, index, record)
    return state, told


def answered(state: LocalityState, change: EpisodeChange) -> tuple[LocalityState, list[Told]]:
    """The locality after a camera answered; what nobody asks any more changes nothing."""
    for index, record in enumerate(state.records):
        verification = record.verification
        if verification is None or record.case.scene != change.scene:
            continue
        if verification.asked_at == change.began_at and change.place in verification.waiting:
            after, told = _answered(record, verification, change)
            return put(state, index, after), told
    return state, []


def settled(record: CaseRecord, at: datetime) -> tuple[CaseRecord, list[Told]]:
    """Closed, when every camera that can see says that it is gone, and no sensor says that it is there; else as it was."""
    if record.verification is None or not record.verification.gone or _able(record):
        return record, []
    sensed = any(each.open and not each.camera for each in record.sightings.values())
    return (record, []) if sensed else _closed(record, at)


def questions(record: CaseRecord) -> Iterator[LookAgain]:
    """What its cameras are asked, one question for each place without an answer."""
    verification, case = record.verification, record.case
    if verification is None:
        return
    for place, camera in sorted(verification.waiting.items()):
        yield LookAgain(
            id=f"look-{case.id}-{iso(verification.said_at)}-{place}",
            case=case.id,
            locality=case.locality,
            camera=camera,
            scene=case.scene,
            place=place,
            asked_at=verification.asked_at,
            at=verification.said_at,
        )


def seen_at(record: CaseRecord) -> Mapping[str, str]:
    """Where cameras see it, or saw it, each place with its camera; those of cases that became part of it among them."""
    return _places(record)


def _places(record: CaseRecord) -> dict[str, str]:
    brought = {place: camera for each in record.absorbed for place, camera in each.places.items()}
    return brought | {place: each.camera for place, each in record.sightings.items() if each.camera}


def _answered(record: CaseRecord, verification: Verification, change: EpisodeChange) -> tuple[CaseRecord, list[Told]]:
    place = change.place
    after = [replace(each, role="after") for each in change.evidence]
    if change.kind is ChangeKind.STILL_THERE:
        return _sent_back(record, after, change.at)
    if change.kind is ChangeKind.SEEN_GONE:
        waiting = {each: camera for each, camera in verification.waiting.items() if each != place}
        verification = replace(verification, waiting=waiting, gone=verification.gone | {place})
        sighting = record.sightings.get(place)
        if sighting is not None:
            record = replace(record, sightings={**record.sightings, place: replace(sighting, open=False, blind=False)})
        record = replace(record, case=replace(record.case, evidence=_with_after(record.case, after)))
        return settled(replace(record, verification=verification), change.at)
    blind = verification.blind | {place} if change.kind is ChangeKind.UNSEEN else verification.blind - {place}
    record = replace(record, verification=replace(verification, blind=blind))
    settled_now, told = settled(record, change.at)
    return (settled_now, told) if told else _unseen(record, change)


def _unseen(record: CaseRecord, change: EpisodeChange) -> tuple[CaseRecord, list[Told]]:
    """The case says since when nobody can look, and that somebody can again."""
    unseen, case = not _able(record), record.case
    if unseen == (case.unseen_since is not None):
        return record, []
    reason = change.reason if unseen else "seen again"
    case = replace(case, unseen_since=change.at if unseen else None, reason=reason, note="", actor="citybrain")
    return tell(record, case, CaseEventType.STATUS, change.at)


def _able(record: CaseRecord) -> Collection[str]:
    """The places without an answer that can be seen, as far as is known."""
    if record.verification is None:
        return ()
    blind = record.verification.blind | {place for place, each in record.sightings.items() if each.blind}
    return record.verification.waiting.keys() - blind


def _with_after(case: Case, pictures: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """The picture that ended the episode may be the one that verifies it: then that is what it is for."""
    known = {each.ref for each in pictures}
    return with_evidence(
        replace(case, evidence=tuple(each for each in case.evidence if each.ref not in known)), pictures
    )


def _sent_back(record: CaseRecord, pictures: Sequence[Evidence], at: datetime) -> tuple[CaseRecord, list[Told]]:
    case = replace(
        record.case,
        state=CaseState.HANDLING,
        done_at=None,
        unseen_since=None,
        present=True,
        cleared_at=None,
        evidence=_with_after(record.case, pictures),
        reason=STILL_THERE,
        note="",
        actor="citybrain",
        undoable=None,
    )
    return tell(replace(record, verification=None, undo=None), case, CaseEventType.STATUS, at)


def _closed(record: CaseRecord, at: datetime) -> tuple[CaseRecord, list[Told]]:
    case = replace(
        record.case,
        verified_at=at,
        present=False,
        cleared_at=record.case.cleared_at or at,
        unseen_since=None,
        reason=SEEN_GONE,
        note="",
        actor="citybrain",
        undoable=None,
    )
    record, told = tell(replace(record, verification=None, undo=None), case, CaseEventType.VERIFIED, at)
    closed = replace(record.case, state=CaseState.CLOSED, closed_at=at)
    record, more = tell(record, closed, CaseEventType.CLOSED, at)
    return record, [*told, *more]
