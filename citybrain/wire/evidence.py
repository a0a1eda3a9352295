"""Evidence as cases and commands name it: a picture, or a clip, which says so and when it ends."""

from __future__ import annotations

from typing import Any

from citybrain.clock import iso
from citybrain.domain.episode import Evidence
from citybrain.errors import Unreadable
from citybrain.wire.fields import box_of, instant_of, maybe_instant, need


def evidence_fields(evidence: Evidence) -> dict[str, Any]:
    written: dict[str, Any] = {
        "ref": evidence.ref,
        "camera": evidence.camera,
        "captured_at": iso(evidence.captured_at),
        "role": evidence.role,
        "box": evidence.box.as_list() if evidence.box else None,
    }
    if evidence.until_at is not None:
        written |= {"kind": evidence.kind.value, "until_at": iso(evidence.until_at)}
    return written


def read_evidence(fields: Any) -> Evidence:
    if not isinstance(fields, dict):
        raise Unreadable(f"evidence: expected an object, got {fields!r}")
    return Evidence(
        ref=need(fields, "ref", str),
        camera=need(fields, "camera", str),
        captured_at=instant_of(fields, "captured_at"),
        role=need(fields, "role", str),
        box=box_of(fields, "evidence") if fields.get("box") is not None else None,
        until_at=maybe_instant(fields, "until_at"),
    )
