"""What every case store keeps: one transaction for cases and cursor, the newest version, and a list that pages without gaps."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from citybrain.database import Database
from citybrain.domain.case import CaseEvent, CaseEventType, CaseState, Light
from citybrain.domain.command import Silence
from citybrain.errors import DatabaseAway
from citybrain.wire import case_fields, read_case_event, write_case_event
from events_api.ports import EventFilter, LoggedEvent, SetAside, Wanted
from events_api.store.sql import SqlCases
from events_api.store.tables import TABLES
from tests.services.api_city import START, case, event, posted


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request, tmp_path):
    """Opens the same store once more, as another process would."""
    made: list[SqlCases] = []
    url = (
        request.getfixturevalue("postgres").empty() if request.param == "postgres" else f"sqlite:///{tmp_path}/view.db"
    )

    def again() -> SqlCases:
        made.append(SqlCases(Database.open(url)))
        return made[-1]

    again.url = url  # type: ignore[attr-defined]
    yield again
    for each in made:
        each.close()


@pytest.fixture
def store(opened):
    return opened()


def logged(cursor: int, told: CaseEvent) -> LoggedEvent:
    return LoggedEvent(cursor, told, write_case_event(told).decode())


def filed(*cases) -> list[LoggedEvent]:
    return [logged(cursor, event(each)) for cursor, each in enumerate(cases, 1)]


def ids(found) -> list[str]:
    return [each["id"] for each in found]


def test_a_store_begins_with_nothing(store):
    assert store.cursor() == 0
    assert store.cases(Wanted(), limit=10) == []
    assert store.case("case-1") is None
    assert store.timeline("case-1") == []
    assert store.counts() == {}


def test_a_case_is_given_back_as_its_event_told_it(store):
    told = case(1)
    new = store.apply(filed(told), cursor=1)
    assert store.case(told.id) == case_fields(told)
    assert [each.raw for each in new] == [write_case_event(event(told)).decode()]


def test_the_same_event_twice_changes_nothing(store):
    told = filed(case(1))[0]
    store.apply([told], cursor=1)
    assert store.apply([told, replace(told, cursor=2)], cursor=2) == []
    assert store.cursor() == 2
    assert [each.cursor for each in store.timeline(told.event.case.id)] == [1]
    assert store.counts() == {("illegal_parking", "filed"): 1}


def test_an_older_version_that_comes_late_does_not_undo_a_newer_one(store):
    first = case(1)
    second = posted(first)
    store.apply([logged(1, event(second, CaseEventType.DISPATCHED))], cursor=1)
    store.apply([logged(2, event(first))], cursor=2)
    found = store.case(first.id)
    assert found is not None
    assert found["state"] == "dispatched"
    assert len(store.timeline(first.id)) == 2


def test_a_message_that_cannot_be_read_is_set_aside_and_counted_once(store):
    aside = SetAside(5, "specversion: expected '1.0'", "{}")
    store.apply([aside], cursor=5)
    store.apply([aside], cursor=5)
    assert store.set_aside() == 1
    assert store.cursor() == 5
    assert store.events(after=0, limit=10) == []


def test_when_a_batch_fails_half_way_neither_cases_nor_cursor_move(store):
    store.apply(filed(case(1)), cursor=1)
    good = logged(2, event(case(2)))
    torn = LoggedEvent(3, event(case(3)), "no JSON")
    with pytest.raises(ValueError, match="Expecting value"):
        store.apply([good, torn], cursor=3)
    assert store.cursor() == 1
    assert store.case(case(2).id) is None
    store.apply([good], cursor=2)
    assert store.case(case(2).id) is not None


def test_a_list_pages_through_every_case_once_newest_first(store):
    chance = random.Random(7)
    told = [case(n, at=START + timedelta(seconds=chance.randrange(12))) for n in range(60)]
    store.apply(filed(*told), cursor=60)
    seen: list[str] = []
    after = None
    while page := store.cases(Wanted(), limit=7, after=after):
        seen += ids(page)
        after = (page[-1]["filed_at"], page[-1]["id"])
    assert seen == [each.id for each in sorted(told, key=lambda c: (c.filed_at, c.id), reverse=True)]


def test_cases_that_come_in_while_paging_neither_repeat_nor_hide_the_rest(store):
    store.apply(filed(*(case(n, at=START + timedelta(seconds=n)) for n in range(10))), cursor=10)
    page = store.cases(Wanted(), limit=5)
    store.apply([logged(11, event(case(99, at=START + timedelta(hours=1))))], cursor=11)
    rest = store.cases(Wanted(), limit=50, after=(page[-1]["filed_at"], page[-1]["id"]))
    assert len(set(ids(page) + ids(rest))) == 10


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(scenes=("fire_risk",)), {2}),
        (Wanted(scenes=("fire_risk", "waterlogging")), {2, 3}),
        (Wanted(states=("dispatched",)), {4}),
        (Wanted(cameras=("gd-0007",)), {3, 5}),
        (Wanted(severities=("critical",)), {2}),
        (Wanted(grid_cell="530111002"), {5}),
        (Wanted(grid_cell="530111002001999"), {5}),
        (Wanted(grid_cell="53011100%"), set()),
        (Wanted(since=START + timedelta(minutes=4)), {4, 5, 6}),
        (Wanted(until=START + timedelta(minutes=4)), {1, 2, 3}),
        (Wanted(open=True), {1, 2, 3, 4, 5}),
        (Wanted(open=False), {6}),
        (Wanted(judged="confirmed"), {5}),
        (Wanted(judged="none"), {1, 2, 3, 4}),
        (Wanted(words=("积水",)), {3}),
        (Wanted(words=("WX-00004",)), {4}),
        (Wanted(words=("parking", "gd-0007")), {5}),
        (Wanted(words=("%",)), set()),
        (Wanted(words=("'; DROP TABLE cases; --",)), set()),
        (Wanted(scenes=("illegal_parking",), open=True, until=START + timedelta(minutes=5)), {1, 4}),
    ],
    ids=str,
)
def test_filters_find_what_they_say(store, wanted, expected):
    at = {n: START + timedelta(minutes=n) for n in range(1, 7)}
    told = [
        case(1, at=at[1]),
        case(2, at=at[2], scene="fire_risk"),
        case(3, at=at[3], scene="waterlogging", camera="gd-0007"),
        posted(case(4, at=at[4])),
        case(5, at=at[5], cameras=("gd-0001", "gd-0007"), grid_cell="530111002001999", judged="confirmed"),
        case(6, at=at[6], state=CaseState.REJECTED, judged="rejected"),
    ]
    store.apply(filed(*told), cursor=6)
    assert {int(id[-1]) for id in ids(store.cases(wanted, limit=50))} == expected


def test_events_come_in_order_by_cursor_and_filter(store):
    first, second = case(1), case(2, scene="fire_risk", grid_cell="530112004001001")
    told = [event(first), event(second), event(posted(first), CaseEventType.DISPATCHED)]
    store.apply([logged(10 * n, each) for n, each in enumerate(told, 1)], cursor=30)
    store.apply([logged(40, event(case(3, grid_cell=None)))], cursor=40)

    def cursors(limit=10, after=0, **only):
        return [each.cursor for each in store.events(after=after, limit=limit, wanted=EventFilter(**only))]

    assert cursors() == [10, 20, 30, 40]
    assert cursors(after=10, limit=1) == [20]
    assert cursors(scenes=("fire_risk",)) == [20]
    assert cursors(types=(CaseEventType.DISPATCHED.value,)) == [30]
    assert cursors(severities=("critical",)) == [20]
    assert cursors(grid_cells=("530111",)) == [10, 30]
    assert cursors(grid_cells=("530112004", "530111001001003")) == [10, 20, 30]
    assert cursors(grid_cells=("530111001001003",), areas=("530111",)) == [10, 30]
    assert cursors(grid_cells=("530111",), areas=("530112",)) == []
    assert cursors(severities=("normal",), grid_cells=("530112",)) == []
    [found] = store.events(after=10, limit=1)
    assert (found.severity, found.grid_cell) == ("critical", "530112004001001")
    assert [each.cursor for each in store.timeline(first.id)] == [10, 30]


def test_an_effect_is_found_by_the_command_that_caused_it(store):
    store.apply([logged(1, event(case(1), cause="act-a-1")), logged(2, event(case(2), cause="act-ab-1"))], cursor=2)
    assert [each.cause for each in store.effects("act-a-")] == ["act-a-1"]
    assert store.effects("act-b") == []


def test_figures_are_counted_from_the_cases_as_they_are(store):
    told = [case(1), posted(case(2)), posted(case(3), after_ms=12_000), case(4, scene="fire_risk")]
    store.apply(filed(*told), cursor=4)
    assert store.counts() == {
        ("illegal_parking", "filed"): 1,
        ("illegal_parking", "dispatched"): 2,
        ("fire_risk", "filed"): 1,
    }
    assert store.latencies() == [0.9, 12.0]
    assert store.latencies(since=START + timedelta(days=1)) == []


def test_a_picture_is_known_while_a_case_names_it(store):
    store.apply(filed(case(1)), cursor=1)
    assert store.has_evidence("gd-0001/1.jpg")
    assert not store.has_evidence("gd-0001/2.jpg")


def test_a_reset_store_forgets_everything(store):
    store.apply([*filed(case(1)), SetAside(2, "x", "y")], cursor=2)
    store.reset()
    assert (store.cursor(), store.set_aside(), store.counts()) == (0, 0, {})
    store.apply(filed(case(1)), cursor=1)
    assert ids(store.cases(Wanted(), limit=5)) == [case(1).id]


def test_readers_on_other_threads_see_whole_batches_only(store):
    torn: list[int] = []
    done = threading.Event()

    def watch():
        while not done.is_set():
            count = sum(store.counts().values())
            torn.extend([count] if count % 10 else [])

    readers = [threading.Thread(target=watch) for _ in range(3)]
    for reader in readers:
        reader.start()
    for batch in range(20):
        numbers = range(batch * 10, batch * 10 + 10)
        store.apply([logged(n + 1, event(case(n))) for n in numbers], cursor=batch * 10 + 10)
    done.set()
    for reader in readers:
        reader.join()
    assert torn == []
    assert sum(store.counts().values()) == 200


_WRITER = """
import sys
from citybrain.database import Database
from events_api.store.sql import SqlCases
from tests.contracts.test_case_stores import logged
from tests.services.api_city import case, event
store = SqlCases(Database.open(sys.argv[1]))
cursor = store.cursor()
while True:
    batch = [logged(cursor + n, event(case(cursor + n))) for n in range(1, 8)]
    cursor += 7
    store.apply(batch, cursor=cursor)
    print(cursor, flush=True)
"""


def test_a_kill_in_the_middle_leaves_cases_and_cursor_agreeing(opened):
    chance, root = random.Random(3), Path(__file__).parents[2]
    for _ in range(3):
        command = [sys.executable, "-c", _WRITER, opened.url]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root, env=environment, text=True) as writer:
            assert writer.stdout is not None
            said = [int(writer.stdout.readline()) for _ in range(chance.randrange(2, 30))]
            writer.send_signal(signal.SIGKILL)
            rest = writer.stdout.read()
        store = opened()
        cursor = store.cursor()
        assert cursor >= max([*said, *map(int, rest.split())])
        assert sum(store.counts().values()) == cursor
        assert len(store.events(after=0, limit=100_000)) == cursor


def test_a_batch_is_taken_in_by_whoever_is_first(store, opened):
    other, batch = opened(), filed(case(1), case(2))
    assert store.apply(batch, cursor=2, after=0) is not None
    assert other.apply(batch, cursor=2, after=0) is None
    assert other.cursor() == 2
    new = other.apply([*batch, logged(3, event(case(3)))], cursor=3, after=2)
    assert new is not None
    assert [each.cursor for each in new] == [3]
    other.reset(at=2)
    assert store.cursor() == 3
    other.reset(at=3)
    assert store.cursor() == 0


def test_many_that_project_the_same_log_take_in_each_event_once(opened):
    log = [logged(n, event(case(n))) for n in range(1, 151)]
    taken: list[int] = []

    def follow(store: SqlCases) -> None:
        chance = random.Random(id(store))
        while (at := store.cursor()) < len(log):
            end = min(at + chance.randrange(1, 12), len(log))
            new = store.apply(log[at:end], cursor=end, after=at)
            taken.extend(each.cursor for each in new or ())

    replicas = [threading.Thread(target=follow, args=[opened()]) for _ in range(4)]
    for each in replicas:
        each.start()
    for each in replicas:
        each.join()
    store = opened()
    assert sorted(taken) == list(range(1, 151))
    assert [each.cursor for each in store.events(after=0, limit=1000)] == list(range(1, 151))
    assert store.counts() == {("illegal_parking", "filed"): 150}


def test_a_replica_that_froze_holds_up_the_others_for_a_moment_only(postgres):
    url, batch = postgres.empty(), filed(case(1))
    other = SqlCases(Database.open(url))
    frozen = SqlCases(Database.open(f"{url} -cidle_in_transaction_session_timeout=1000"))

    class Freezing(list[LoggedEvent]):
        """A batch in the middle of which the process stands still, until another has taken it in."""

        def __iter__(self):
            assert other.apply(batch, cursor=1, after=0) is not None
            return super().__iter__()

    with pytest.raises(DatabaseAway):
        frozen.apply(Freezing(batch), cursor=1, after=0)
    assert frozen.apply(batch, cursor=1, after=0) is None
    assert (frozen.cursor(), frozen.counts()) == (1, {("illegal_parking", "filed"): 1})
    frozen.close()
    other.close()


def test_a_batch_with_events_that_are_in_already_gives_the_new_ones_only(store):
    first, second, third = filed(case(1), case(2), case(3))
    store.apply([first], cursor=1)
    new = store.apply([first, second, replace(first, cursor=4), replace(second, cursor=5), third], cursor=5)
    assert [each.cursor for each in new or ()] == [2, 3]
    assert [each.cursor for each in store.events(after=0, limit=10)] == [1, 2, 3]


def test_what_no_database_can_hold_stops_nothing(store):
    raw = write_case_event(event(case(1, note="NOTE"))).decode()
    raw = raw.replace("NOTE", "a zero \\u0000 within")
    odd = read_case_event(raw).case
    store.apply([LoggedEvent(1, event(odd), raw)], cursor=1)
    store.apply([SetAside(2, "not \x00 JSON", "{\x00\ud83d"), logged(3, event(case(2)))], cursor=3)
    assert ids(store.cases(Wanted(words=("a zero",)), limit=5)) == [odd.id]
    assert store.case(f"{odd.id}\x00") is None
    assert store.case("\ud83d") is None
    assert (
        store.cases(Wanted(words=("\x00", "\ud83d"), scenes=("\x00",), cameras=("\x00",), grid_cell="\x00"), limit=5)
        == []
    )
    assert store.events(after=0, limit=5, wanted=EventFilter(scenes=("\x00",), grid_cells=("\x00",))) == []
    assert store.effects("\x00") == []
    assert not store.has_evidence("\x00")
    assert store.set_aside() == 1


def test_the_tables_are_what_the_migrations_make(opened):
    database = Database.open(opened.url)
    opened()
    with database.reading() as db:
        context = MigrationContext.configure(db, opts={"compare_type": True, "target_metadata": TABLES})
        faults = [each for each in compare_metadata(context, TABLES) if "cases_version" not in str(each)]
        indexes = {each["name"] for table in TABLES.tables for each in sa.inspect(db).get_indexes(table)}
    database.close()
    assert faults == []
    assert {each.name for table in TABLES.tables.values() for each in table.indexes} <= indexes


ASKED_ALL_DAY = {
    "SELECT body FROM cases ORDER BY filed_at DESC, id DESC LIMIT 50": "cases_newest",
    "SELECT body FROM cases WHERE (filed_at, id) < ('2026', 'x') ORDER BY filed_at DESC, id DESC LIMIT 50": "cases_newest",
    "SELECT cursor FROM case_events WHERE case_id = 'x' ORDER BY cursor": "case_events_of_case",
    "SELECT 1 FROM case_evidence WHERE ref = 'x'": "case_evidence",
    "SELECT cursor FROM case_events WHERE cause >= 'a' AND cause < 'b' AND cause IS NOT NULL": "case_events_by_cause",
}


def test_what_is_asked_for_all_day_is_found_by_an_index(store, opened):
    store.apply([logged(n, event(case(n, at=START + timedelta(seconds=n)))) for n in range(1, 1001)], cursor=1000)
    database = Database.open(opened.url)
    with database.writing() as db:
        for table in TABLES.tables:  # not all there is: the server has the tables of many other tests
            db.exec_driver_sql(f"ANALYZE {table}")
        for sought, index in ASKED_ALL_DAY.items():
            explained = db.exec_driver_sql(f"EXPLAIN {'' if database.postgres else 'QUERY PLAN '}{sought}")
            assert index in "\n".join(str(row) for row in explained), sought
    database.close()


def test_a_damaged_view_is_made_anew(tmp_path):
    path = tmp_path / "view.db"
    path.write_bytes(b"this is no database" * 500)
    store = SqlCases.file(path)
    assert store.cursor() == 0
    store.apply(filed(case(1)), cursor=1)
    store.close()


@pytest.mark.parametrize(
    "made_by",
    [
        "UPDATE cases_version SET version_num = '9999'",
        "DROP TABLE cases_version",  # as programs before versions left it: tables, and no word of them
        "DROP TABLE cases_read_to",
        "DELETE FROM cases_read_to",
    ],
)
def test_a_view_that_another_program_made_is_made_anew(tmp_path, made_by):
    path = tmp_path / "view.db"
    store = SqlCases.file(path)
    store.apply(filed(case(1)), cursor=1)
    store.close()
    with sqlite3.connect(path) as other:
        other.execute(made_by)
    other.close()
    again = SqlCases.file(path)
    assert (again.cursor(), again.counts()) == (0, {})
    again.apply(filed(case(1)), cursor=1)
    again.close()
    kept = SqlCases.file(path)
    assert kept.cursor() == 1
    kept.close()


def test_a_view_that_somebody_holds_is_waited_for_and_not_thrown_away(tmp_path, monkeypatch):
    monkeypatch.setattr("citybrain.database._BUSY_S", 0.1)
    path = tmp_path / "view.db"
    SqlCases.file(path).close()
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseAway, match="locked"):
            SqlCases.file(path)
        other.execute("ROLLBACK")
    other.close()
    assert path.exists()


def test_open_cases_are_counted_by_cell_and_light(store):
    cell, other = "530111001001003", "530111001001004"
    told = [
        case(1, grid_cell=cell),
        case(2, grid_cell=cell, light=Light.RED),
        case(3, grid_cell=other),
        case(4, grid_cell=None, light=Light.YELLOW),
        case(5, grid_cell=other, state=CaseState.CLOSED),
    ]
    store.apply(filed(*told), cursor=5)
    assert store.open_by_cell() == {(cell, "green"): 1, (cell, "red"): 1, (other, "green"): 1, (None, "yellow"): 1}
    store.apply([logged(6, event(replace(told[0], state=CaseState.REJECTED, version=2)))], cursor=6)
    assert store.open_by_cell() == {(cell, "red"): 1, (other, "green"): 1, (None, "yellow"): 1}


FAIR = Silence("silence-1", START, START + timedelta(hours=2), "li", "a fair", scene="illegal_parking")
WORKS = Silence("silence-2", START, START + timedelta(hours=1), "wang", "works", camera="gd-0002", grid_cell="5301")


def test_silences_are_kept_as_they_are_now_with_a_cursor_of_their_own(store):
    assert (store.silences(), store.silence_cursor(), store.silenced()) == ([], 0, {})
    store.take_silences([FAIR, WORKS], cursor=40)
    ended = replace(FAIR, until=START + timedelta(minutes=5))
    store.take_silences([ended], cursor=41)
    assert [each.silence for each in store.silences()] == [ended, WORKS]
    assert (store.silence_cursor(), store.cursor()) == (41, 0)


def test_silences_that_were_taken_in_before_change_nothing(store):
    ended = replace(FAIR, until=START + timedelta(minutes=5))
    store.take_silences([FAIR], cursor=40)
    store.take_silences([ended], cursor=41)
    store.take_silences([FAIR], cursor=40)  # a slower thread with what it had read
    assert [each.silence for each in store.silences()] == [ended]
    assert store.silence_cursor() == 41


def test_a_silence_counts_the_cases_it_held_and_those_it_holds(store):
    store.take_silences([FAIR, WORKS], cursor=1)
    held = [case(n, silenced=FAIR.id) for n in range(1, 5)]
    store.apply(filed(*held, case(5), case(6, silenced="routes-1")), cursor=6)
    after = [
        replace(held[0], silenced=None, version=2),
        replace(held[1], state=CaseState.CLOSED, version=2),
        replace(held[2], silenced=WORKS.id, version=2),
    ]
    store.apply([logged(n, event(each)) for n, each in enumerate(after, 7)], cursor=9)
    assert [(each.held, each.holding) for each in store.silences()] == [(4, 1), (1, 1)]
    assert store.silenced() == {FAIR.id: (4, 1), WORKS.id: (1, 1), "routes-1": (1, 1)}
    assert ids(store.cases(Wanted(silence=WORKS.id), limit=9)) == [held[2].id]
    assert len(store.cases(Wanted(silence=FAIR.id), limit=9)) == 4
    assert store.cases(Wanted(silence="silence-9"), limit=9) == []


def test_another_log_has_other_silences(store):
    store.take_silences([FAIR], cursor=40)
    store.apply(filed(case(1, silenced=FAIR.id)), cursor=1)
    store.reset()
    assert (store.silences(), store.silence_cursor(), store.silenced()) == ([], 0, {})
