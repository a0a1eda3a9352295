"""How units did: each case counts once, in the right column, and a rate is of those whose time has come."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citybrain.domain.case import CaseState
from citybrain.wire import case_fields
from events_api.performance import Period, Row, rows_of, span_of
from tests.services.api_city import START, case

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NOW = START + 6 * HOUR
DUE = START + 2 * HOUR


def row(**changes) -> Row:
    """What one case of the traffic police comes to."""
    known = {"unit": "traffic police", "posted_at": START + MINUTE, "due_at": DUE}
    _, total = rows_of([case_fields(case(**{**known, **changes}))], key=lambda each: each["unit"] or "", at=NOW)
    return total


def test_a_case_done_in_time_is_responded_handled_and_on_time():
    done = row(
        state=CaseState.CLOSED,
        accepted_at=START + 11 * MINUTE,
        done_at=START + HOUR,
        verified_at=START + 65 * MINUTE,
        closed_at=START + 65 * MINUTE,
    )
    assert (done.counted, done.responded, done.handled, done.on_time, done.late, done.overdue) == (1, 1, 1, 1, 0, 0)
    assert (done.response_rate, done.handling_rate, done.on_time_rate) == (1.0, 1.0, 1.0)
    assert (done.response_p50_s, done.handling_p50_s) == (600.0, 3600.0)
    assert (done.verified, done.open) == (1, 0)


def test_done_after_its_time_is_late_however_it_was_closed():
    late = row(state=CaseState.CLOSED, closed_at=DUE + MINUTE)
    assert (late.handled, late.on_time, late.late, late.on_time_rate) == (1, 0, 1, 0.0)


def test_what_nobody_did_by_its_time_is_overdue_and_what_has_time_left_counts_for_no_one():
    assert (row().overdue, row().on_time_rate) == (1, 0.0)
    waiting = row(due_at=NOW + HOUR)
    assert (waiting.overdue, waiting.on_time_rate, waiting.open) == (0, None, 1)


@pytest.mark.parametrize(
    ("fate", "changes"),
    [
        ("rejected", {"state": CaseState.REJECTED, "closed_at": NOW}),
        ("merged", {"state": CaseState.CLOSED, "merged_into": "case-2", "closed_at": NOW}),
        ("silenced", {"silenced": "s-1", "posted_at": None}),
        ("gone_by_itself", {"state": CaseState.CLOSED, "reason": "gone by itself", "closed_at": NOW}),
    ],
)
def test_what_no_unit_had_to_do_with_is_told_apart(fate, changes):
    found = row(**changes)
    assert (getattr(found, fate), found.filed, found.counted, found.on_time_rate) == (1, 1, 0, None)


def test_cases_of_a_trial_are_not_counted():
    assert row(trial=True).filed == 0


def test_each_unit_has_its_row_and_all_of_them_add_up():
    cases = [case_fields(case(n, unit=unit)) for n, unit in enumerate(("parks", "police", None, "police"))]
    rows, total = rows_of(cases, key=lambda each: each["unit"] or "", at=NOW)
    assert [(each.key, each.filed) for each in rows] == [("", 1), ("parks", 1), ("police", 2)]
    assert total.filed == 4


def test_a_day_is_the_citys_own_and_a_week_begins_on_monday():
    day = span_of(date(2026, 11, 22), Period.DAY, timezone="Asia/Shanghai")
    assert day.since == datetime(2026, 11, 21, 16, tzinfo=UTC)
    assert day.until - day.since == timedelta(days=1)
    week = span_of(date(2026, 11, 22), Period.WEEK, timezone="Asia/Shanghai")  # a Sunday
    assert week.since.date() == date(2026, 11, 16)
    assert week.until == day.until


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.sampled_from(Period))
def test_periods_follow_each_other_without_gap_also_where_clocks_are_changed(day, period):
    span = span_of(day, period, timezone="Europe/Paris")
    after = span_of(span.until.astimezone(ZoneInfo("Europe/Paris")).date(), period, timezone="Europe/Paris")
    assert span.since <= datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo("Europe/Paris")) < span.until
    assert after.since == span.until
