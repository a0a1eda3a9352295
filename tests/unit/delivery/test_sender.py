"""The sender's decisions: what is posted when, what is tried again, what is buried, and what a crash leaves behind."""

import asyncio
import logging
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citybrain.clock import ManualClock
from citybrain.delivery.outbox import KEEP_DELIVERED, SCHEMA, Outbox
from citybrain.delivery.sender import Pace, Sender
from citybrain.errors import NotDelivered, Refused
from citybrain.ports import Acknowledgement, Outgoing

START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class Dice(Random):
    """Always the same throw, so that a wait can be told in advance."""

    def __init__(self, throw=1.0):
        super().__init__(0)
        self.throw = throw

    def random(self):
        return self.throw


class Receiver:
    """A Notifier that fails as it is told, by case or for all (`*`), and takes the message otherwise."""

    def __init__(self, clock):
        self.clock = clock
        self.seen = []
        self.failing = {}
        self.door = asyncio.Event()
        self.door.set()
        self.most_at_once = self.at_once = 0

    async def notify(self, outgoing):
        self.seen.append(outgoing.id)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0)  # a network takes its time
            await self.door.wait()
        finally:
            self.at_once -= 1
        fault = self.failing.get(outgoing.case) or self.failing.get("*")
        if fault is not None:
            raise fault
        return Acknowledgement(self.clock.now(), self.clock.now(), f"D-{outgoing.case}")

    async def close(self):
        """Nothing is open."""


class City:
    """An outbox, a receiver, a sender and what it reported, on a clock that moves when told to."""

    def __init__(self, connection, *, throw=1.0, **pace):
        connection.executescript(SCHEMA + "CREATE TABLE IF NOT EXISTS told (id TEXT)")
        self.connection = connection
        self.clock = ManualClock(START)
        self.outbox = Outbox(connection, clock=self.clock)
        self.receiver = Receiver(self.clock)
        self.reported = []
        self.sender = Sender(
            self.outbox, {"desk": self.receiver}, self.clock, self.report, pace=Pace(**pace), random=Dice(throw)
        )

    def report(self, outgoing, ack, committed_at):
        assert self.connection.in_transaction
        self.connection.execute("INSERT INTO told VALUES (?)", (outgoing.id,))
        self.reported.append((outgoing.id, ack.external_id, committed_at))

    def put(self, *ids, endpoint="desk"):
        """`a1` is the first message of case `a`."""
        for id in ids:
            self.outbox.put(Outgoing(id, endpoint, id[0], b"{}"), at=self.clock.now())

    def told(self):
        return [row[0] for row in self.connection.execute("SELECT id FROM told ORDER BY rowid")]

    async def until_idle(self, limit=200):
        """Go from due time to due time until nothing waits."""
        for _ in range(limit):
            await self.sender.post_due()
            due_at = self.outbox.next_due_at()
            if due_at is None:
                return
            self.clock.advance(max(due_at - self.clock.now(), timedelta(0)))
        raise AssertionError(f"still waiting: {self.outbox.due(self.clock.now())}")


@pytest.fixture
def connection():
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection


@pytest.fixture
def city(connection):
    return City(connection)


async def test_what_is_delivered_is_reported_with_when_it_was_committed(city):
    city.put("a1")
    city.clock.advance(SECOND)
    assert await city.sender.post_due() == 1
    assert city.reported == [("a1", "D-a", START)]
    assert city.outbox.figures()["delivered"] == 1
    assert await city.sender.post_due() == 0


async def test_cases_go_at_once_and_each_in_its_order(city):
    city.put("a1", "b1", "a2", "c1", "b2")
    await city.until_idle()
    assert city.receiver.seen == ["a1", "b1", "c1", "a2", "b2"]
    assert city.receiver.most_at_once == 3


async def test_no_more_cases_than_allowed_go_at_once(connection):
    city = City(connection, at_once=2)
    city.put("a1", "b1", "c1", "d1", "e1")
    await city.until_idle()
    assert city.receiver.most_at_once == 2
    assert len(city.reported) == 5


async def test_a_failing_case_waits_longer_each_time_and_holds_back_its_later_messages_only(city):
    city.put("a1", "a2", "b1")
    city.receiver.failing = {"a": NotDelivered("answered 500")}
    await city.sender.post_due()
    assert city.receiver.seen == ["a1", "b1"]
    waits = []
    for _ in range(60):
        due_at = city.outbox.next_due_at()
        waits.append((due_at - city.clock.now()).total_seconds())
        city.clock.advance(due_at - city.clock.now())
        await city.sender.post_due()
    assert waits[:8] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    ages = [sum(waits[:n]) for n in range(len(waits))]
    for age, wait in zip(ages[8:], waits[8:], strict=True):
        assert wait == pytest.approx(min(600, max(30, age / 10)))
    assert waits[-1] == 600
    city.receiver.failing = {}
    await city.until_idle()
    assert city.receiver.seen[-2:] == ["a1", "a2"]
    assert [each[0] for each in city.reported] == ["b1", "a1", "a2"]


@given(failures=st.integers(0, 5000), throw=st.floats(0, 1, exclude_max=True))
def test_a_wait_is_a_random_share_of_a_step_that_is_never_longer_than_ten_minutes(failures, throw):
    pace = Pace()
    wait = pace.wait(failures, pace.longest_retry, Dice(throw))
    assert timedelta(0) <= wait <= min(pace.longest_retry, pace.first_retry * 2 ** min(failures, 20))


async def test_a_receiver_that_says_when_to_come_back_is_obeyed(city):
    city.put("a1")
    city.receiver.failing = {"a": NotDelivered("answered 429", retry_after_s=90)}
    await city.sender.post_due()
    assert city.outbox.next_due_at() == START + 90 * SECOND


async def test_a_refused_message_is_buried_at_once_and_the_case_goes_on(city):
    city.put("a1", "a2")
    city.receiver.failing = {"a": Refused("answered 422")}
    await city.sender.post_due()
    city.receiver.failing = {}
    await city.until_idle()
    assert [(each.id, each.reason) for each in city.outbox.dead()] == [("a1", "answered 422")]
    assert [each[0] for each in city.reported] == ["a2"]


async def test_after_three_days_a_message_is_buried_with_its_reason(city):
    city.put("a1")
    city.receiver.failing = {"*": NotDelivered("answered 503")}
    await city.until_idle(limit=600)
    assert city.clock.now() - START >= timedelta(days=3)
    [dead] = city.outbox.dead()
    assert dead.reason == "given up after 3d: answered 503"
    assert city.sender.figures()["given_up"] == 1


async def test_a_dead_letter_sent_again_is_delivered_under_its_id(city):
    city.put("a1")
    city.receiver.failing = {"a": Refused("answered 410")}
    await city.sender.post_due()
    city.receiver.failing = {}
    assert city.outbox.resend("a1") == 1
    await city.until_idle()
    assert city.receiver.seen == ["a1", "a1"]
    assert city.told() == ["a1"]


async def test_when_two_cases_find_it_down_a_single_message_asks(city):
    names = "abcdefgh"
    city.put(*(f"{name}1" for name in names))
    city.receiver.failing = {"*": NotDelivered("connection failed")}
    await city.sender.post_due()
    assert city.sender.figures()["down"] == ["desk"]
    first_round = len(city.receiver.seen)
    for second in range(600):
        city.clock.advance(SECOND)
        assert await city.sender.post_due() <= 1, f"more than one message asked in second {second}"
    asked = len(city.receiver.seen) - first_round
    assert 600 / 30 <= asked <= 600 / 30 + 8
    assert len(set(city.receiver.seen[first_round:])) > 1, "the same case must not be the only one to ask"


async def test_the_first_question_comes_soon_however_many_found_it_down(city):
    city.put(*(f"{name}1" for name in "abcdefgh"))
    city.receiver.failing = {"*": NotDelivered("connection failed")}
    await city.sender.post_due()
    for wait in (0.5, 1, 2, 4, 8, 16, 30, 30):
        city.clock.advance(timedelta(seconds=wait - 0.01))
        assert await city.sender.post_due() == 0
        city.clock.advance(timedelta(seconds=0.01))
        assert await city.sender.post_due() == 1


async def test_while_a_question_is_unanswered_no_other_is_asked(city):
    city.put(*(f"{name}1" for name in "abc"))
    city.receiver.failing = {"*": NotDelivered("connection failed")}
    await city.sender.post_due()
    city.receiver.door.clear()
    city.clock.advance(MINUTE)
    asking = asyncio.create_task(city.sender.post_due())
    await comes_true(lambda: len(city.receiver.seen) == 4)
    city.clock.advance(MINUTE)
    assert await city.sender.post_due() == 0
    city.receiver.door.set()
    assert await asking == 1


async def test_a_message_under_way_is_not_posted_beside_itself(city):
    city.put("a1", "a2")
    city.receiver.door.clear()
    posting = asyncio.create_task(city.sender.post_due())
    await comes_true(lambda: city.receiver.seen)
    city.put("b1")
    also = asyncio.create_task(city.sender.post_due())
    await comes_true(lambda: len(city.receiver.seen) == 2)
    assert city.receiver.seen == ["a1", "b1"]
    city.receiver.door.set()
    assert (await posting, await also) == (1, 1)


async def test_when_it_is_back_everything_that_failed_goes_at_once(city):
    names = "abcdefgh"
    city.put(*(f"{name}1" for name in names))
    city.receiver.failing = {"*": NotDelivered("connection failed")}
    for _ in range(60):
        await city.sender.post_due()
        city.clock.advance(MINUTE)
    city.receiver.failing = {}
    assert await city.sender.post_due() == 1
    assert city.sender.figures()["down"] == []
    assert await city.sender.post_due() == len(names) - 1
    assert sorted(city.told()) == [f"{name}1" for name in names]


async def test_one_case_alone_that_fails_keeps_nobody_waiting(city):
    city.put("a1")
    city.receiver.failing = {"a": NotDelivered("answered 500")}
    for _ in range(8):
        await city.sender.post_due()
        city.clock.advance(MINUTE)
    city.put("b1")
    await city.sender.post_due()
    assert city.told() == ["b1"]


async def test_an_endpoint_that_is_down_stops_no_other(connection):
    city = City(connection)
    other = Receiver(city.clock)
    sender = Sender(city.outbox, {"desk": city.receiver, "press": other}, city.clock, city.report, random=Dice())
    city.receiver.failing = {"*": NotDelivered("connection failed")}
    city.put("a1", "b1")
    city.put("a1", "b1", endpoint="press")
    await sender.post_due()
    city.put("c1", endpoint="press")
    await sender.post_due()
    assert other.seen == ["a1", "b1", "c1"]
    assert sender.figures()["down"] == ["desk"]


async def test_messages_for_an_endpoint_nobody_configured_wait(city):
    city.put("a1", endpoint="gone")
    city.put("b1")
    assert await city.sender.post_due() == 1
    assert city.outbox.figures()["endpoints"]["gone"]["waiting"] == 1


async def test_a_notifier_that_hangs_costs_its_own_case_only(connection):
    city = City(connection, attempt=timedelta(milliseconds=1))
    city.put("a1")
    city.receiver.door.clear()
    await city.sender.post_due()
    [queued] = city.outbox.due(START + MINUTE)
    assert (queued.attempts, queued.reason) == (1, "no answer within 0.001 s")


async def test_a_notifier_with_a_defect_is_a_failed_attempt(city, caplog):
    city.put("a1", "b1")
    city.receiver.failing = {"a": KeyError("external_id")}
    await city.sender.post_due()
    assert city.told() == ["b1"]
    assert city.outbox.due(START + MINUTE)[0].reason == "the notifier failed (KeyError)"
    assert city.sender.figures()["errors"] == 1
    assert "notifier of desk failed" in caplog.text


async def test_when_the_report_cannot_be_written_the_message_stays_and_is_posted_again(city, caplog):
    city.put("a1")
    city.connection.execute("ALTER TABLE told RENAME TO away")
    await city.sender.post_due()
    assert city.outbox.figures()["waiting"] == 1, "delivered and report are one transaction"
    assert "could not be recorded" in caplog.text
    city.connection.execute("ALTER TABLE away RENAME TO told")
    await city.sender.post_due()
    assert city.receiver.seen == ["a1", "a1"]
    assert city.told() == ["a1"]


async def comes_true(claim):
    async with asyncio.timeout(20):
        while not claim():  # noqa: ASYNC110  # what SQLite holds has no event
            await asyncio.sleep(0)


async def running(city, until):
    """Run the sender for real until the claim holds."""
    stop = asyncio.Event()
    run = asyncio.create_task(city.sender.run(stop))
    await comes_true(until)
    stop.set()
    await run


async def test_it_runs_until_told_to_stop_and_posts_what_is_put_meanwhile(city):
    city.put("a1")

    def put_more_then_all_told():
        if city.told() == ["a1"]:
            city.put("a2", "b1")
            city.sender.wake()
        return len(city.told()) == 3

    await running(city, put_more_then_all_told)
    assert sorted(city.told()) == ["a1", "a2", "b1"]


async def test_what_another_process_puts_is_seen_without_a_word(tmp_path):
    with (
        closing(sqlite3.connect(tmp_path / "city.db", isolation_level=None)) as connection,
        closing(sqlite3.connect(tmp_path / "city.db", isolation_level=None)) as elsewhere,
    ):
        city = City(connection, look_every=timedelta(milliseconds=2))
        stop = asyncio.Event()
        run = asyncio.create_task(city.sender.run(stop))
        await asyncio.sleep(0)
        Outbox(elsewhere).put(Outgoing("a1", "desk", "a", b"{}"), at=START)
        await comes_true(city.told)
        stop.set()
        await run
        assert city.told() == ["a1"]


async def test_stopping_waits_for_what_is_under_way(city):
    city.put("a1")
    city.receiver.door.clear()
    stop = asyncio.Event()
    run = asyncio.create_task(city.sender.run(stop))
    await comes_true(lambda: city.receiver.seen)
    stop.set()
    await asyncio.sleep(0)
    city.receiver.door.set()
    await run
    assert city.told() == ["a1"]


async def test_waking_a_sender_that_does_not_run_does_nothing(city):
    city.sender.wake()
    stop = asyncio.Event()
    stop.set()
    await city.sender.run(stop)
    city.sender.wake()


async def test_a_database_that_cannot_be_read_is_said_and_waited_for(city, caplog):
    city.connection.execute("ALTER TABLE outbox RENAME TO elsewhere")

    def said_then_mended():
        if city.sender.figures()["errors"] == 1 and city.clock.now() == START:
            city.connection.execute("ALTER TABLE elsewhere RENAME TO outbox")
            city.put("a1")
            city.clock.advance(2 * SECOND)
            city.sender.wake()
        return city.told() == ["a1"]

    with caplog.at_level(logging.ERROR):
        await running(city, said_then_mended)
    assert "cannot be read" in caplog.text


async def test_what_was_delivered_long_ago_is_trimmed_as_it_runs(city):
    city.put("a1")
    await city.sender.post_due()
    city.clock.advance(KEEP_DELIVERED + SECOND)
    await running(city, lambda: city.outbox.figures()["delivered"] == 0)


@settings(max_examples=40, deadline=None)
@given(
    put=st.lists(st.sampled_from("abcd"), min_size=1, max_size=14),
    faults=st.lists(st.sampled_from(["ok", "fail", "lost answer", "crash"]), max_size=60),
    throw=st.floats(0.05, 1),
)
def test_whatever_fails_each_case_is_told_in_order_and_nothing_is_lost(put, faults, throw):
    """`lost answer`: taken, but no answer came. `crash`: taken and answered, but the sender died before its commit."""
    taken, script = [], iter(faults)

    class Whimsical(Receiver):
        async def notify(self, outgoing):
            fault = next(script, "ok")
            if fault == "fail":
                raise NotDelivered("answered 500")
            taken.append(outgoing.id)
            if fault == "lost answer":
                raise NotDelivered("no answer")
            if fault == "crash":
                raise asyncio.CancelledError
            return Acknowledgement(self.clock.now(), self.clock.now())

    async def story():
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            city = City(connection)
            city.put(*(f"{case}{index:02}" for index, case in enumerate(put)))
            for _ in range(400):
                # Each round a new process: what the last one knew by heart is gone.
                receiver = Whimsical(city.clock)
                city.sender = Sender(city.outbox, {"desk": receiver}, city.clock, city.report, random=Dice(throw))
                try:
                    await city.sender.post_due()
                except asyncio.CancelledError:
                    await asyncio.sleep(0)
                due_at = city.outbox.next_due_at()
                if due_at is None:
                    break
                city.clock.advance(max(due_at - city.clock.now(), timedelta(0)))
            return city.told()

    told = asyncio.run(story())
    wanted = [f"{case}{index:02}" for index, case in enumerate(put)]
    assert sorted(told) == sorted(wanted)
    for case in set(put):
        first_taken = [id for id in dict.fromkeys(taken) if id[0] == case]
        assert first_taken == [id for id in wanted if id[0] == case]
        assert [id for id in told if id[0] == case] == first_taken


async def test_an_endpoint_admitted_later_is_posted_to_and_one_dismissed_is_not(city):
    late = Receiver(city.clock)
    city.put("a1", endpoint="late")
    assert await city.sender.post_due() == 0
    city.sender.admit("late", late)
    assert await city.sender.post_due() == 1
    city.sender.dismiss("late")
    city.put("a2", endpoint="late")
    assert await city.sender.post_due() == 0
    assert late.seen == ["a1"]


async def test_an_attempt_under_way_at_an_endpoint_that_is_dismissed_counts_as_ever(city):
    city.receiver.door.clear()
    city.put("a1")
    posting = asyncio.create_task(city.sender.post_due())
    while not city.receiver.seen:  # noqa: ASYNC110  # until the attempt is under way
        await asyncio.sleep(0)
    city.sender.dismiss("desk")
    city.receiver.door.set()
    await posting
    assert city.told() == ["a1"]


async def test_an_endpoint_admitted_anew_is_asked_at_once_although_it_was_down(city):
    city.receiver.failing["*"] = NotDelivered("answered 503", retry_after_s=600)
    city.put("a1", "b1")
    await city.sender.post_due()
    assert city.sender.figures()["down"] == ["desk"]
    city.receiver.failing.clear()
    city.sender.admit("desk", city.receiver)
    city.outbox.hasten("desk", at=city.clock.now())
    assert await city.sender.post_due() == 2
    assert city.told() == ["a1", "b1"]
