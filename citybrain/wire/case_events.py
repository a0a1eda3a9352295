"""Topic `case-events`: facts about cases as CloudEvents 1.0, and a case as events, the HTTP API and stored states show it."""

from __future__ import annotations

from typing import Any

from citybrain.clock import iso
from citybrain.domain.camera import Text
from citybrain.domain.case import Case, CaseEvent, CaseEventType, CaseState, Light, Origin, Report
from citybrain.domain.geometry import Point
from citybrain.errors import Unreadable
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
    maybe_number,
    need,
    one_of,
    stamps_of,
    versioned,
)

CASE_EVENTS = "case-events"


def write_case_event(event: CaseEvent) -> bytes:
    """A CloudEvent in structured JSON mode; `subject` is the case, `data` the case after the event."""
    written = {
        "specversion": "1.0",
        "id": event.id,
        "type": event.type.value,
        "source": _source(event.case),
        "subject": event.case.id,
        "time": iso(event.at),
        "datacontenttype": "application/json",
        "data": case_fields(event.case),
    }
    if event.cause:
        written["cause"] = event.cause
    return dumps(written)


def _source(case: Case) -> str:
    """Who found it: the camera that saw it first, else who reported it."""
    return f"/citybrain/cameras/{case.cameras[0]}" if case.cameras else f"/citybrain/reports/{case.origin}"


def read_case_event(raw: bytes | str) -> CaseEvent:
    fields = loads(raw)
    if fields.get("specversion") != "1.0":
        raise Unreadable(f"specversion: expected '1.0', got {fields.get('specversion')!r}")
    return CaseEvent(
        id=need(fields, "id", str),
        type=one_of(fields, "type", CaseEventType),
        case=read_case(need(fields, "data", dict)),
        at=instant_of(fields, "time"),
        cause=maybe(fields, "cause", str),
    )


def case_fields(case: Case) -> dict[str, Any]:
    """A case as JSON fields, as events, the HTTP API and the stored state show it."""
    return {
        "v": VERSION,
        "id": case.id,
        "scene": case.scene,
        "code": case.code,
        "title": case.title.as_dict(),
        "severity": case.severity,
        "state": case.state.value,
        "cameras": list(case.cameras),
        "zone": case.zone,
        "place": case.place,
        "locality": case.locality,
        "grid_cell": case.grid_cell,
        "location": location_fields(case.location),
        "label": case.label,
        "confidence": round(case.confidence, 4),
        "began_at": iso(case.began_at),
        "confirmed_at": iso(case.confirmed_at),
        "filed_at": iso(case.filed_at),
        "posted_at": maybe_iso(case.posted_at),
        "due_at": maybe_iso(case.due_at),
        "cleared_at": maybe_iso(case.cleared_at),
        "closed_at": maybe_iso(case.closed_at),
        "unseen_since": maybe_iso(case.unseen_since),
        "present": case.present,
        "judged": case.judged,
        "light": case.light.value,
        "stamps": {name: iso(at) for name, at in case.stamps.items()},
        "latency_s": None if case.latency_s is None else round(case.latency_s, 3),
        "observed_s": round(case.observed_s, 3),
        "assumed_s": round(case.assumed_s, 3),
        "unseen_s": round(case.unseen_s, 3),
        "evidence": [evidence_fields(each) for each in case.evidence],
        "unit": case.unit,
        "external_id": case.external_id,
        "reason": case.reason,
        "note": case.note,
        "actor": case.actor,
        "recurrence_of": case.recurrence_of,
        "merged_into": case.merged_into,
        "origin": case.origin.value,
        "reports": [report_fields(each) for each in case.reports],
        "warn_at": maybe_iso(case.warn_at),
        "accepted_at": maybe_iso(case.accepted_at),
        "arrived_at": maybe_iso(case.arrived_at),
        "done_at": maybe_iso(case.done_at),
        "verified_at": maybe_iso(case.verified_at),
        "escalation": case.escalation,
        "escalated_to": case.escalated_to,
        "silenced": case.silenced,
        "undoable": case.undoable,
        "trial": case.trial,
        "model": case.model,
        "config": case.config,
        "version": case.version,
    }


def location_fields(location: Point | None) -> dict[str, Any] | None:
    if location is None:
        return None
    return {"lon": round(location[0], 7), "lat": round(location[1], 7), "crs": "EPSG:4326"}


def report_fields(report: Report) -> dict[str, Any]:
    return {
        "id": report.id,
        "origin": report.origin.value,
        "at": iso(report.at),
        "words": report.words,
        "reference": report.reference,
        "location": location_fields(report.location),
    }


def read_report(fields: Fields) -> Report:
    return Report(
        id=need(fields, "id", str),
        origin=one_of(fields, "origin", Origin),
        at=instant_of(fields, "at"),
        words=maybe(fields, "words", str) or "",
        reference=maybe(fields, "reference", str),
        location=read_location(fields),
    )


def read_case(fields: Fields) -> Case:
    versioned(fields)
    title = need(fields, "title", dict)
    return Case(
        id=need(fields, "id", str),
        scene=need(fields, "scene", str),
        code=need(fields, "code", str),
        title=Text(need(title, "zh", str), need(title, "en", str)),
        severity=need(fields, "severity", str),
        state=one_of(fields, "state", CaseState),
        cameras=_cameras(fields),
        zone=need(fields, "zone", str),
        place=need(fields, "place", str),
        locality=need(fields, "locality", str),
        grid_cell=maybe(fields, "grid_cell", str),
        location=read_location(fields),
        label=need(fields, "label", str),
        confidence=maybe_number(fields, "confidence") or 0.0,
        began_at=instant_of(fields, "began_at"),
        confirmed_at=instant_of(fields, "confirmed_at"),
        filed_at=instant_of(fields, "filed_at"),
        posted_at=maybe_instant(fields, "posted_at"),
        due_at=maybe_instant(fields, "due_at"),
        cleared_at=maybe_instant(fields, "cleared_at"),
        closed_at=maybe_instant(fields, "closed_at"),
        unseen_since=maybe_instant(fields, "unseen_since"),
        present=flag(fields, "present", default=True),
        judged=maybe(fields, "judged", str),
        light=one_of(fields, "light", Light),
        stamps=stamps_of(fields),
        latency_s=maybe_number(fields, "latency_s"),
        observed_s=maybe_number(fields, "observed_s") or 0.0,
        assumed_s=maybe_number(fields, "assumed_s") or 0.0,
        unseen_s=maybe_number(fields, "unseen_s") or 0.0,
        evidence=tuple(read_evidence(each) for each in need(fields, "evidence", list)),
        unit=maybe(fields, "unit", str),
        external_id=maybe(fields, "external_id", str),
        reason=maybe(fields, "reason", str) or "",
        note=maybe(fields, "note", str) or "",
        actor=maybe(fields, "actor", str) or "",
        recurrence_of=maybe(fields, "recurrence_of", str),
        merged_into=maybe(fields, "merged_into", str),
        origin=one_of(fields, "origin", Origin) if "origin" in fields else Origin.CAMERA,
        reports=tuple(read_report(each) for each in maybe(fields, "reports", list) or ()),
        warn_at=maybe_instant(fields, "warn_at"),
        accepted_at=maybe_instant(fields, "accepted_at"),
        arrived_at=maybe_instant(fields, "arrived_at"),
        done_at=maybe_instant(fields, "done_at"),
        verified_at=maybe_instant(fields, "verified_at"),
        escalation=maybe(fields, "escalation", int) or 0,
        escalated_to=maybe(fields, "escalated_to", str),
        silenced=maybe(fields, "silenced", str),
        undoable=maybe(fields, "undoable", str),
        trial=flag(fields, "trial", default=False),
        model=maybe(fields, "model", str),
        config=maybe(fields, "config", str),
        version=need(fields, "version", int),
    )


def _cameras(fields: Fields) -> tuple[str, ...]:
    cameras = need(fields, "cameras", list)
    if not all(isinstance(each, str) for each in cameras):
        raise Unreadable(f"cameras: expected names, got {cameras!r}")
    return tuple(cameras)


def read_location(fields: Fields) -> Point | None:
    location = maybe(fields, "location", dict)
    if location is None:
        return None
    lon, lat = maybe_number(location, "lon"), maybe_number(location, "lat")
    if lon is None or lat is None:
        raise Unreadable(f"location: expected lon and lat, got {location!r}")
    return lon, lat
