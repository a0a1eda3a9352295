"""Topic `commands`: what people, the dispatch system, ingest and the clock ask of the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from citybrain.clock import iso
from citybrain.domain.case import CaseAction
from citybrain.domain.command import Act, Command, Configured, Delivered, Filmed, Tick
from citybrain.errors import Unreadable
from citybrain.wire.evidence import evidence_fields, read_evidence
from citybrain.wire.fields import VERSION, dumps, instant_of, loads, maybe, need, one_of, versioned

COMMANDS = "commands"


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
    elif isinstance(command, Filmed):
        written |= {
            "scene": command.scene,
            "place": command.place,
            "locality": command.locality,
            "began_at": iso(command.began_at),
            "confirmed_at": iso(command.confirmed_at),
            "clip": evidence_fields(command.clip),
        }
    elif isinstance(command, Configured):
        written["revision"] = command.revision
    return dumps(written)


_KINDS: Mapping[type, str] = {
    Act: "action",
    Configured: "configured",
    Delivered: "delivered",
    Filmed: "filmed",
    Tick: "tick",
}


def read_command(raw: bytes | str) -> Command:
    fields = versioned(loads(raw))
    kind, command_id = need(fields, "kind", str), need(fields, "id", str)
    if kind == "tick":
        return Tick(command_id, instant_of(fields, "at"))
    if kind == "configured":
        return Configured(command_id, instant_of(fields, "at"), need(fields, "revision", str))
    if kind == "action":
        return Act(
            id=command_id,
            case=need(fields, "case", str),
            locality=need(fields, "locality", str),
            action=one_of(fields, "action", CaseAction),
            actor=need(fields, "actor", str),
            at=instant_of(fields, "at"),
            reason=maybe(fields, "reason", str) or "",
            note=maybe(fields, "note", str) or "",
        )
    if kind == "delivered":
        return Delivered(
            id=command_id,
            case=need(fields, "case", str),
            locality=need(fields, "locality", str),
            event=need(fields, "event", str),
            committed_at=instant_of(fields, "committed_at"),
            posted_at=instant_of(fields, "posted_at"),
            acknowledged_at=instant_of(fields, "acknowledged_at"),
            external_id=maybe(fields, "external_id", str),
        )
    if kind == "filmed":
        return Filmed(
            id=command_id,
            scene=need(fields, "scene", str),
            place=need(fields, "place", str),
            locality=need(fields, "locality", str),
            began_at=instant_of(fields, "began_at"),
            confirmed_at=instant_of(fields, "confirmed_at"),
            clip=read_evidence(need(fields, "clip", dict)),
            at=instant_of(fields, "at"),
        )
    raise Unreadable(f"kind: expected {', '.join(_KINDS.values())}, got {kind!r}")
