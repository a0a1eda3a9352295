"""The city's working hours: which of the time that passes counts, when a time allowed is used up, how much of it was used.

    Fri 16:00 ──4 h of working hours──► Mon 09:00      (Friday to 18:00, nothing at the weekend, Monday from 07:00 on)

Wall times are the city's own. One that a change to summer time leaves out is the instant of the change, one that comes twice
is its first coming: so spans keep their order, and none is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from citybrain.configuration import LONGEST, Bilingual, Section, parse, read
from citybrain.domain.camera import Text
from citybrain.errors import Fault

HORIZON = LONGEST * 2
"""How far a time allowed is followed: what is not used up by then never is."""
LONGEST_HOLIDAY = timedelta(days=92)
_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)
_SPAN = r"^([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)$"


class Counts(StrEnum):
    """Which time counts: every hour, or the working hours of the calendar."""

    ALWAYS = "always"
    WORKING_HOURS = "working_hours"


class Weekday(StrEnum):
    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


WEEKDAYS = tuple(Weekday)
Span = tuple[int, int]
"""Minutes of the day, the second beyond the end: 1440 is midnight."""


def minutes_of(text: str) -> Span:
    """`08:30-12:00` as minutes of the day."""
    start, end = (int(each[:2]) * 60 + int(each[3:]) for each in text.split("-"))
    return start, end


def _in_order(spans: tuple[str, ...]) -> tuple[str, ...]:
    last = 0
    for text in spans:
        start, end = minutes_of(text)
        if end <= start:
            raise ValueError(f"expected a span that ends later on the same day, got {text!r}")
        if start < last:
            raise ValueError(f"expected spans in order that do not overlap, got {', '.join(spans)}")
        last = end
    return spans


Hours = Annotated[tuple[Annotated[str, Field(pattern=_SPAN)], ...], AfterValidator(_in_order)]


class Holiday(Section):
    """Days off by name, the last one included; without `until` it is one day."""

    name: Bilingual
    since: date
    until: date | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        until = self.until or self.since
        if until < self.since:
            raise ValueError("until must not be earlier than since")
        if until - self.since > LONGEST_HOLIDAY:
            raise ValueError(f"expected a holiday of at most {LONGEST_HOLIDAY.days} days")
        return self

    @property
    def days(self) -> Sequence[date]:
        return [self.since + _DAY * n for n in range(((self.until or self.since) - self.since).days + 1)]


class MadeUp(Section):
    """A day on which is worked because of a holiday (调休), with the hours of another weekday."""

    date: date
    like: Weekday = Weekday.MONDAY


class CalendarFile(Section):
    """The YAML of configs/calendar.yaml. A weekday that `hours` does not name has none."""

    hours: dict[Weekday, Hours] = Field(min_length=1)
    holidays: tuple[Holiday, ...] = ()
    working_days: tuple[MadeUp, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not any(self.hours.values()):
            raise ValueError("expected a working hour on some weekday, or no such file: then every hour counts")
        days = [day for holiday in self.holidays for day in holiday.days]
        made_up = [each.date for each in self.working_days]
        for what, found in (("two holidays", days), ("two working days", made_up)):
            twice = next((day for day in sorted(found) if found.count(day) > 1), None)
            if twice is not None:
                raise ValueError(f"{twice} stands in {what}")
        both = min(set(days) & set(made_up), default=None)
        if both is not None:
            raise ValueError(f"{both} stands as a holiday and as a working day")
        for each in self.working_days:
            if not self.hours.get(each.like):
                raise ValueError(f"{each.date} is worked like a {each.like}, which has no hours")
        return self


@dataclass(frozen=True)
class Calendar:
    """Working hours, holidays and made-up days in a time zone. Without `hours` every hour counts."""

    timezone: str = "Asia/Shanghai"
    hours: Mapping[Weekday, Sequence[Span]] = field(default_factory=dict)
    holidays: Mapping[date, Text] = field(default_factory=dict)
    made_up: Mapping[date, Weekday] = field(default_factory=dict)

    @property
    def every_hour(self) -> bool:
        return not self.hours

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def local(self, at: datetime) -> datetime:
        """The city's wall time."""
        return at.astimezone(self.zone)

    def holiday(self, day: date) -> Text | None:
        """The name of the holiday that the day belongs to."""
        return self.holidays.get(day)

    def is_working(self, day: date) -> bool:
        """Whether anyone works on that day at all."""
        return self.every_hour or bool(self._spans_of(day))

    def spans(self, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The stretches between two instants that count, in order, in UTC."""
        if self.every_hour:
            if since < until:
                yield since, until
            return
        day, last = self.local(since).date(), self.local(until).date()
        while day <= last:
            for start, end in self._spans_of(day):
                begins, ends = max(self._instant(day, start), since), min(self._instant(day, end), until)
                if begins < ends:
                    yield begins, ends
            day += _DAY

    def _spans_of(self, day: date) -> Sequence[Span]:
        if day in self.holidays:
            return ()
        return self.hours.get(self.made_up.get(day, WEEKDAYS[day.weekday()]), ())

    def _instant(self, day: date, minute: int) -> datetime:
        """When the city's clocks first show that minute of the day, or a later one."""
        wall = datetime.combine(day, time()) + minute * _MINUTE
        found = wall.replace(tzinfo=self.zone).astimezone(UTC)
        if found.astimezone(self.zone).replace(tzinfo=None) == wall:
            return found
        skipped = wall.replace(tzinfo=self.zone, fold=1).astimezone(UTC)  # before the change, as `found` is after it
        while skipped.astimezone(self.zone).replace(tzinfo=None) < wall:
            skipped += _MINUTE
        return skipped


EVERY_HOUR = Calendar()


def due(since: datetime, allowed: timedelta, calendar: Calendar) -> datetime:
    """The first instant by which that much counted time has passed; HORIZON later at most."""
    if calendar.every_hour or not allowed:
        return since + allowed
    horizon, left = since + HORIZON, allowed
    for begins, ends in calendar.spans(since, horizon):
        if ends - begins >= left:
            return begins + left
        left -= ends - begins
    return horizon


def used(since: datetime, until: datetime, calendar: Calendar) -> timedelta:
    """How much counted time lies between two instants; nothing when the second is not later."""
    return sum((ends - begins for begins, ends in calendar.spans(since, until)), timedelta())


def load(path: Path, *, timezone: str, faults: list[Fault]) -> Calendar:
    """The calendar of a folder, or the one in which every hour counts; faults are added, never raised."""
    if not path.exists():
        return Calendar(timezone)
    value = read(path, faults=faults)
    file = None if value is None else parse(CalendarFile, value, file=str(path), faults=faults)
    if file is None:
        return Calendar(timezone)
    return Calendar(
        timezone,
        {weekday: tuple(minutes_of(each) for each in spans) for weekday, spans in file.hours.items() if spans},
        {day: each.name for each in file.holidays for day in each.days},
        {each.date: each.like for each in file.working_days},
    )


def kinds_of(day: date, calendar: Calendar) -> frozenset[str]:
    """The words by which a route may mean that day: its weekday, and `working`, or `off` and, when it has a name, `holiday`."""
    weekday = WEEKDAYS[day.weekday()].value
    if calendar.is_working(day):
        return frozenset({weekday, "working"})
    return frozenset({weekday, "off", "holiday"} if calendar.holiday(day) else {weekday, "off"})
