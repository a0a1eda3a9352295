"""Topic `commands`: what people, the dispatch system, ingest and the clock ask of the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from citybrain.clock import iso
from citybrain.domain.case import CaseAction
from citybrain.domain.command import (
    Absorb,
    Act,
    Command,
    Configured,
    Delivered,
    Filmed,
    LookAgain,
    Reported,
    Silence,
    Silenced,
    Tick,
)
from citybrain.domain.episode import Evidence
from citybrain.errors import Unreadable
from citybrain.wire.case_events import (
    case_fields,
    location_fields,
    read_case,
    read_location,
    read_report,
    report_fields,
)
from citybrain.wire.evidence import evidence_fields, read_evidence
from citybrain.wire.fields import (
    VERSION,
    Fields,
    dumps,
    flag,
    instant_of,
    loads,
    maybe,
    maybe_instant,
    maybe_iso,
    need,
    one_of,
    versioned,
)

COMMANDS = "commands"


def write_command(command: Command) -> bytes:
    head: dict[str, Any] = {"v": VERSION, "kind": _KINDS[type(command)], "id": command.id, "at": iso(command.at)}
    return dumps(head | _fields(command))


def read_command(raw: bytes | str) -> Command:
    fields = versioned(loads(raw))
    kind = need(fields, "kind", str)
    for known, name in _KINDS.items():
        if kind == name:
            return _READERS[known](fields, need(fields, "id", str), instant_of(fields, "at"))
    raise Unreadable(f"kind: expected {', '.join(_KINDS.values())}, got {kind!r}")


def _fields(command: Command) -> dict[str, Any]:
    match command:
        case Act():
            return {
                "case": command.case,
                "locality": command.locality,
                "action": command.action.value,
                "actor": command.actor,
                "reason": command.reason,
                "note": command.note,
                "unit": command.unit,
                "until": maybe_iso(command.until),
                "into": command.into,
                "into_locality": command.into_locality,
                "evidence": [evidence_fields(each) for each in command.evidence],
            }
        case Absorb():
            return {
                "case": command.case,
                "locality": command.locality,
                "other": case_fields(command.other),
                "actor": command.actor,
                "places": dict(command.places),
                "undone": command.undone,
            }
        case Reported():
            return {
                "scene": command.scene,
                "locality": command.locality,
                "place": command.place,
                "location": location_fields(command.location),
                "grid_cell": command.grid_cell,
                "report": report_fields(command.report),
                "actor": command.actor,
                "evidence": [evidence_fields(each) for each in command.evidence],
                "label": command.label,
                "ended": command.ended,
            }
        case LookAgain():
            return {
                "case": command.case,
                "locality": command.locality,
                "camera": command.camera,
                "scene": command.scene,
                "place": command.place,
                "asked_at": iso(command.asked_at),
            }
        case Silenced():
            return {"silence": silence_fields(command.silence)}
        case Delivered():
            return {
                "case": command.case,
                "locality": command.locality,
                "event": command.event,
                "committed_at": iso(command.committed_at),
                "posted_at": iso(command.posted_at),
                "acknowledged_at": iso(command.acknowledged_at),
                "external_id": command.external_id,
            }
        case Filmed():
            return {
                "scene": command.scene,
                "place": command.place,
                "locality": command.locality,
                "began_at": iso(command.began_at),
                "confirmed_at": iso(command.confirmed_at),
                "clip": evidence_fields(command.clip),
            }
        case Configured():
            return {"revision": command.revision}
        case Tick():
            return {}


def silence_fields(silence: Silence) -> dict[str, Any]:
    return {
        "id": silence.id,
        "since": iso(silence.since),
        "until": iso(silence.until),
        "author": silence.author,
        "reason": silence.reason,
        "scene": silence.scene,
        "camera": silence.camera,
        "grid_cell": silence.grid_cell,
    }


def read_silence(fields: Fields) -> Silence:
    return Silence(
        id=need(fields, "id", str),
        since=instant_of(fields, "since"),
        until=instant_of(fields, "until"),
        author=need(fields, "author", str),
        reason=need(fields, "reason", str),
        scene=maybe(fields, "scene", str),
        camera=maybe(fields, "camera", str),
        grid_cell=maybe(fields, "grid_cell", str),
    )


def _act(fields: Fields, id: str, at: datetime) -> Act:
    return Act(
        id=id,
        case=need(fields, "case", str),
        locality=need(fields, "locality", str),
        action=one_of(fields, "action", CaseAction),
        actor=need(fields, "actor", str),
        at=at,
        reason=maybe(fields, "reason", str) or "",
        note=maybe(fields, "note", str) or "",
        unit=maybe(fields, "unit", str),
        until=maybe_instant(fields, "until"),
        into=maybe(fields, "into", str),
        into_locality=maybe(fields, "into_locality", str),
        evidence=_evidence(fields),
    )


def _absorb(fields: Fields, id: str, at: datetime) -> Absorb:
    return Absorb(
        id=id,
        case=need(fields, "case", str),
        locality=need(fields, "locality", str),
        other=read_case(need(fields, "other", dict)),
        actor=need(fields, "actor", str),
        at=at,
        places=_places(fields),
        undone=flag(fields, "undone", default=False),
    )


def _reported(fields: Fields, id: str, at: datetime) -> Reported:
    return Reported(
        id=id,
        scene=need(fields, "scene", str),
        locality=need(fields, "locality", str),
        place=need(fields, "place", str),
        location=read_location(fields),
        grid_cell=maybe(fields, "grid_cell", str),
        report=read_report(need(fields, "report", dict)),
        actor=need(fields, "actor", str),
        at=at,
        evidence=_evidence(fields),
        label=maybe(fields, "label", str) or "report",
        ended=flag(fields, "ended", default=False),
    )


def _look_again(fields: Fields, id: str, at: datetime) -> LookAgain:
    return LookAgain(
        id=id,
        case=need(fields, "case", str),
        locality=need(fields, "locality", str),
        camera=need(fields, "camera", str),
        scene=need(fields, "scene", str),
        place=need(fields, "place", str),
        asked_at=instant_of(fields, "asked_at"),
        at=at,
    )


def _delivered(fields: Fields, id: str, _at: datetime) -> Delivered:
    return Delivered(
        id=id,
        case=need(fields, "case", str),
        locality=need(fields, "locality", str),
        event=need(fields, "event", str),
        committed_at=instant_of(fields, "committed_at"),
        posted_at=instant_of(fields, "posted_at"),
        acknowledged_at=instant_of(fields, "acknowledged_at"),
        external_id=maybe(fields, "external_id", str),
    )


def _filmed(fields: Fields, id: str, at: datetime) -> Filmed:
    return Filmed(
        id=id,
        scene=need(fields, "scene", str),
        place=need(fields, "place", str),
        locality=need(fields, "locality", str),
        began_at=instant_of(fields, "began_at"),
        confirmed_at=instant_of(fields, "confirmed_at"),
        clip=read_evidence(need(fields, "clip", dict)),
        at=at,
    )


def _places(fields: Fields) -> Mapping[str, str]:
    places = maybe(fields, "places", dict) or {}
    if not all(isinstance(camera, str) for camera in places.values()):
        raise Unreadable("places: expected the camera of each place")
    return places


def _evidence(fields: Fields) -> tuple[Evidence, ...]:
    return tuple(read_evidence(each) for each in maybe(fields, "evidence", list) or ())


_KINDS: Mapping[type, str] = {
    Absorb: "absorb",
    Act: "action",
    Configured: "configured",
    Delivered: "delivered",
    Filmed: "filmed",
    LookAgain: "look_again",
    Reported: "reported",
    Silenced: "silenced",
    Tick: "tick",
}
_READERS: Mapping[type, Callable[[Fields, str, datetime], Command]] = {
    Absorb: _absorb,
    Act: _act,
    Configured: lambda fields, id, at: Configured(id, at, need(fields, "revision", str)),
    Delivered: _delivered,
    Filmed: _filmed,
    LookAgain: _look_again,
    Reported: _reported,
    Silenced: lambda fields, id, at: Silenced(id, read_silence(need(fields, "silence", dict)), at),
    Tick: lambda _fields, id, at: Tick(id, at),
}
