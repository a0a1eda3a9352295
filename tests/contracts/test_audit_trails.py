"""What every audit trail keeps: nothing in it can be altered, taken out or put in between without being noticed."""

from __future__ import annotations

import multiprocessing
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy.exc import DBAPIError

from citybrain.clock import ManualClock, SystemClock
from citybrain.database import Database
from events_api.audit import BEGINNING, AuditTrail, Entry, NotNoted, Sought
from tests.services.api_city import START


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture
def trail(database, clock):
    return AuditTrail(database, clock=clock)


def tell(trail: AuditTrail, clock: ManualClock, count: int) -> None:
    for n in range(1, count + 1):
        trail.append(actor="li.na", role="operator", what="case.action", on=f"case-{n}", more={"action": "reject"})
        clock.advance(timedelta(seconds=1))


def tampered(database: Database, *statements: str) -> None:
    """What somebody does who may do everything with the database: the triggers are gone first."""
    with database.writing() as db:
        for name in ("altered", "removed"):
            on = " ON audit_entries" if database.postgres else ""
            db.exec_driver_sql(f"DROP TRIGGER IF EXISTS entries_are_never_{name}{on}")
        for each in statements:
            db.exec_driver_sql(each)


def test_what_was_done_is_told_the_newest_first_by_page(trail, clock):
    tell(trail, clock, 5)
    first = trail.entries(Sought(), limit=2)
    assert [each.n for each in first] == [5, 4]
    assert [each.on for each in trail.entries(Sought(), limit=9, before=4)] == ["case-3", "case-2", "case-1"]
    assert first[0].more == {"action": "reject"}


def test_entries_are_found_by_who_what_on_what_and_when(trail, clock):
    tell(trail, clock, 3)
    trail.append(actor="wang", what="key.made", on="desk", outcome="refused", address="10.0.0.7")
    for sought, expected in [
        (Sought(actor="wang"), [4]),
        (Sought(what="key."), [4]),
        (Sought(what="key"), [4]),
        (Sought(on="case-2"), [2]),
        (Sought(outcome="refused"), [4]),
        (Sought(address="10.0.0.7"), [4]),
        (Sought(since=START + timedelta(seconds=2)), [4, 3]),
        (Sought(until=START + timedelta(seconds=1)), [1]),
        (Sought(actor="li.na", on="case-3"), [3]),
        (Sought(actor="' OR 1=1 --"), []),
    ]:
        assert [each.n for each in trail.entries(sought, limit=9)] == expected, sought


def test_an_untouched_trail_is_sound_and_says_its_head(trail, clock):
    assert trail.check().head == BEGINNING
    tell(trail, clock, 4)
    checked = trail.check()
    assert (checked.count, checked.faults) == (4, [])
    assert checked.head == trail.entries(Sought(), limit=1)[0].hash


@pytest.mark.parametrize("statement", ["UPDATE audit_entries SET actor = 'nobody'", "DELETE FROM audit_entries"])
def test_the_database_itself_refuses_what_is_not_appending(database, trail, clock, statement):
    tell(trail, clock, 1)
    with pytest.raises(DBAPIError, match="appended only"), database.writing() as db:
        db.exec_driver_sql(statement)
    assert trail.check().faults == []


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE audit_entries SET actor = 'wang' WHERE n = 2", "entry 2 does not fit"),
        ("UPDATE audit_entries SET outcome = 'refused' WHERE n = 4", "entry 4 does not fit"),
        ("UPDATE audit_entries SET more = '{}' WHERE n = 3", "entry 3 does not fit"),
        ("UPDATE audit_entries SET more = 'no JSON' WHERE n = 3", "entry 3 does not fit"),
        ("UPDATE audit_entries SET at = '2026-11-20T08:00:00.000Z' WHERE n = 1", "entry 1 does not fit"),
        ("DELETE FROM audit_entries WHERE n = 2", "entry 2 is missing"),
        ("DELETE FROM audit_entries WHERE n < 3", "entry 1 is missing, up to 2"),
    ],
)
def test_an_entry_that_was_altered_or_taken_out_is_named(database, trail, clock, statement, fault):
    tell(trail, clock, 4)
    tampered(database, statement)
    faults = trail.check().faults
    assert any(fault in each for each in faults), faults


def test_an_entry_put_in_between_is_noticed(database, trail, clock):
    tell(trail, clock, 3)
    put_in = f"INSERT INTO audit_entries VALUES (3, '2026', 'x', '', '', 'y', 'z', 'done', '{{}}', '{'f' * 64}')"
    tampered(database, "UPDATE audit_entries SET n = n + 1 WHERE n = 3", put_in)
    assert any("entry 3 does not fit" in each for each in trail.check().faults)


def test_an_end_that_was_cut_off_is_noticed_by_a_head_that_was_kept_elsewhere(database, trail, clock):
    tell(trail, clock, 4)
    head = (4, trail.check().head)
    assert trail.check(head=head).faults == []
    tampered(database, "DELETE FROM audit_entries WHERE n = 4")
    assert trail.check().faults == [], "from within nobody can tell"
    assert trail.check(head=head).faults == ["entry 4 was written down and is missing: the end was cut off"]


def test_a_trail_written_anew_is_noticed_by_a_head_that_was_kept_elsewhere(trail, clock):
    tell(trail, clock, 2)
    head = (2, trail.check().head)
    other = AuditTrail(Database.memory(), clock=clock)
    tell(other, clock, 2)
    assert other.check(head=head).faults == ["entry 2 is another one than was written down: the trail was written anew"]


def test_what_was_just_said_is_not_said_again(trail, clock):
    for seconds in (0, 100, 250, 400):
        trail.append(actor="li", what="evidence.unmasked", on="a.jpg", once_within=timedelta(minutes=5))
        clock.advance(timedelta(seconds=100 if seconds < 400 else 0))
    trail.append(actor="wang", what="evidence.unmasked", on="a.jpg", once_within=timedelta(minutes=5))
    assert [each.actor for each in trail.entries(Sought(), limit=9)] == ["wang", "li"]
    clock.advance(timedelta(minutes=6))
    trail.append(actor="li", what="evidence.unmasked", on="a.jpg", once_within=timedelta(minutes=5))
    assert trail.count() == 3


def test_long_words_are_cut_so_that_nobody_fills_the_disk(trail):
    trail.append(actor="x" * 10_000, what="login", on="y" * 10_000, more={"why": "z" * 10_000})
    entry = trail.entries(Sought(), limit=1)[0]
    assert {len(entry.actor), len(entry.on), len(entry.more["why"])} == {500}
    assert trail.check().faults == []


def test_words_that_no_database_takes_are_noted_all_the_same(trail):
    trail.append(actor="li\0na", what="access", on="/v1/\0\ud800", more={"a\0": "b\0"})
    [entry] = trail.entries(Sought(actor="li\0na"), limit=9)
    assert (entry.actor, entry.on, entry.more) == ("li\ufffdna", "/v1/\ufffd?", {"a\ufffd": "b\ufffd"})
    assert trail.check().faults == []


def test_what_cannot_be_noted_is_said(database, trail):
    with database.writing() as db:
        db.exec_driver_sql("DROP TABLE audit_entries")
    with pytest.raises(NotNoted, match="audit trail"):
        trail.append(actor="li", what="login", on="session")


def test_a_trail_of_many_pages_is_followed_to_its_end(trail, clock, monkeypatch):
    monkeypatch.setattr("events_api.audit._PAGE", 3)
    tell(trail, clock, 7)
    checked = trail.check()
    assert (checked.count, checked.faults) == (7, [])


def test_a_trail_of_before_there_were_versions_goes_on(tmp_path, clock):
    with closing(sqlite3.connect(tmp_path / "audit.db")) as db:
        db.executescript(
            "CREATE TABLE entries (n INTEGER PRIMARY KEY, at TEXT NOT NULL, actor TEXT NOT NULL, role TEXT NOT NULL,"
            " address TEXT NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL, outcome TEXT NOT NULL, more TEXT NOT NULL,"
            " hash TEXT NOT NULL);"
            "CREATE TRIGGER entries_are_never_removed BEFORE DELETE ON entries"
            " BEGIN SELECT RAISE(ABORT, 'the audit trail is appended only'); END;"
        )
        entry = Entry(n=1, at="2026-11-21T08:00:00.000Z", actor="li", role="", address="", what="login", on="session",
                      outcome="done", more={}, hash="")  # fmt: skip
        row = (1, entry.at, "li", "", "", "login", "session", "done", "{}", entry.hash_after(BEGINNING))
        db.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        db.commit()
    database = Database.file(tmp_path / "audit.db")
    trail = AuditTrail(database, clock=clock)
    tell(trail, clock, 1)
    assert [each.actor for each in trail.entries(Sought(), limit=9)] == ["li.na", "li"]
    assert trail.check().faults == []
    with pytest.raises(DBAPIError, match="appended only"), database.writing() as written:
        written.exec_driver_sql("DELETE FROM audit_entries")
    database.close()


def _append(url: str, count: int) -> None:
    database = Database.open(url)
    trail = AuditTrail(database, clock=SystemClock())
    for n in range(count):
        trail.append(actor="process", what="key.made", on=str(n))
    database.close()


def test_processes_that_write_at_once_make_one_chain(trail, store_url):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_append, args=(store_url, 20)) for _ in range(2)]
    for each in processes:
        each.start()
    for each in processes:
        each.join()
    checked = trail.check()
    assert (checked.count, checked.faults) == (40, [])
