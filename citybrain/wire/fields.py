"""The fields of a message: read one by one, each refusal naming the field, what was expected and what was found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from citybrain.clock import instant, iso
from citybrain.domain.geometry import Box
from citybrain.errors import Unreadable

VERSION = 1

Fields = Mapping[str, Any]


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


def versioned(fields: Fields) -> Fields:
    version = fields.get("v")
    if type(version) is not int or not 1 <= version <= VERSION:
        raise Unreadable(f"v: expected 1..{VERSION}, got {version!r}; a newer writer needs a newer reader")
    return fields


def need(fields: Fields, name: str, kind: type) -> Any:
    value = fields.get(name)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Unreadable(f"{name}: expected {kind.__name__}, got {value!r}")
    return value


def maybe(fields: Fields, name: str, kind: type) -> Any:
    return None if fields.get(name) is None else need(fields, name, kind)


def maybe_number(fields: Fields, name: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
        raise Unreadable(f"{name}: expected a number, got {value!r}")
    return float(value)


def flag(fields: Fields, name: str, *, default: bool) -> bool:
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise Unreadable(f"{name}: expected true or false, got {value!r}")
    return value


def one_of(fields: Fields, name: str, kind: Any) -> Any:
    try:
        return kind(fields.get(name))
    except ValueError:
        raise Unreadable(f"{name}: expected {', '.join(kind)}, got {fields.get(name)!r}") from None


def instant_of(fields: Fields, name: str) -> datetime:
    try:
        at = instant(fields.get(name))  # type: ignore[arg-type]  # it raises ValueError for what is not text
    except ValueError as error:
        raise Unreadable(f"{name}: {error}") from None
    # As finely as it is written: a state that was stored and read again must be the state that was not.
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def maybe_instant(fields: Fields, name: str) -> datetime | None:
    return None if fields.get(name) is None else instant_of(fields, name)


def stamps_of(fields: Fields) -> dict[str, datetime]:
    stamps = maybe(fields, "stamps", dict) or {}
    try:
        return {name: instant_of(stamps, name) for name in stamps}
    except Unreadable as error:
        raise Unreadable(f"stamps.{error}") from None


def maybe_iso(at: datetime | None) -> str | None:
    return None if at is None else iso(at)


def box_of(each: Fields, where: str) -> Box:
    corners = each.get("box")
    if not (isinstance(corners, list) and len(corners) == 4 and all(type(value) in (int, float) for value in corners)):
        raise Unreadable(f"{where}.box: expected four numbers, got {corners!r}")
    try:
        return Box(*(as_written(value) for value in corners))
    except (ValueError, OverflowError) as error:
        raise Unreadable(f"{where}.box: {error}") from None


def as_written(value: float) -> float:
    """As finely as it is written: a state that was stored and read again must be the state that was not."""
    return round(float(value), 4)
