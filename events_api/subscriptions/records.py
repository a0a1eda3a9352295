"""A subscription: whose it is, what it wants, where it is told, and how far along the log it has been."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from events_api.ports import EventFilter, StoredEvent

Filters = tuple[tuple[int, EventFilter], ...]
"""(cursor, filter), oldest first: each filter judges the events behind its cursor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A subscription as it is kept.

    `cursor`: every event up to there was judged, and what the filter let through lies in the outbox. `revision` counts what
    people changed. `of_platform`: it belongs to the key `owner` alone, and pauses when that is revoked. `previous_secret` signs
    along until `previous_until`.
    """

    id: str
    owner: str
    of_platform: bool
    name: str
    url: str
    filters: Filters
    cursor: int
    created_at: datetime
    revision: int = 1
    secret: str = field(repr=False)
    previous_secret: str | None = field(default=None, repr=False)
    previous_until: datetime | None = None
    paused_at: datetime | None = None
    paused_reason: str = ""
    failing_since: datetime | None = None

    @property
    def filter(self) -> EventFilter:
        """What it wants now."""
        return self.filters[-1][1]

    def wants(self, event: StoredEvent) -> bool:
        """Whether the filter that was in force when the event was logged lets it through."""
        judge = next((wanted for after, wanted in reversed(self.filters) if after < event.cursor), self.filters[0][1])
        return judge.lets_through(event)

    def filters_behind(self, cursor: int) -> Filters:
        """Those that may yet have to judge something once everything up to the cursor was judged."""
        kept = self.filters
        while len(kept) > 1 and kept[1][0] <= cursor:
            kept = kept[1:]
        return kept

    def secrets(self, now: datetime) -> tuple[str, ...]:
        """Those that sign now, the newest first."""
        if self.previous_secret is None or self.previous_until is None or self.previous_until <= now:
            return (self.secret,)
        return self.secret, self.previous_secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a subscription's deliveries stand: how many wait and since when, what the last attempt at one of them met."""

    waiting: int = 0
    dead: int = 0
    waiting_since: datetime | None = None
    next_attempt_at: datetime | None = None
    reason: str = ""

    def lag_s(self, now: datetime) -> float:
        """For how long the oldest event that it has not taken has been waiting."""
        return 0.0 if self.waiting_since is None else max(0.0, (now - self.waiting_since).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An event for one subscription: waiting, delivered or dead, and what came of the last attempt."""

    n: int
    event: str
    type: str
    case: str
    state: str
    attempts: int
    status: int | None
    reason: str
    queued_at: datetime
    next_attempt_at: datetime | None
    posted_at: datetime | None
    answered_at: datetime | None
    acknowledged_at: datetime | None


def filters_fields(filters: Filters) -> list[list[Any]]:
    """As they are stored."""
    return [[after, {name: list(among) for name, among in asdict(wanted).items()}] for after, wanted in filters]


def read_filters(fields: Sequence[tuple[int, Mapping[str, Sequence[str]]]]) -> Filters:
    return tuple(
        (after, EventFilter(**{name: tuple(among) for name, among in wanted.items()})) for after, wanted in fields
    )
