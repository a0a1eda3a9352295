"""Stage two: from episodes and commands to cases and what is told of them. Keyed by locality, pure, in the time of the data."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from citybrain.clock import iso
from citybrain.domain.case import ALLOWED, Case, CaseAction, CaseEvent, CaseEventType, CaseState, Light
from citybrain.domain.command import Act, Delivered, Filmed
from citybrain.domain.episode import ChangeKind, EpisodeChange, Evidence, EvidenceKind
from citybrain.domain.geometry import metres_between
from pipeline.city import City, unwatched
from pipeline.dispatch import decide
from pipeline.grouping import CaseRecord, Sighting, latest, same_problem, same_spot
from pipeline.scene import Scene

REMEMBER = timedelta(days=30)
"""How long a closed case is known, so that its return is a recurrence."""
MOST_PICTURES, MOST_CLIPS = 12, 3
_MOST_COMMANDS = 50
_SEVERER = {"low": "normal", "normal": "high", "high": "critical", "critical": "critical"}


@dataclass(frozen=True, slots=True)
class Told:
    """A case event, and whether the dispatch system is to have it."""

    event: CaseEvent
    dispatch: bool


@dataclass(frozen=True, slots=True)
class LocalityState:
    """The cases of one locality: those open, and those closed that may recur. `counts` says what became of each episode."""

    records: Sequence[CaseRecord] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


def advance_episode(state: LocalityState, change: EpisodeChange, city: City) -> tuple[LocalityState, list[Told]]:
    """The locality after something happened to an episode. Said twice, it changes nothing the second time."""
    if change.scene not in city.scenes:
        return _count(state, "set_aside:scene removed"), []
    if change.kind is ChangeKind.BEGAN:
        return _began(_forget(state, change.at), change, city)
    for index, record in enumerate(state.records):
        sighting = record.sightings.get(change.place)
        same = record.case.scene == change.scene  # two scenes may look at one zone: their places have one name
        if same and sighting is not None and sighting.began_at == change.began_at and sighting.open:
            after, told = _changed(record, sighting, change)
            return _put(state, index, after), told
    return state, []


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
        return _put(state, index, after), told, ""
    return state, [], "no such case"


def delivered(state: LocalityState, command: Delivered) -> tuple[LocalityState, list[Told]]:
    """The locality after the dispatch system took a case: only the first notice changes the case."""
    for index, record in enumerate(state.records):
        case = record.case
        if case.id != command.case or case.posted_at is not None or command.event != _event_id(case.id, 1):
            continue
        stamps = dict(case.stamps) | {
            "filed": command.committed_at,
            "posted": command.posted_at,
            "acknowledged": command.acknowledged_at,
        }
        latency = (command.posted_at - stamps["captured"]).total_seconds()
        after = replace(
            case,
            state=CaseState.DISPATCHED if case.state is CaseState.FILED else case.state,
            posted_at=command.posted_at,
            external_id=command.external_id,
            stamps=stamps,
            latency_s=latency,
        )
        dispatched, told = _tell(record, after, CaseEventType.DISPATCHED, command.at, cause=command.id)
        return _put(state, index, dispatched), [replace(each, dispatch=False) for each in told]
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
    case = replace(record.case, evidence=_evidence(record.case, [command.clip]))
    if not case.state.is_open:
        return state, [], f"a clip came when the case was already {case.state}"
    if case.evidence == record.case.evidence:
        return state, [], ""
    after, told = _tell(record, case, CaseEventType.STATUS, command.at, cause=command.id)
    return _put(state, index, after), told, ""


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
            after, said = _tell(record, closed, CaseEventType.CLOSED, at)
        elif (light := light_at(case, at)) is not case.light:
            after, said = _tell(record, replace(case, light=light), CaseEventType.STATUS, at)
        else:
            continue
        told += said
        state = _put(state, index, after)
    return state, told


def withdraw(
    state: LocalityState, *, key: str, at: datetime, city: City, cause: str
) -> tuple[LocalityState, list[Told]]:
    """The locality, whose key this is, under another configuration: what is no longer watched cannot be said to be gone.

    Its case says so and waits for people; where another camera still sees the thing, that one goes on telling of it.
    """
    told: list[Told] = []
    for index, record in enumerate(state.records):
        why = {
            place: reason
            for place, sighting in record.sightings.items()
            if sighting.open and (reason := unwatched(city, record.case.scene, place, locality=key))
        }
        if not why:
            continue
        sightings = {
            place: replace(each, open=False, blind=True) if place in why else each
            for place, each in record.sightings.items()
        }
        after = replace(record, sightings=sightings)
        if record.case.state.is_open and all(each.blind or not each.open for each in sightings.values()):
            unseen_since = record.case.unseen_since or at
            case = replace(record.case, unseen_since=unseen_since, reason=next(iter(why.values())))
            after, said = _tell(after, case, CaseEventType.STATUS, at, cause=cause)
            told += said
        state = _put(state, index, after)
    return state, told


def light_at(case: Case, at: datetime) -> Light:
    """Green below 80 % of the time allowed, yellow to 100 %, red beyond."""
    if case.due_at is None:
        return Light.GREEN
    used = (at - case.filed_at) / (case.due_at - case.filed_at)
    return Light.RED if used > 1 else Light.YELLOW if used >= 0.8 else Light.GREEN


def case_id(scene: str, place: str, began_at: datetime) -> str:
    """A case's id, derived from scene, place and the instant the episode began: 80 bits, in base 32."""
    digest = hashlib.sha256(f"{scene}|{place}|{iso(began_at)}".encode()).digest()
    return f"case-{base64.b32encode(digest[:10]).decode().lower()}"


def _event_id(case: str, version: int) -> str:
    return f"{case}-{version}"


def _began(state: LocalityState, change: EpisodeChange, city: City) -> tuple[LocalityState, list[Told]]:
    scene = city.scenes[change.scene]
    identity = case_id(change.scene, change.place, change.began_at)
    if any(record.case.id == identity or _knows(record, change) for record in state.records):
        return state, []  # said before
    per_object = scene.rule.per_object
    mine = [
        index
        for index, record in enumerate(state.records)
        if record.case.state.is_open and same_problem(record, change, per_object=per_object, grouping=scene.file.group)
    ]
    if mine:
        index = min(mine, key=lambda i: _distance(state.records[i], change))
        record, told = _merged(state.records[index], change)
        return _count(_put(state, index, record), "merged"), told
    before = [record for record in state.records if same_spot(record, change, per_object=per_object)]
    quiet = scene.file.case.quiet_after_reject
    if any(record.rejected_at and change.at - record.rejected_at < quiet for record in before):
        return _count(state, "suppressed:rejected before"), []
    record, told = _filed(change, scene, city, recurrence_of=latest(before))
    return _count(LocalityState([*state.records, record], state.counts), "filed"), told


def _filed(
    change: EpisodeChange, scene: Scene, city: City, *, recurrence_of: CaseRecord | None
) -> tuple[CaseRecord, list[Told]]:
    camera = city.cameras[change.camera]
    filed_at = max([change.at, *change.stamps.values()])
    decision = decide(scene, camera, filed_at, routes=city.routes)
    case = Case(
        id=case_id(change.scene, change.place, change.began_at),
        scene=scene.id,
        code=scene.file.case.code,
        title=scene.file.title,
        severity=scene.file.case.severity,
        state=CaseState.FILED,
        cameras=(change.camera,),
        zone=change.zone,
        place=change.place,
        locality=change.locality,
        grid_cell=camera.grid_cell,
        location=change.ground or camera.location,
        began_at=change.began_at,
        confirmed_at=change.at,
        filed_at=filed_at,
        due_at=decision.due_at,
        label=change.label,
        confidence=change.confidence,
        observed_s=change.observed_s,
        assumed_s=change.assumed_s,
        unseen_s=change.unseen_s,
        stamps={**change.stamps, "filed": filed_at},
        evidence=change.evidence,
        unit=decision.unit,
        reason=decision.reason.value,
        note=decision.note,
        recurrence_of=recurrence_of.case.id if recurrence_of else None,
        trial=not decision.dispatch and decision.reason.value == "trial",
        model=change.model,
        config=city.revision,
    )
    record = CaseRecord(case, {change.place: _sighting(change)}, decision.dispatch)
    return _tell(record, case, CaseEventType.FILED, filed_at)


def _merged(record: CaseRecord, change: EpisodeChange) -> tuple[CaseRecord, list[Told]]:
    case = record.case
    cameras = case.cameras if change.camera in case.cameras else (*case.cameras, change.camera)
    after = replace(
        case,
        cameras=cameras,
        confidence=max(case.confidence, change.confidence),
        evidence=_evidence(case, change.evidence),
        present=True,
        cleared_at=None,
        unseen_since=None,
        reason="seen by another camera" if change.place not in record.sightings else "back again",
    )
    record = replace(record, sightings={**record.sightings, change.place: _sighting(change)})
    return _tell(record, after, CaseEventType.MERGED, change.at)


def _changed(record: CaseRecord, sighting: Sighting, change: EpisodeChange) -> tuple[CaseRecord, list[Told]]:
    """An episode of a case ended, or can no longer be seen, or can again."""
    over = change.kind is ChangeKind.ENDED
    sighting = replace(sighting, open=not over, blind=change.kind is ChangeKind.UNSEEN, box=change.box or sighting.box)
    sightings = {**record.sightings, change.place: sighting}
    record = replace(record, sightings=sightings)
    case = replace(
        record.case,
        observed_s=max(record.case.observed_s, change.observed_s),
        assumed_s=max(record.case.assumed_s, change.assumed_s),
        unseen_s=max(record.case.unseen_s, change.unseen_s),
    )
    still = [each for each in sightings.values() if each.open]
    if over and not still:
        case = replace(
            case,
            present=False,
            cleared_at=change.at,
            unseen_since=None,
            evidence=_evidence(case, change.evidence),
            reason=change.reason,
        )
        if not case.state.is_open:  # nobody is told, but should it be reopened it must not say that the thing is there
            return replace(record, case=case), []
        return _tell(record, case, CaseEventType.CLEARED, change.at)
    blind = bool(still) and all(each.blind for each in still)
    if blind == (case.unseen_since is not None) or not case.state.is_open:
        return replace(record, case=case), []
    after = replace(case, unseen_since=change.at if blind else None, reason=change.reason if blind else "seen again")
    return _tell(record, after, CaseEventType.STATUS, change.at)


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
    return _tell(replace(record, rejected_at=rejected_at, done=done), case, kind, command.at, cause=command.id)


def _tell(
    record: CaseRecord, case: Case, kind: CaseEventType, at: datetime, *, cause: str | None = None
) -> tuple[CaseRecord, list[Told]]:
    case = replace(case, version=record.case.version + 1)
    event = CaseEvent(_event_id(case.id, case.version), kind, case, at, cause)
    return replace(record, case=case), [Told(event, record.dispatch)]


def _sighting(change: EpisodeChange) -> Sighting:
    return Sighting(change.camera, change.began_at, change.box, change.ground, change.shared_place)


def _knows(record: CaseRecord, change: EpisodeChange) -> bool:
    sighting = record.sightings.get(change.place)
    return record.case.scene == change.scene and sighting is not None and sighting.began_at >= change.began_at


def _distance(record: CaseRecord, change: EpisodeChange) -> tuple[bool, float, float]:
    """Orders the cases an episode may belong to: its own place first, then the nearest, then the one filed last."""
    grounds = [each.ground for each in record.sightings.values() if each.ground and change.ground]
    nearest = min((metres_between(each, change.ground) for each in grounds if change.ground), default=0.0)
    return change.place not in record.sightings, nearest, -record.case.filed_at.timestamp()


def _evidence(case: Case, more: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """The first pictures and the newest ones, should there be too many; then the clips, of which the same holds."""
    known = {each.ref for each in case.evidence}
    found = [*case.evidence, *(each for each in more if each.ref not in known)]
    pictures = [each for each in found if each.kind is EvidenceKind.PICTURE]
    # In the order of the data, not of arrival: a clip that was dropped and comes again is dropped again.
    clips = sorted((each for each in found if each.kind is EvidenceKind.CLIP), key=lambda each: each.captured_at)
    return (*_first_and_newest(pictures, 2, MOST_PICTURES), *_first_and_newest(clips, 1, MOST_CLIPS))


def _first_and_newest(found: Sequence[Evidence], first: int, most: int) -> Sequence[Evidence]:
    return [*found[:first], *found[first:][-(most - first) :]]


def _forget(state: LocalityState, at: datetime) -> LocalityState:
    kept = [
        record
        for record in state.records
        if record.case.state.is_open or record.present or at - (record.case.closed_at or at) < REMEMBER
    ]
    return LocalityState(kept, state.counts)


def _put(state: LocalityState, index: int, record: CaseRecord) -> LocalityState:
    records = list(state.records)
    records[index] = record
    return LocalityState(records, state.counts)


def _count(state: LocalityState, outcome: str) -> LocalityState:
    return LocalityState(state.records, {**state.counts, outcome: state.counts.get(outcome, 0) + 1})
