"""What becomes of a report from the hotline, an inspector or a sensor: part of a case that it is near, or a case of its own.

What people report is added to the case and nothing more: they say that it is there, and nobody would say when it is over. A
sensor watches, as a camera does: what it tells is a sighting, which its `ended` clears.
"""

from __future__ import annotations

from dataclasses import replace

from citybrain.domain.case import CaseEventType, Origin
from citybrain.domain.command import Reported
from citybrain.domain.episode import ChangeKind, EpisodeChange
from pipeline.cases.episodes import advance_episode, file_case, sighting_of
from pipeline.cases.records import LocalityState, Told, case_id, count, forget, put, tell, with_evidence
from pipeline.city import City
from pipeline.grouping import CaseRecord, metres_from, recurred
from pipeline.scene import Scene, Status

MOST_REPORTS = 50
"""How many reports a case shows, the newest: a flooded square is reported by hundreds."""
_FAR = float("inf")


def report(state: LocalityState, command: Reported, city: City) -> tuple[LocalityState, list[Told], str]:
    """The locality after a report; the word says why nothing can come of it. Said twice, it changes nothing."""
    scene = city.scenes.get(command.scene)
    if scene is None or scene.file.status is Status.DRAFT:
        return state, [], f"no scene {command.scene!r} is looked for"
    if command.ended:
        return *_over(state, command, city), ""
    if any(_knows(record, command) for record in state.records):
        return state, [], ""
    state = forget(state, command.at, city)
    metres = [_metres(record, command, scene) for record in state.records]
    near = [index for index, each in enumerate(metres) if each <= scene.file.group.reach_m]
    elsewhere = {state.records[index].case.merged_into for index in near}
    mine = [
        index
        for index, record in enumerate(state.records)
        if record.case.state.is_open and (index in near or record.case.id in elsewhere)
    ]
    if mine:
        index = min(mine, key=lambda i: (metres[i], -i))  # the nearest, and of those the one filed last
        record, told = _merged(state.records[index], command)
        return count(put(state, index, record), "reported:merged") if told else state, told, ""
    before = [state.records[index] for index in near]
    quiet = scene.file.case.quiet_after_reject
    nothing = any(record.rejected_at and command.at - record.rejected_at < quiet for record in before)
    if nothing and command.report.origin is Origin.SENSOR:  # people who say it again may know better
        return count(state, "suppressed:rejected before"), [], ""
    if scene.rule.per_object:  # another car in that street is no recurrence
        before = [record for record in before if command.place in record.sightings]
    change = _change(command, ChangeKind.BEGAN)
    recurrence_of = recurred(before, command.at, within=scene.file.case.recurs_within)
    record, told = file_case(change, scene, city, recurrence_of=recurrence_of, reported=command)
    return count(LocalityState([*state.records, record], state.counts), "reported:filed"), told, ""


def _merged(record: CaseRecord, command: Reported) -> tuple[CaseRecord, list[Told]]:
    case = record.case
    reports = tuple(sorted((*case.reports, command.report), key=lambda each: (each.at, each.id))[-MOST_REPORTS:])
    if command.report not in reports:
        return record, []  # older than as many as are shown: it may have been among those that no longer are
    after = replace(
        case,
        reports=reports,
        evidence=with_evidence(case, command.evidence),
        reason=f"reported: {command.report.origin}",
        note="",
        actor=command.actor,
    )
    sensed = command.report.origin is Origin.SENSOR
    if sensed or (case.cleared_at and command.report.at > case.cleared_at):
        after = replace(after, present=True, cleared_at=None)
    if sensed:
        sighting = sighting_of(_change(command, ChangeKind.BEGAN))
        record = replace(record, sightings={**record.sightings, command.place: sighting})
        after = replace(after, unseen_since=None)
    return tell(record, after, CaseEventType.MERGED, command.at, cause=command.id)


def _over(state: LocalityState, command: Reported, city: City) -> tuple[LocalityState, list[Told]]:
    """The sensor says that it is over: of the episode that it has open, if it has one."""
    for record in state.records:
        sighting = record.sightings.get(command.place)
        if sighting is not None and sighting.open and record.case.scene == command.scene:
            ended = replace(_change(command, ChangeKind.ENDED), began_at=sighting.began_at)
            return advance_episode(state, ended, city)
    return state, []


def _change(command: Reported, kind: ChangeKind) -> EpisodeChange:
    """The report as an episode of a place that no camera sees."""
    return EpisodeChange(
        kind=kind,
        scene=command.scene,
        camera="",
        zone="",
        place=command.place,
        locality=command.locality,
        began_at=command.report.at,
        at=command.at,
        label=command.label,
        confidence=1.0,
        box=None,
        observed_s=0.0,
        assumed_s=0.0,
        unseen_s=0.0,
        reason="gone" if kind is ChangeKind.ENDED else "",
        ground=command.location,
        evidence=command.evidence,
        stamps={"received": command.at, "confirmed": command.at},
    )


def _knows(record: CaseRecord, command: Reported) -> bool:
    """Whether the case was told this before: the report itself, or a later one of the same sensor."""
    case, said = record.case, command.report
    if case.scene != command.scene:
        return False
    sighting = record.sightings.get(command.place)
    if sighting is not None and sighting.began_at >= said.at:
        return True
    itself = case.id == case_id(command.scene, command.place, said.at)
    return itself or any(each.id == said.id for each in case.reports)


def _metres(record: CaseRecord, command: Reported, scene: Scene) -> float:
    if record.case.scene != command.scene:
        return _FAR
    if command.place in record.sightings:
        return -1.0  # the sensor's own case, before any other
    return metres_from(record, command.location, per_object=scene.rule.per_object)
