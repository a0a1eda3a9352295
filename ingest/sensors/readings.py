"""What a sensor's message says, and when that is news: a level that rises to `alarm_at` and falls back to `clear_at`.

off ──value at `alarm_at` or beyond──► on ──value at `clear_at` or beyond──► off
                     between the two it stays what it is
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from citybrain.clock import instant
from citybrain.errors import Unreadable
from ingest.sensors.config import Sensor

LARGEST = 64 * 1024
_WORDS = {"true": 1.0, "on": 1.0, "alarm": 1.0, "false": 0.0, "off": 0.0, "normal": 0.0}
_MILLISECONDS = 1e11  # as seconds that would be the year 5138


@dataclass(frozen=True, slots=True)
class Reading:
    """A value, and when the sensor says that it was taken, if it says so."""

    value: float
    at: datetime | None = None


def reading_of(payload: bytes, sensor: Sensor) -> Reading:
    """Raises Unreadable, saying what was expected where."""
    if len(payload) > LARGEST:
        raise Unreadable(f"expected at most {LARGEST} bytes, got {len(payload)}")
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        raise Unreadable("expected text") from None
    try:
        said: Any = json.loads(text)
    except (ValueError, RecursionError):
        if sensor.value or sensor.time:
            raise Unreadable(f"expected JSON, got {text[:60]!r}") from None
        said = text.strip()
    at = _instant(_found(said, sensor.time), sensor.time) if sensor.time else None
    return Reading(_number(_found(said, sensor.value), sensor.value), at)


def is_on(value: float, sensor: Sensor, *, before: bool) -> bool:
    """Whether the sensor is on after this value."""
    sign = 1.0 if sensor.alarm_at >= sensor.clear_at else -1.0
    level, alarm_at, clear_at = value * sign, sensor.alarm_at * sign, sensor.clear_at * sign
    return level >= alarm_at or (before and level > clear_at)


def matches(topic: str, sensor: Sensor) -> str | None:
    """What the topic has in place of the sensor's `+`, joined by dots; None when it is no topic of the sensor."""
    wanted, levels = sensor.topic.split("/"), topic.split("/")
    if len(wanted) != len(levels) or any(want not in ("+", level) for want, level in zip(wanted, levels, strict=True)):
        return None
    return ".".join(level for want, level in zip(wanted, levels, strict=True) if want == "+")


def _found(said: Any, path: str) -> Any:
    for key in path.split(".") if path else ():
        if isinstance(said, Mapping) and key in said:
            said = said[key]
        elif isinstance(said, list) and key.isdecimal() and int(key) < len(said):
            said = said[int(key)]
        else:
            raise Unreadable(f"{path}: expected {key!r}, which is not there")
    return said


def _number(said: Any, path: str) -> float:
    where = path or "payload"
    if isinstance(said, str):
        word = said.strip().lower()
        if word in _WORDS:
            return _WORDS[word]
        try:
            said = float(word)
        except ValueError:
            raise Unreadable(f"{where}: expected a number, got {said[:60]!r}") from None
    if not isinstance(said, int | float) or not abs(said) < math.inf:
        raise Unreadable(f"{where}: expected a number, got {str(said)[:60]!r}")
    return float(said)


def _instant(said: Any, path: str) -> datetime:
    try:
        if isinstance(said, str):
            return instant(said)
        if isinstance(said, int | float) and not isinstance(said, bool):
            return datetime.fromtimestamp(said / 1000 if abs(said) > _MILLISECONDS else said, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Unreadable(f"{path}: {error}") from None
    raise Unreadable(f"{path}: expected an instant, got {str(said)[:60]!r}")
