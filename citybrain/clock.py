"""What time it is: the only module that asks the machine, so that everything else can be told."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time. `now` is an aware UTC instant; `monotonic` are seconds that never run backwards."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that moves when told to."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._elapsed = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed

    def advance(self, by: timedelta) -> None:
        self._now += by
        self._elapsed += by.total_seconds()


def instant(text: str) -> datetime:
    """Read an ISO 8601 instant with its offset (`Z` or `+08:00`) as UTC. Raises ValueError, naming what was found."""
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise ValueError(f"expected an ISO 8601 instant such as 2026-11-21T08:00:00Z, got {text!r}") from None
    if at.tzinfo is None:
        raise ValueError(f"expected an instant with its offset, such as {text}Z, got {text!r}")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"expected an instant within the years 1 to 9999, got {text!r}") from None


def iso(at: datetime) -> str:
    """An instant as the wire writes it: UTC, milliseconds, `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
