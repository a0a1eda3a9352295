"""How the city deals with its cases: by unit, area or scene, who answered, who was done, and whether it was in time.

Of the cases filed in a day or a week of the city's own calendar:

    filed = counted + rejected + merged + silenced + gone by itself          (trial cases are not among them)

    responded   counted cases that the unit took                             ÷ counted = response rate
    handled     … that it said are done, or that people closed               ÷ counted = handling rate
    on_time     … handled by `due_at`;  late: after it;  overdue: not handled, and `due_at` is over
                                          on_time ÷ (on_time + late + overdue) = on-time rate

A case whose time is not over counts for no one yet. A rate of nothing is None, never 0 or 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from citybrain.clock import instant
from events_api.ports import Fields


class Period(StrEnum):
    """A day from midnight, or a week from Monday."""

    DAY = "day"
    WEEK = "week"


@dataclass(frozen=True, slots=True)
class Span:
    """The period that a date lies in, as instants: `since` is in it, `until` is not."""

    since: datetime
    until: datetime


def span_of(day: date, period: Period, *, timezone: str) -> Span:
    """The day or week of the date, in the city's own time: 23 or 25 hours long where clocks are changed that day."""
    first = day - timedelta(days=day.weekday()) if period is Period.WEEK else day
    last = first + timedelta(days=7 if period is Period.WEEK else 1)
    zone = ZoneInfo(timezone)
    return Span(datetime.combine(first, time(), zone), datetime.combine(last, time(), zone))


@dataclass(slots=True)
class Row:
    """What became of the cases of one unit, area or scene; `key` is its id or code."""

    key: str
    filed: int = 0
    rejected: int = 0
    merged: int = 0
    silenced: int = 0
    gone_by_itself: int = 0
    counted: int = 0
    responded: int = 0
    handled: int = 0
    on_time: int = 0
    late: int = 0
    overdue: int = 0
    open: int = 0
    escalated: int = 0
    verified: int = 0
    recurring: int = 0
    response_s: list[float] = field(default_factory=list)
    handling_s: list[float] = field(default_factory=list)

    def take(self, case: Fields, *, at: datetime) -> None:
        """Enter a case as it stands at that instant."""
        self.filed += 1
        self.recurring += case["recurrence_of"] is not None
        if (fate := _fate(case)) is not None:
            setattr(self, fate, getattr(self, fate) + 1)
            return
        self.counted += 1
        self.open += case["closed_at"] is None
        self.escalated += case["escalation"] > 0
        self.verified += case["verified_at"] is not None
        filed_at, due_at = instant(case["filed_at"]), _at(case, "due_at")
        handled_at = _at(case, "done_at") or _at(case, "closed_at")
        taken_at = _at(case, "accepted_at") or handled_at
        if taken_at is not None:
            self.responded += 1
            self.response_s.append(_seconds(_at(case, "posted_at") or filed_at, taken_at))
        if handled_at is not None:
            self.handled += 1
            self.handling_s.append(_seconds(filed_at, handled_at))
            self.on_time += due_at is None or handled_at <= due_at
            self.late += due_at is not None and handled_at > due_at
        else:
            self.overdue += due_at is not None and due_at < at

    @property
    def response_rate(self) -> float | None:
        return _share(self.responded, self.counted)

    @property
    def handling_rate(self) -> float | None:
        return _share(self.handled, self.counted)

    @property
    def on_time_rate(self) -> float | None:
        return _share(self.on_time, self.on_time + self.late + self.overdue)

    @property
    def response_p50_s(self) -> float | None:
        return _middle(self.response_s)

    @property
    def handling_p50_s(self) -> float | None:
        return _middle(self.handling_s)


def rows_of(cases: Iterable[Fields], *, key: Callable[[Fields], str], at: datetime) -> tuple[list[Row], Row]:
    """A row for each key, by key, and one for all of them together."""
    rows: dict[str, Row] = {}
    total = Row("")
    for case in cases:
        if case["trial"]:
            continue
        name = key(case)
        for row in (rows.setdefault(name, Row(name)), total):
            row.take(case, at=at)
    return [rows[name] for name in sorted(rows)], total


def _fate(case: Fields) -> str | None:
    """What took the case out of the count, if anything did."""
    if case["merged_into"] is not None:
        return "merged"
    if case["state"] == "rejected":
        return "rejected"
    if case["silenced"] is not None and case["posted_at"] is None:
        return "silenced"
    by_itself = case["state"] == "closed" and case["done_at"] is None and case["reason"] == "gone by itself"
    return "gone_by_itself" if by_itself else None


def _at(case: Fields, name: str) -> datetime | None:
    return None if case[name] is None else instant(case[name])


def _seconds(since: datetime, until: datetime) -> float:
    return max(0.0, (until - since).total_seconds())


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _middle(values: Sequence[float]) -> float | None:
    """The median, of an even number the lower one."""
    return sorted(values)[(len(values) - 1) // 2] if values else None
