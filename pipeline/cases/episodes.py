"""What becomes of an episode that began, ended or can no longer be seen: a case of its own, or part of one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial

from citybrain.domain.case import Case, CaseEventType, CaseState, Origin
from citybrain.domain.command import Reported
from citybrain.domain.episode import ChangeKind, EpisodeChange
from citybrain.domain.geometry import Point, metres_between
from pipeline.cases.records import (
    LocalityState,
    Told,
    case_id,
    count,
    forget,
    put,
    tell,
    with_evidence,
)
from pipeline.cases.verification import answered, asked_anew, settled
from pipeline.city import City, unwatched
from pipeline.dispatch import decide
from pipeline.grouping import CaseRecord, Sighting, metres_from, recurred, same_problem, same_spot
from pipeline.routes import Spot
from pipeline.scene import Scene


def advance_episode(state: LocalityState, change: EpisodeChange, city: City) -> tuple[LocalityState, list[Told]]:
    """The locality after something happened to an episode. Said twice, it changes nothing the second time."""
    if change.scene not in city.scenes:
        return count(state, "set_aside:scene removed"), []
    if change.kind is ChangeKind.BEGAN:
        return _began(forget(state, change.at, city), change, city)
    if change.kind in (ChangeKind.SEEN_GONE, ChangeKind.STILL_THERE):
        return answered(state, change)
    for index, record in enumerate(state.records):
        sighting = record.sightings.get(change.place)
        same = record.case.scene == change.scene  # two scenes may look at one zone: their places have one name
        if same and sighting is not None and sighting.began_at == change.began_at and sighting.open:
            after, told = _changed(record, sighting, change)
            after, more = settled(after, change.at)
            return put(state, index, after), [*told, *more]
    if change.kind in (ChangeKind.UNSEEN, ChangeKind.SEEN_AGAIN):
        return answered(state, change)
    return state, []


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
            if sighting.open and sighting.camera and (reason := unwatched(city, record.case.scene, place, locality=key))
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
            after, said = tell(after, case, CaseEventType.STATUS, at, cause=cause)
            told += said
        state = put(state, index, after)
    return state, told


def _began(state: LocalityState, change: EpisodeChange, city: City) -> tuple[LocalityState, list[Told]]:
    scene = city.scenes[change.scene]
    identity = case_id(change.scene, change.place, change.began_at)
    if any(record.case.id == identity or _knows(record, change) for record in state.records):
        return state, []  # said before
    per_object = scene.rule.per_object
    location = change.ground or city.cameras[change.camera].location
    same = partial(same_problem, change=change, location=location, per_object=per_object, grouping=scene.file.group)
    mine = [index for index, record in enumerate(state.records) if record.case.state.is_open and same(record)]
    if mine:
        index = min(mine, key=lambda i: _distance(state.records[i], change, location))
        record, told = _merged(state.records[index], change)
        return count(put(state, index, record), "merged"), told
    for index, record in enumerate(state.records):
        if record.case.merged_into and record.present and same(record):  # another case is there for what still stands
            sightings = {**record.sightings, change.place: sighting_of(change)}
            return count(put(state, index, replace(record, sightings=sightings)), "merged"), []
    before = [record for record in state.records if same_spot(record, change, per_object=per_object)]
    quiet = scene.file.case.quiet_after_reject
    if any(record.rejected_at and change.at - record.rejected_at < quiet for record in before):
        return count(state, "suppressed:rejected before"), []
    recurrence_of = recurred(before, change.at, within=scene.file.case.recurs_within)
    record, told = file_case(change, scene, city, recurrence_of=recurrence_of)
    outcome = "filed:silenced" if record.case.silenced else "filed"
    return count(LocalityState([*state.records, record], state.counts), outcome), told


def file_case(
    change: EpisodeChange,
    scene: Scene,
    city: City,
    *,
    recurrence_of: str | None,
    reported: Reported | None = None,
) -> tuple[CaseRecord, list[Told]]:
    """A case of its own, of an episode that a camera saw or that was reported."""
    camera = city.cameras.get(change.camera)
    filed_at = max([change.at, *change.stamps.values()])
    cell = reported.grid_cell if reported else camera.grid_cell if camera else None
    decision = decide(scene, Spot(change.camera or None, cell), filed_at, city=city)
    case = Case(
        id=case_id(change.scene, change.place, change.began_at),
        scene=scene.id,
        code=scene.file.case.code,
        title=scene.file.title,
        severity=scene.file.case.severity,
        state=CaseState.FILED,
        cameras=(change.camera,) if change.camera else (),
        zone=change.zone,
        place=change.place,
        locality=change.locality,
        grid_cell=cell,
        location=change.ground or (camera.location if camera else None),
        began_at=change.began_at,
        confirmed_at=change.at,
        filed_at=filed_at,
        due_at=decision.due_at,
        warn_at=decision.warn_at,
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
        silenced=decision.silenced,
        actor=reported.actor if reported else "",
        origin=reported.report.origin if reported else Origin.CAMERA,
        reports=(reported.report,) if reported else (),
        recurrence_of=recurrence_of,
        trial=not decision.dispatch and decision.reason.value == "trial",
        model=change.model,
        config=city.revision,
    )
    watched = reported is None or reported.report.origin is Origin.SENSOR
    sightings = {change.place: sighting_of(change)} if watched else {}
    record = CaseRecord(case, sightings, decision.dispatch, pace=decision.pace)
    return tell(record, case, CaseEventType.FILED, filed_at, cause=reported.id if reported else None)


def _merged(record: CaseRecord, change: EpisodeChange) -> tuple[CaseRecord, list[Told]]:
    case = record.case
    cameras = case.cameras if change.camera in case.cameras else (*case.cameras, change.camera)
    again = "back again" if change.place in record.sightings else "seen by another camera"
    after = replace(
        case,
        cameras=cameras,
        zone=case.zone or change.zone,
        confidence=max(case.confidence, change.confidence),
        evidence=with_evidence(case, change.evidence),
        present=True,
        cleared_at=None,
        unseen_since=None,
        reason=again if case.cameras else "seen by a camera too",
    )
    record = replace(record, sightings={**record.sightings, change.place: sighting_of(change)})
    return tell(asked_anew(record, change.at), after, CaseEventType.MERGED, change.at)


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
            evidence=with_evidence(case, change.evidence),
            reason=change.reason,
        )
        if not case.state.is_open:  # nobody is told, but should it be reopened it must not say that the thing is there
            return replace(record, case=case), []
        return tell(record, case, CaseEventType.CLEARED, change.at)
    blind = bool(still) and all(each.blind for each in still)
    if blind == (case.unseen_since is not None) or not case.state.is_open:
        return replace(record, case=case), []
    after = replace(case, unseen_since=change.at if blind else None, reason=change.reason if blind else "seen again")
    return tell(record, after, CaseEventType.STATUS, change.at)


def sighting_of(change: EpisodeChange) -> Sighting:
    """The episode that began, as its case remembers it."""
    return Sighting(change.camera, change.began_at, change.box, change.ground, change.shared_place)


def _knows(record: CaseRecord, change: EpisodeChange) -> bool:
    sighting = record.sightings.get(change.place)
    return record.case.scene == change.scene and sighting is not None and sighting.began_at >= change.began_at


def _distance(record: CaseRecord, change: EpisodeChange, location: Point | None) -> tuple[bool, bool, float, float]:
    """Orders the cases an episode may belong to: its own place first, then those that cameras saw, then those that were
    reported, of each the nearest, and then the one filed last."""
    if record.case.cameras:
        grounds = [each.ground for each in record.sightings.values() if each.ground and change.ground]
        nearest = min((metres_between(each, change.ground) for each in grounds if change.ground), default=0.0)
    else:
        nearest = metres_from(record, location, per_object=True)
    return change.place not in record.sightings, not record.case.cameras, nearest, -record.case.filed_at.timestamp()
