"""The case events as an AsyncAPI 3.0 document: what is told, over which ways, and how a reader goes on after a cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from citybrain.domain.case import CaseEventType
from events_api.schemas import CaseEvent

_SAID: Mapping[CaseEventType, str] = {
    CaseEventType.FILED: "A problem was confirmed and is a case now.",
    CaseEventType.MERGED: "Another camera, a report or another case turned out to be the same problem.",
    CaseEventType.DISPATCHED: "The dispatch system has taken it.",
    CaseEventType.STATUS: "Something about it changed: its state, its light, what can be seen of it.",
    CaseEventType.CLEARED: "The thing was seen to be gone.",
    CaseEventType.VERIFIED: "The unit said that it is done, and a camera has seen that it is.",
    CaseEventType.ESCALATED: "It was handed up the tree of areas, or made more urgent.",
    CaseEventType.CLOSED: "It is over.",
    CaseEventType.REJECTED: "It was judged to be no problem.",
    CaseEventType.REOPENED: "It was closed or rejected, and is open again.",
}
_FILTERS: Mapping[str, str] = {
    "after": "cursor of the last event that was dealt with; 0 is the beginning, none is now",
    "scene": "of these scenes only",
    "type": "of these types only",
    "severity": "of cases of these severities only",
    "grid_cell": "of cases in this grid cell, or in those whose codes begin so",
    "area": "of cases in this area",
}
_WAYS: Mapping[str, tuple[str, str, str]] = {
    "stream": (
        "/v1/events/stream",
        "http",
        "Server-sent events; `id` is the cursor, `Last-Event-ID` resumes. A comment with an id comes each 15 s.",
    ),
    "socket": (
        "/v1/events/ws",
        "ws",
        "WebSocket; each message is {cursor, event}, or {cursor} alone each 15 s. `after` resumes.",
    ),
}


_FOLLOWED: Mapping[str, Any] = {
    "name": "followed",
    "title": "Followed",
    "summary": "An event with its cursor; without an event, how far the cursor has moved past what the filter left out.",
    "contentType": "application/json",
    "payload": {
        "type": "object",
        "required": ["cursor"],
        "properties": {"cursor": {"type": "string"}, "event": {"$ref": "#/components/schemas/CaseEvent"}},
    },
}


def document(*, version: str, host: str) -> dict[str, Any]:
    """The document for a server that is reached as `host` (with its port)."""
    schemas = CaseEvent.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = schemas.pop("$defs")
    # The cursor is the way's, not the event's: an `id` line, a field beside it, nothing at all.
    del schemas["properties"]["cursor"]
    schemas["required"].remove("cursor")
    messages = {each.name.lower(): _message(each) for each in CaseEventType}
    every = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}
    carried = {"stream": every, "socket": {"followed": {"$ref": "#/components/messages/followed"}}}
    channels: dict[str, Any] = {
        name: {
            "address": address,
            "title": name,
            "description": said,
            "servers": [{"$ref": f"#/servers/{protocol}"}],
            "messages": carried[name],
            "x-query": dict(_FILTERS),
        }
        for name, (address, protocol, said) in _WAYS.items()
    }
    channels["webhook"] = {
        "address": None,
        "title": "webhook",
        "description": (
            "POST to the dispatch system and to each subscription (POST /v1/subscriptions), signed as Standard Webhooks says:"
            " at least once, in order per case, with `webhook-id` the same at every attempt."
        ),
        "messages": every,
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "citybrain case events",
            "version": version,
            "description": "Facts about governance cases as CloudEvents 1.0. An event's id is derived from case and version:"
            " a repeat is known by it.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "http": {"host": host, "protocol": "http", "security": [{"$ref": "#/components/securitySchemes/key"}]},
            "ws": {"host": host, "protocol": "ws", "security": [{"$ref": "#/components/securitySchemes/key"}]},
        },
        "channels": channels,
        "operations": {
            f"tellBy{name.capitalize()}": {"action": "send", "channel": {"$ref": f"#/channels/{name}"}}
            for name in channels
        },
        "components": {
            "messages": {**messages, "followed": _FOLLOWED},
            "schemas": {**definitions, "CaseEvent": schemas},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "a key of `citybrain keys add`, where there are any",
                }
            },
        },
    }


def _message(type: CaseEventType) -> dict[str, Any]:
    return {
        "name": type.value,
        "title": type.name.capitalize(),
        "summary": _SAID[type],
        "contentType": "application/cloudevents+json",
        "payload": {
            "allOf": [
                {"$ref": "#/components/schemas/CaseEvent"},
                {"type": "object", "properties": {"type": {"const": type.value}}},
            ]
        },
    }
