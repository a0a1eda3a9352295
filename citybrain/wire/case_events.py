"""Topic `case-events`: facts about cases as CloudEvents 1.0, and a case as events, the HTTP API and stored states show it."""

from __future__ import annotations

from typing import Any

from citybrain.clock import iso
from citybrain.domain.camera import Text
from citybrain.domain.case import Case, CaseEvent, CaseEventType, CaseState, Light
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
        "source": f"/citybrain/cameras/{event.case.cameras[0]}",
        "subject": event.case.id,
        "time": iso(event.at),
        "datacontenttype": "application/json",
        "data": case_fields(event.case),
    }
    if event.cause:
        written["cause"] = event.cause
    return dumps(written)


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
        "location": None
        if case.location is None
        else {"lon": round(case.location[0], 7), "lat": round(case.location[1], 7), "crs": "EPSG:4326"},
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
        "trial": case.trial,
        "model": case.model,
        "config": case.config,
        "version": case.version,
    }


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
        location=_location(fields),
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
        trial=flag(fields, "trial", default=False),
        model=maybe(fields, "model", str),
        config=maybe(fields, "config", str),
        version=need(fields, "version", int),
    )


def _cameras(fields: Fields) -> tuple[str, ...]:
    cameras = need(fields, "cameras", list)
    if not cameras or not all(isinstance(each, str) for each in cameras):
        raise Unreadable(f"cameras: expected one name at least, got {cameras!r}")
    return tuple(cameras)


def _location(fields: Fields) -> tuple[float, float] | None:
    location = maybe(fields, "location", dict)
    if location is None:
        return None
    lon, lat = maybe_number(location, "lon"), maybe_number(location, "lat")
    if lon is None or lat is None:
        raise Unreadable(f"location: expected lon and lat, got {location!r}")
    return lon, lat
