"""Working hours: what is used up when, over nights, weekends, holidays, make-up days and changes of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from citybrain.domain.camera import Text
from citybrain.errors import Fault
from pipeline.calendar import (
    EVERY_HOUR,
    HORIZON,
    WEEKDAYS,
    Calendar,
    CalendarFile,
    Weekday,
    due,
    kinds_of,
    load,
    used,
)

HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
WEEK = dict.fromkeys(WEEKDAYS[:5], ((8 * 60 + 30, 12 * 60), (14 * 60, 18 * 60)))
FESTIVAL = Text("春节", "Spring Festival")
CITY = Calendar(
    "Asia/Shanghai",
    WEEK,
    {date(2026, 2, 15) + DAY * n: FESTIVAL for n in range(9)},
    {date(2026, 2, 14): Weekday.MONDAY, date(2026, 2, 28): Weekday.MONDAY},
)
SHIPPED = Path(__file__).parents[3] / "configs" / "calendar.yaml"


def shanghai(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+08:00").astimezone(UTC)


@pytest.mark.parametrize(
    ("since", "hours", "until"),
    [
        ("2026-11-23 09:00", 2, "2026-11-23 11:00"),
        ("2026-11-23 11:00", 2, "2026-11-23 15:00"),  # nobody works at noon
        ("2026-11-23 09:00", 3, "2026-11-23 12:00"),  # used up when work stops, not when it starts again
        ("2026-11-23 20:00", 1, "2026-11-24 09:30"),
        ("2026-11-27 17:00", 2, "2026-11-30 09:30"),  # Friday to Monday
        ("2026-11-28 10:00", 1, "2026-11-30 09:30"),  # filed on a Saturday
        ("2026-02-13 17:00", 2, "2026-02-14 09:30"),  # the Saturday before the festival is worked
        ("2026-02-14 17:00", 2, "2026-02-24 09:30"),  # nine days off
        ("2026-02-27 17:00", 2, "2026-02-28 09:30"),
    ],
)
def test_time_allowed_is_used_up_in_working_hours_alone(since, hours, until):
    assert due(shanghai(since), hours * HOUR, CITY) == shanghai(until)
    assert used(shanghai(since), shanghai(until), CITY) == hours * HOUR


def test_without_a_calendar_every_hour_counts():
    at = shanghai("2026-11-27 17:00")
    assert due(at, 30 * HOUR, EVERY_HOUR) == at + 30 * HOUR
    assert used(at, at + 30 * HOUR, EVERY_HOUR) == 30 * HOUR
    assert used(at, at - HOUR, EVERY_HOUR) == timedelta()


def test_nothing_allowed_is_due_at_once():
    at = shanghai("2026-11-28 10:00")
    assert due(at, timedelta(), CITY) == at


def test_what_can_never_be_used_up_is_due_beyond_all_planning():
    endless = Calendar("UTC", {Weekday.MONDAY: ((0, 1),)})
    at = shanghai("2026-11-28 10:00")
    assert due(at, 3650 * DAY, endless) == at + HORIZON


@pytest.mark.parametrize(
    ("day", "kinds"),
    [
        ("2026-11-23", {"monday", "working"}),
        ("2026-11-22", {"sunday", "off"}),
        ("2026-02-16", {"monday", "off", "holiday"}),
        ("2026-02-14", {"saturday", "working"}),
    ],
)
def test_a_day_is_working_off_or_a_holiday(day, kinds):
    assert kinds_of(date.fromisoformat(day), CITY) == kinds


# -- changes of the clock -------------------------------------------------------------------------------------------------

NIGHT = Calendar("Europe/Berlin", {Weekday.SUNDAY: ((60, 150), (150, 240))})  # 01:00-02:30 and 02:30-04:00


def test_the_hour_that_summer_time_leaves_out_is_not_worked():
    at = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert used(at, at + DAY, NIGHT) == 2 * HOUR
    assert due(at, 2 * HOUR, NIGHT) == datetime(2026, 3, 29, 2, tzinfo=UTC)  # 04:00 of summer time


def test_the_hour_that_comes_twice_is_worked_as_long_as_the_spans_last():
    at = datetime(2026, 10, 24, 12, tzinfo=UTC)
    assert used(at, at + DAY, NIGHT) == 4 * HOUR
    whole = Calendar("Europe/Berlin", {Weekday.SUNDAY: ((0, 1440),)})
    assert used(at, at + 2 * DAY, whole) == 25 * HOUR
    assert used(datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC), whole) == 23 * HOUR


# -- what holds for every calendar ----------------------------------------------------------------------------------------

ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC")
INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001
SPANS = st.lists(st.integers(0, 1440), min_size=2, max_size=6, unique=True).map(
    lambda ends: tuple(zip(*[iter(sorted(ends))] * 2, strict=False))
)
DAYS = st.dates(date(2026, 1, 1), date(2028, 1, 1))


@st.composite
def calendars(draw) -> Calendar:
    hours = draw(st.dictionaries(st.sampled_from(WEEKDAYS), SPANS, min_size=1))
    holidays = {day + DAY * n: FESTIVAL for day in draw(st.lists(DAYS, max_size=3)) for n in range(9)}
    made_up = draw(st.dictionaries(DAYS, st.sampled_from(sorted(hours)), max_size=3))
    return Calendar(draw(st.sampled_from(ZONES)), hours, holidays, made_up)


ALLOWED = st.timedeltas(timedelta(seconds=1), 60 * HOUR)


@given(calendars(), INSTANTS, ALLOWED)
def test_by_when_it_is_due_exactly_the_time_allowed_is_used(calendar, since, allowed):
    until = due(since, allowed, calendar)
    assume(until < since + HORIZON)
    assert used(since, until, calendar) == allowed
    assert used(since, until - timedelta(microseconds=1), calendar) < allowed


@given(calendars(), INSTANTS, ALLOWED, ALLOWED)
def test_more_time_is_due_later_and_time_in_two_parts_is_the_same(calendar, since, allowed, more):
    once = due(since, allowed + more, calendar)
    assume(once < since + HORIZON)
    first = due(since, allowed, calendar)
    assert since <= first < once
    assert due(first, more, calendar) == once


@given(calendars(), INSTANTS, INSTANTS, ALLOWED)
def test_what_is_filed_later_is_never_due_earlier(calendar, one, other, allowed):
    early, late = sorted((one, other))
    assert due(early, allowed, calendar) <= due(late, allowed, calendar)


@given(calendars(), st.lists(INSTANTS, min_size=3, max_size=3))
def test_used_time_adds_up_and_is_never_more_than_passed(calendar, instants):
    a, b, c = sorted(instants)
    assert used(a, b, calendar) + used(b, c, calendar) == used(a, c, calendar)
    assert timedelta() <= used(a, c, calendar) <= c - a


# -- the file -------------------------------------------------------------------------------------------------------------


def test_the_calendar_that_ships_reads_as_it_is_written():
    faults: list[Fault] = []
    calendar = load(SHIPPED, timezone="Asia/Shanghai", faults=faults)
    assert faults == []
    assert calendar.holiday(date(2026, 10, 1)) == Text("国庆节", "National Day")
    off = [day for n in range(365) if not calendar.is_working(day := date(2026, 1, 1) + DAY * n)]
    assert len(off) == 104 + 13  # weekends, and the festivals' days that the law gives for each year
    assert all(calendar.is_working(date.fromisoformat(day)) for day in ("2026-01-04", "2026-02-28", "2026-10-10"))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"hours": {}},
        {"hours": {"monday": []}},
        {"hours": {"monnday": ["08:00-12:00"]}},
        {"hours": {"monday": ["8:00-12:00"]}},
        {"hours": {"monday": ["12:00-08:00"]}},
        {"hours": {"monday": ["08:00-12:00", "11:00-13:00"]}},
        {"hours": {"monday": ["14:00-18:00", "08:00-12:00"]}},
    ],
)
def test_hours_that_are_none_are_refused(wrong):
    with pytest.raises(ValidationError):
        CalendarFile.model_validate(wrong)
