"""How messages look in JSON: versioned, readers ignore what they do not know, and what cannot be read says why.

Topics: `detections` (Detections), `commands` (Act, Delivered, Tick), `case-events` (CaseEvent as CloudEvents 1.0).
Every reader raises Unreadable naming the field, what was expected and what was found.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from citybrain.clock import instant, iso
from citybrain.domain.camera import Text
from citybrain.domain.case import Case, CaseAction, CaseEvent, CaseEventType, CaseState, Light
from citybrain.domain.command import Act, Command, Delivered, Tick
from citybrain.domain.detection import LOOK_SIDE, Detection, Detections, Looked, Usable
from citybrain.domain.episode import Evidence
from citybrain.domain.geometry import Box
from citybrain.errors import Unreadable

VERSION = 1
DETECTIONS, COMMANDS, CASE_EVENTS = "detections", "commands", "case-events"

_Fields = Mapping[str, Any]


def dumps(value: Any) -> bytes:
    """Compact JSON with keys in the order given: the same value always gives the same bytes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def loads(raw: bytes | str) -> dict[str, Any]:
    """A JSON object. Raises Unreadable for anything else."""
    try:
        text = raw.decode() if isinstance(raw, bytes) else raw
        value = json.loads(text)
        if "\\u" in text:
            dumps(value)  # half a surrogate pair is legal JSON that nobody could write again
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"expected JSON, got {raw[:60]!r} ({error})") from None
    if not isinstance(value, dict):
        raise Unreadable(f"expected a JSON object, got {type(value).__name__}")
    return value


# -- detections -------------------------------------------------------------------------------------------------------


def write_detections(seen: Detections) -> bytes:
    return dumps(
        {
            "v": VERSION,
            "camera": seen.camera,
            "captured_at": iso(seen.captured_at),
            "clock_ok": seen.clock_ok,
            "usable": seen.usable.value,
            "looked": seen.looked.value,
            "seq": seen.seq,
            "stamps": {name: iso(at) for name, at in seen.stamps.items()},
            "model": seen.model,
            "evidence": seen.evidence,
            "boxes": [_write_box(each) for each in seen.detections],
        }
    )


def _write_box(each: Detection) -> dict[str, Any]:
    written: dict[str, Any] = {
        "label": each.label,
        "confidence": round(each.confidence, 4),
        "box": each.box.as_list(),
    }
    if each.look is not None:
        written["look"] = base64.b64encode(each.look).decode()
    return written


def read_detections(raw: bytes | str) -> Detections:
    fields = _versioned(loads(raw))
    boxes = _need(fields, "boxes", list)
    return Detections(
        camera=_need(fields, "camera", str),
        captured_at=_instant(fields, "captured_at"),
        seq=_need(fields, "seq", int),
        usable=_one_of(fields, "usable", Usable),
        looked=_one_of(fields, "looked", Looked),
        clock_ok=_flag(fields, "clock_ok", default=True),
        stamps=_stamps(fields),
        model=_maybe(fields, "model", str),
        evidence=_maybe(fields, "evidence", str),
        detections=tuple(_read_box(each, f"boxes[{index}]") for index, each in enumerate(boxes)),
    )


def _read_box(each: Any, where: str) -> Detection:
    if not isinstance(each, dict):
        raise Unreadable(f"{where}: expected an object, got {each!r}")
    confidence = each.get("confidence")
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        raise Unreadable(f"{where}.confidence: expected 0..1, got {confidence!r}")
    label = each.get("label")
    if not isinstance(label, str):
        raise Unreadable(f"{where}.label: expected str, got {label!r}")
    return Detection(label, _written(confidence), _box(each, where), _look(each.get("look"), where))


def _box(each: _Fields, where: str) -> Box:
    corners = each.get("box")
    if not (isinstance(corners, list) and len(corners) == 4 and all(type(value) in (int, float) for value in corners)):
        raise Unreadable(f"{where}.box: expected four numbers, got {corners!r}")
    try:
        return Box(*(_written(value) for value in corners))
    except (ValueError, OverflowError) as error:
        raise Unreadable(f"{where}.box: {error}") from None


def _written(value: float) -> float:
    """As finely as it is written: a state that was stored and read again must be the state that was not."""
    return round(float(value), 4)


def _look(text: Any, where: str) -> bytes | None:
    if text is None:
        return None
    try:
        look = base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise Unreadable(f"{where}.look: expected base64, got {str(text)[:40]!r}") from None
    if len(look) != LOOK_SIDE * LOOK_SIDE:
        raise Unreadable(f"{where}.look: expected {LOOK_SIDE * LOOK_SIDE} bytes, got {len(look)}")
    return look


# -- commands ---------------------------------------------------------------------------------------------------------


def write_command(command: Command) -> bytes:
    written: dict[str, Any] = {"v": VERSION, "kind": _KINDS[type(command)], "id": command.id, "at": iso(command.at)}
    if isinstance(command, Act):
        written |= {
            "case": command.case,
            "locality": command.locality,
            "action": command.action.value,
            "actor": command.actor,
            "reason": command.reason,
            "note": command.note,
        }
    elif isinstance(command, Delivered):
        written |= {
            "case": command.case,
            "locality": command.locality,
            "event": command.event,
            "committed_at": iso(command.committed_at),
            "posted_at": iso(command.posted_at),
            "acknowledged_at": iso(command.acknowledged_at),
            "external_id": command.external_id,
        }
    return dumps(written)


_KINDS: Mapping[type, str] = {Act: "action", Delivered: "delivered", Tick: "tick"}


def read_command(raw: bytes | str) -> Command:
    fields = _versioned(loads(raw))
    kind, command_id = _need(fields, "kind", str), _need(fields, "id", str)
    if kind == "tick":
        return Tick(command_id, _instant(fields, "at"))
    if kind == "action":
        return Act(
            id=command_id,
            case=_need(fields, "case", str),
            locality=_need(fields, "locality", str),
            action=_one_of(fields, "action", CaseAction),
            actor=_need(fields, "actor", str),
            at=_instant(fields, "at"),
            reason=_maybe(fields, "reason", str) or "",
            note=_maybe(fields, "note", str) or "",
        )
    if kind == "delivered":
        return Delivered(
            id=command_id,
            case=_need(fields, "case", str),
            locality=_need(fields, "locality", str),
            event=_need(fields, "event", str),
            committed_at=_instant(fields, "committed_at"),
            posted_at=_instant(fields, "posted_at"),
            acknowledged_at=_instant(fields, "acknowledged_at"),
            external_id=_maybe(fields, "external_id", str),
        )
    raise Unreadable(f"kind: expected {', '.join(_KINDS.values())}, got {kind!r}")


# -- case events ------------------------------------------------------------------------------------------------------


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
        id=_need(fields, "id", str),
        type=_one_of(fields, "type", CaseEventType),
        case=read_case(_need(fields, "data", dict)),
        at=_instant(fields, "time"),
        cause=_maybe(fields, "cause", str),
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
        "posted_at": _iso(case.posted_at),
        "due_at": _iso(case.due_at),
        "cleared_at": _iso(case.cleared_at),
        "closed_at": _iso(case.closed_at),
        "unseen_since": _iso(case.unseen_since),
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


def read_case(fields: _Fields) -> Case:
    _versioned(fields)
    title = _need(fields, "title", dict)
    return Case(
        id=_need(fields, "id", str),
        scene=_need(fields, "scene", str),
        code=_need(fields, "code", str),
        title=Text(_need(title, "zh", str), _need(title, "en", str)),
        severity=_need(fields, "severity", str),
        state=_one_of(fields, "state", CaseState),
        cameras=_cameras(fields),
        zone=_need(fields, "zone", str),
        place=_need(fields, "place", str),
        locality=_need(fields, "locality", str),
        grid_cell=_maybe(fields, "grid_cell", str),
        location=_location(fields),
        label=_need(fields, "label", str),
        confidence=_maybe_number(fields, "confidence") or 0.0,
        began_at=_instant(fields, "began_at"),
        confirmed_at=_instant(fields, "confirmed_at"),
        filed_at=_instant(fields, "filed_at"),
        posted_at=_maybe_instant(fields, "posted_at"),
        due_at=_maybe_instant(fields, "due_at"),
        cleared_at=_maybe_instant(fields, "cleared_at"),
        closed_at=_maybe_instant(fields, "closed_at"),
        unseen_since=_maybe_instant(fields, "unseen_since"),
        present=_flag(fields, "present", default=True),
        judged=_maybe(fields, "judged", str),
        light=_one_of(fields, "light", Light),
        stamps=_stamps(fields),
        latency_s=_maybe_number(fields, "latency_s"),
        observed_s=_maybe_number(fields, "observed_s") or 0.0,
        assumed_s=_maybe_number(fields, "assumed_s") or 0.0,
        unseen_s=_maybe_number(fields, "unseen_s") or 0.0,
        evidence=tuple(read_evidence(each) for each in _need(fields, "evidence", list)),
        unit=_maybe(fields, "unit", str),
        external_id=_maybe(fields, "external_id", str),
        reason=_maybe(fields, "reason", str) or "",
        note=_maybe(fields, "note", str) or "",
        actor=_maybe(fields, "actor", str) or "",
        recurrence_of=_maybe(fields, "recurrence_of", str),
        trial=_flag(fields, "trial", default=False),
        model=_maybe(fields, "model", str),
        config=_maybe(fields, "config", str),
        version=_need(fields, "version", int),
    )


def evidence_fields(evidence: Evidence) -> dict[str, Any]:
    return {
        "ref": evidence.ref,
        "camera": evidence.camera,
        "captured_at": iso(evidence.captured_at),
        "role": evidence.role,
        "box": evidence.box.as_list() if evidence.box else None,
    }


def read_evidence(fields: Any) -> Evidence:
    if not isinstance(fields, dict):
        raise Unreadable(f"evidence: expected an object, got {fields!r}")
    return Evidence(
        ref=_need(fields, "ref", str),
        camera=_need(fields, "camera", str),
        captured_at=_instant(fields, "captured_at"),
        role=_need(fields, "role", str),
        box=_box(fields, "evidence") if fields.get("box") is not None else None,
    )


# -- fields -----------------------------------------------------------------------------------------------------------


def _versioned(fields: _Fields) -> _Fields:
    version = fields.get("v")
    if type(version) is not int or not 1 <= version <= VERSION:
        raise Unreadable(f"v: expected 1..{VERSION}, got {version!r}; a newer writer needs a newer reader")
    return fields


def _need(fields: _Fields, name: str, kind: type) -> Any:
    value = fields.get(name)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Unreadable(f"{name}: expected {kind.__name__}, got {value!r}")
    return value


def _maybe(fields: _Fields, name: str, kind: type) -> Any:
    return None if fields.get(name) is None else _need(fields, name, kind)


def _maybe_number(fields: _Fields, name: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
        raise Unreadable(f"{name}: expected a number, got {value!r}")
    return float(value)


def _flag(fields: _Fields, name: str, *, default: bool) -> bool:
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise Unreadable(f"{name}: expected true or false, got {value!r}")
    return value


def _cameras(fields: _Fields) -> tuple[str, ...]:
    cameras = _need(fields, "cameras", list)
    if not cameras or not all(isinstance(each, str) for each in cameras):
        raise Unreadable(f"cameras: expected one name at least, got {cameras!r}")
    return tuple(cameras)


def _location(fields: _Fields) -> tuple[float, float] | None:
    location = _maybe(fields, "location", dict)
    if location is None:
        return None
    lon, lat = _maybe_number(location, "lon"), _maybe_number(location, "lat")
    if lon is None or lat is None:
        raise Unreadable(f"location: expected lon and lat, got {location!r}")
    return lon, lat


def _one_of(fields: _Fields, name: str, kind: Any) -> Any:
    try:
        return kind(fields.get(name))
    except ValueError:
        raise Unreadable(f"{name}: expected {', '.join(kind)}, got {fields.get(name)!r}") from None


def _instant(fields: _Fields, name: str) -> datetime:
    try:
        at = instant(fields.get(name))  # type: ignore[arg-type]  # it raises ValueError for what is not text
    except ValueError as error:
        raise Unreadable(f"{name}: {error}") from None
    # As finely as it is written: a state that was stored and read again must be the state that was not.
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _maybe_instant(fields: _Fields, name: str) -> datetime | None:
    return None if fields.get(name) is None else _instant(fields, name)


def _stamps(fields: _Fields) -> dict[str, datetime]:
    stamps = _maybe(fields, "stamps", dict) or {}
    try:
        return {name: _instant(stamps, name) for name in stamps}
    except Unreadable as error:
        raise Unreadable(f"stamps.{error}") from None


def _iso(at: datetime | None) -> str | None:
    return None if at is None else iso(at)
