"""What an outbox keeps: each message until it is taken or buried, in order for each case, as one with its cause."""

import sqlite3
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from citybrain.clock import ManualClock
from citybrain.database import Database
from citybrain.delivery.outbox import SCHEMA, Outbox
from citybrain.delivery.sql_outbox import SEEN_WITHIN, Changes, SqlOutbox
from citybrain.ports import Acknowledgement, Outgoing
from events_api.subscriptions.store import TABLES

START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def message(id, case="case-1", endpoint="desk"):
    return Outgoing(id=id, endpoint=endpoint, case=case, body=f'{{"id":"{id}"}}'.encode())


def taken(at=START, external_id="D-1"):
    return Acknowledgement(posted_at=at, acknowledged_at=at, external_id=external_id)


def open_database(path):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(SCHEMA)
    return connection


@contextmanager
def at_connection(path, clock):
    """As the pipeline has it, beside its states."""
    with closing(open_database(path)) as connection:
        yield Outbox(connection, clock=clock), connection.execute


@contextmanager
def at_database(database, clock):
    """As the API has it, beside its subscriptions."""
    database.migrate(TABLES)

    def execute(statement):
        with database.writing() as db:
            db.exec_driver_sql(statement)

    with closing(database):
        yield SqlOutbox(database, clock=clock), execute


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture(params=["file", "memory", "sql in a file", "sql in memory", "sql in postgres"])
def opened(request, tmp_path, clock):
    """An outbox, and what executes a statement on its tables."""
    path = tmp_path / "city.db"
    made = {
        "file": lambda: at_connection(path, clock),
        "memory": lambda: at_connection(":memory:", clock),
        "sql in a file": lambda: at_database(Database.file(path), clock),
        "sql in memory": lambda: at_database(Database.memory(), clock),
        "sql in postgres": lambda: at_database(Database.open(request.getfixturevalue("postgres").empty()), clock),
    }
    with made[request.param]() as found:
        yield found


@pytest.fixture
def outbox(opened):
    return opened[0]


def ids(found):
    return [each.id for each in found]


def test_what_is_put_is_due_as_it_was_put(outbox):
    assert outbox.put(message("e1"), at=START)
    [queued] = outbox.due(START)
    assert (queued.id, queued.endpoint, queued.case, queued.body) == ("e1", "desk", "case-1", b'{"id":"e1"}')
    assert (queued.attempts, queued.committed_at, queued.reason) == (0, START, "")


def test_putting_it_twice_says_it_once_per_endpoint(outbox):
    assert outbox.put(message("e1"), at=START)
    assert not outbox.put(message("e1"), at=START + MINUTE)
    assert outbox.put(message("e1", endpoint="subscriber"), at=START)
    assert sorted(each.endpoint for each in outbox.due(START)) == ["desk", "subscriber"]


def test_putting_it_after_it_was_delivered_says_nothing_again(outbox):
    outbox.put(message("e1"), at=START)
    outbox.delivered(message("e1"), taken())
    assert not outbox.put(message("e1"), at=START + MINUTE)
    assert outbox.due(START + MINUTE) == []


def test_a_transaction_that_is_rolled_back_tells_nobody(outbox):
    def put_and_fail():
        with outbox.transaction():
            outbox.put(message("e1"), at=START)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        put_and_fail()
    assert outbox.due(START) == []
    with outbox.transaction():
        outbox.put(message("e1"), at=START)
    assert ids(outbox.due(START)) == ["e1"]


def test_each_case_waits_for_its_own_first_message_only(outbox):
    for id, case in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a"), ("b2", "b")):
        outbox.put(message(id, case), at=START)
    assert ids(outbox.due(START)) == ["a1", "b1"]
    outbox.retry(message("a1", "a"), at_next=START + MINUTE, reason="answered 500")
    assert ids(outbox.due(START)) == ["b1"]
    outbox.delivered(message("b1", "b"), taken())
    assert ids(outbox.due(START)) == ["b2"]
    assert ids(outbox.due(START + MINUTE)) == ["b2", "a1"]


def test_one_receiver_does_not_wait_for_another(outbox):
    for endpoint in ("desk", "subscriber"):
        outbox.put(message("e1", endpoint=endpoint), at=START)
        outbox.put(message("e2", endpoint=endpoint), at=START)
    outbox.delivered(message("e1"), taken())
    assert [(each.endpoint, each.id) for each in outbox.due(START)] == [("desk", "e2"), ("subscriber", "e1")]
    assert ids(outbox.due(START, endpoints=["desk"])) == ["e2"]
    assert outbox.due(START, endpoints=[]) == []


def test_each_receiver_is_asked_for_in_its_own_measure(outbox):
    for endpoint in ("desk", "subscriber", "other"):
        for n in range(4):
            outbox.put(message(f"{endpoint}{n}", f"case-{n}", endpoint), at=START + n * MINUTE)
    outbox.put(message("desk4", "case-0"), at=START)
    found = outbox.due_each(START + 9 * MINUTE, {"desk": 9, "subscriber": 2, "nobody": 3})
    assert [each.id for each in found if each.endpoint == "desk"] == ["desk0", "desk1", "desk2", "desk3"]
    assert [each.id for each in found if each.endpoint == "subscriber"] == ["subscriber0", "subscriber1"]
    assert len(found) == 6
    assert outbox.due_each(START, {}) == []


def test_a_failed_attempt_is_counted_with_its_reason(outbox):
    outbox.put(message("e1"), at=START)
    outbox.retry(message("e1"), at_next=START + MINUTE, reason="answered 503")
    assert outbox.due(START + MINUTE - timedelta(milliseconds=1)) == []
    [queued] = outbox.due(START + MINUTE)
    assert (queued.attempts, queued.reason, queued.committed_at) == (1, "answered 503", START)


def test_a_message_held_back_holds_back_its_case_and_is_no_probe(outbox):
    outbox.put(message("a1", "a"), at=START, due_at=START + MINUTE)
    outbox.put(message("a2", "a"), at=START)
    assert outbox.due(START) == []
    assert outbox.probes("desk", START) == []
    assert outbox.hasten("desk", at=START) == 0
    assert outbox.next_due_at() == START + MINUTE
    assert ids(outbox.due(START + MINUTE)) == ["a1"]


def test_a_probe_is_what_failed_and_comes_due_next(outbox):
    for case, minutes in (("a", 9), ("b", 5), ("c", 7)):
        outbox.put(message(f"{case}1", case), at=START)
        outbox.retry(message(f"{case}1", case), at_next=START + minutes * MINUTE, reason="answered 500")
    assert ids(outbox.probes("desk", START)) == ["b1"]
    assert ids(outbox.probes("desk", START, 3)) == ["b1", "c1", "a1"]
    assert outbox.hasten("desk", at=START) == 3
    assert len(outbox.due(START)) == 3


def test_the_next_time_is_the_first_of_each_case(outbox):
    assert outbox.next_due_at() is None
    outbox.put(message("a1", "a"), at=START)
    outbox.put(message("a2", "a"), at=START)
    outbox.retry(message("a1", "a"), at_next=START + 3 * MINUTE, reason="answered 500")
    assert outbox.next_due_at() == START + 3 * MINUTE
    assert outbox.next_due_at(endpoints=["subscriber"]) is None


def test_a_dead_letter_is_shown_and_holds_nobody_up(outbox, clock):
    outbox.put(message("e1"), at=START)
    outbox.put(message("e2"), at=START)
    clock.advance(MINUTE)
    outbox.bury(message("e1"), "answered 422")
    assert ids(outbox.due(START)) == ["e2"]
    [dead] = outbox.dead()
    assert (dead.id, dead.reason, dead.body) == ("e1", "answered 422", b'{"id":"e1"}')
    assert outbox.dead(endpoint="subscriber") == []


def test_a_dead_letter_sent_again_has_its_whole_chance_under_the_same_id(outbox, clock):
    outbox.put(message("e1"), at=START)
    outbox.retry(message("e1"), at_next=START, reason="answered 500")
    outbox.bury(message("e1"), "given up")
    clock.advance(24 * 60 * MINUTE)
    assert outbox.resend("e1") == 1
    assert outbox.resend("e1") == 0
    [queued] = outbox.due(clock.now())
    assert (queued.id, queued.attempts, queued.waiting_since) == ("e1", 0, clock.now())
    assert queued.committed_at == START
    assert outbox.dead() == []


def test_a_dead_letter_can_be_sent_again_to_one_endpoint_or_forgotten(outbox):
    for endpoint in ("desk", "subscriber"):
        outbox.put(message("e1", endpoint=endpoint), at=START)
        outbox.bury(message("e1", endpoint=endpoint), "answered 410")
    assert outbox.resend("e1", endpoint="desk") == 1
    assert not outbox.discard("e1", endpoint="desk")
    assert outbox.discard("e1", endpoint="subscriber")
    assert outbox.dead() == []
    assert [each.endpoint for each in outbox.due(START)] == ["desk"]


def test_a_message_is_delivered_once(outbox):
    outbox.put(message("e1"), at=START)
    assert outbox.delivered(message("e1"), taken())
    assert not outbox.delivered(message("e1"), taken())
    outbox.retry(message("e1"), at_next=START, reason="too late")
    outbox.bury(message("e1"), "too late")
    assert outbox.due(START + MINUTE) == []
    assert outbox.dead() == []


def test_what_was_delivered_is_forgotten_in_time_and_dead_letters_are_not(outbox, clock):
    for id in ("e1", "e2", "e3"):
        outbox.put(message(id, case=id), at=START)
    outbox.delivered(message("e1"), taken(START))
    outbox.delivered(message("e2"), taken(START + MINUTE))
    outbox.bury(message("e3"), "answered 410")
    assert outbox.trim(before=START + MINUTE) == 1
    assert outbox.figures()["delivered"] == 1
    assert ids(outbox.dead()) == ["e3"]


def test_the_figures_balance(outbox):
    for index in range(6):
        outbox.put(message(f"e{index}", case=f"c{index}"), at=START + index * MINUTE)
    outbox.put(message("e0", endpoint="subscriber"), at=START + 9 * MINUTE)
    outbox.delivered(message("e0"), taken())
    outbox.bury(message("e1"), "answered 410")
    assert outbox.figures() == {
        "waiting": 5,
        "delivered": 1,
        "dead": 1,
        "oldest_waiting_at": "2026-11-21T08:02:00.000Z",
        "endpoints": {
            "desk": {"waiting": 4, "delivered": 1, "dead": 1},
            "subscriber": {"waiting": 1, "delivered": 0, "dead": 0},
        },
    }


def test_the_mark_moves_when_something_is_put(outbox):
    before = outbox.mark()
    assert outbox.mark() == before
    outbox.put(message("e1"), at=START)
    assert outbox.mark() != before


def test_what_is_put_survives_the_process_and_is_seen_by_others(tmp_path):
    with closing(open_database(tmp_path / "city.db")) as other:
        onlooker = Outbox(other)
        before = onlooker.mark()
        with closing(open_database(tmp_path / "city.db")) as first:
            Outbox(first).put(message("e1"), at=START)
        assert onlooker.mark() != before
        assert ids(onlooker.due(START)) == ["e1"]


def test_what_another_process_puts_is_looked_for_soon(store_url, clock):
    with closing(Database.open(store_url)) as database, closing(Database.open(store_url)) as elsewhere:
        database.migrate(TABLES)
        onlooker = SqlOutbox(database, clock=clock)
        before = onlooker.mark()
        SqlOutbox(elsewhere).put(message("e1"), at=START)
        clock.advance(SEEN_WITHIN)
        assert onlooker.mark() != before
        assert ids(onlooker.due(START)) == ["e1"]


def test_postgres_that_knows_nothing_of_the_table_yet_makes_no_quadratic_question(postgres, clock):
    with closing(Database.open(postgres.empty())) as database:
        database.migrate(TABLES)
        outbox = SqlOutbox(database, clock=clock)
        with outbox.transaction():
            for n in range(300):
                outbox.put(message(f"e{n}", f"case-{n % 100}"), at=START)
        plan = "\n".join(row[0] for row in outbox._rows(f"EXPLAIN SELECT o.n FROM {outbox._heads('')}"))
        assert "Unique" in plan
        assert "Nested Loop" not in plan


def test_threads_of_one_process_see_each_others_changes_at_once(store_url, clock):
    with closing(Database.open(store_url)) as database:
        database.migrate(TABLES)
        changes = Changes()
        one, other = (SqlOutbox(database, clock=clock, changes=changes) for _ in range(2))
        before = one.mark()
        with other.transaction():
            other.put(message("e1"), at=START)
            assert one.mark() == before, "it is not committed"
        assert one.mark() != before


OUTCOMES = st.sampled_from(["delivered", "retry", "bury"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize(
    "opening",
    [lambda: at_connection(":memory:", ManualClock(START)), lambda: at_database(Database.memory(), ManualClock(START))],
    ids=["connection", "sql"],
)
@given(
    put=st.lists(st.sampled_from("abc"), min_size=1, max_size=12),
    outcomes=st.lists(OUTCOMES, min_size=0, max_size=40),
)
def test_whatever_happens_each_case_is_told_in_order_and_none_is_lost(opening, put, outcomes):
    with opening() as (outbox, _):
        now = START
        for index, case in enumerate(put):
            outbox.put(message(f"{case}-{index:02}", case), at=now)
        settled = []
        for outcome in [*outcomes, *["delivered"] * len(put)]:
            now += MINUTE
            for queued in outbox.due(now, 1):
                if outcome == "retry":
                    outbox.retry(queued, at_next=now, reason="answered 500")
                elif outcome == "bury":
                    outbox.bury(queued, "answered 410")
                    settled.append(queued)
                else:
                    outbox.delivered(replace(queued, attempts=0), taken(now))
                    settled.append(queued)
        assert sorted(ids(settled)) == sorted(f"{case}-{index:02}" for index, case in enumerate(put))
        for case in set(put):
            told = [each.id for each in settled if each.case == case]
            assert told == sorted(told)


def test_what_comes_of_an_attempt_at_what_was_forgotten_settles_nothing_put_anew(opened):
    outbox, execute = opened
    outbox.put(message("e1"), at=START)
    [under_way] = outbox.due(START)
    execute("DELETE FROM outbox")
    outbox.put(message("e1"), at=START)
    outbox.retry(under_way, at_next=START + MINUTE, reason="answered 500")
    outbox.bury(under_way, "answered 422")
    assert not outbox.delivered(under_way, taken())
    [again] = outbox.due(START)
    assert (again.id, again.attempts, again.n > under_way.n) == ("e1", 0, True)
