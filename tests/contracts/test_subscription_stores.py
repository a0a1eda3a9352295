"""What every store of subscriptions keeps: what is wanted at which cursor, and all that one round of telling does or nothing."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.exc import DBAPIError

from citybrain import signing
from citybrain.bus.local import LocalBus
from citybrain.clock import ManualClock
from citybrain.ports import Outgoing
from citybrain.wire import CASE_EVENTS, write_case_event
from events_api.ports import EventFilter, StoredEvent
from events_api.security import Role
from events_api.store.key_file import FileKeys
from events_api.subscriptions.records import Standing, Subscription
from events_api.subscriptions.store import NameTaken, Subscriptions, with_filter
from events_api.subscriptions.telling import OWNER_REVOKED, Telling, Terms
from tests.services.api_city import START, case, event

FIRE, PARKING = EventFilter(scenes=("fire_risk",)), EventFilter(scenes=("illegal_parking",))


def subscription(**more) -> Subscription:
    known = {
        "id": "s1",
        "owner": "operator",
        "of_platform": False,
        "name": "platform",
        "url": "http://127.0.0.1:9/",
        "filters": ((0, EventFilter()),),
        "cursor": 0,
        "created_at": START,
        "secret": signing.new_secret(),
    }
    return Subscription(**{**known, **more})


def stored(cursor: int, scene: str = "fire_risk") -> StoredEvent:
    return StoredEvent(cursor, "citybrain.case.filed", scene, "case", None, "{}")


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture
def kept(database, clock):
    return Subscriptions(database, clock=clock)


@pytest.fixture
def bus(tmp_path):
    with closing(LocalBus(tmp_path / "citybrain.db")) as opened:
        yield opened


@pytest.fixture
async def telling(kept, bus, clock):
    made = Telling(kept, bus, clock=clock, keys=None, terms=Terms(most_waiting=3))
    yield made
    await made.close()


def test_each_filter_judges_what_was_logged_while_it_was_in_force():
    changed = with_filter(subscription(filters=((0, FIRE),)), PARKING, after=10)
    assert changed.filter == PARKING
    assert changed.wants(stored(10))
    assert not changed.wants(stored(11))
    assert changed.wants(stored(11, "illegal_parking"))
    assert changed.filters_behind(9) == ((0, FIRE), (10, PARKING))
    assert changed.filters_behind(10) == ((10, PARKING),)
    assert with_filter(changed, FIRE, after=10).filters == ((0, FIRE), (10, FIRE))
    assert with_filter(changed, PARKING, after=20) is changed


def test_the_secret_before_signs_along_until_its_time_is_over():
    rotated = subscription(secret="new", previous_secret="old", previous_until=START)
    assert rotated.secrets(START - timedelta(seconds=1)) == ("new", "old")
    assert rotated.secrets(START) == ("new",)
    assert "new" not in repr(rotated)
    assert "old" not in repr(rotated)


def test_a_subscription_is_kept_as_it_was_made(kept):
    made = subscription(
        filters=((3, FIRE), (7, EventFilter(types=("t",), severities=("low",), grid_cells=("53",), areas=("5301",)))),
        previous_secret="old",
        previous_until=START,
        paused_at=START,
        paused_reason="by li",
        failing_since=START,
        of_platform=True,
    )
    kept.add(made)
    assert kept.get("s1") == made
    with pytest.raises(NameTaken):
        kept.add(replace(made, id="s2"))
    kept.add(replace(made, id="s3", owner="another"))
    assert [each.id for each in kept.all()] == ["s3", "s1"]


def test_a_change_on_top_of_another_one_is_not_written(kept):
    kept.add(made := subscription())
    assert kept.change(made, replace(made, name="first"))
    assert not kept.change(made, replace(made, name="second"))
    assert kept.get("s1").name == "first"


def log(bus, *cases) -> int:
    return [bus.publish(CASE_EVENTS, each.locality, write_case_event(event(each))) for each in cases][-1]


def waiting(kept) -> list[str]:
    return [each.event for each in reversed(kept.deliveries("s1", limit=100))]


async def test_a_round_puts_what_the_filter_lets_through_and_moves_the_cursor(kept, bus, telling):
    kept.add(subscription(filters=((0, FIRE),)))
    end = log(bus, case(1), case(2, scene="fire_risk"), case(3))
    assert not telling.take_in()
    assert waiting(kept) == [event(case(2, scene="fire_risk")).id]
    assert kept.get("s1").cursor == end
    assert not telling.take_in()
    assert len(waiting(kept)) == 1


async def test_a_message_that_cannot_be_read_is_passed_by(kept, bus, telling):
    kept.add(subscription())
    bus.publish(CASE_EVENTS, "k", b"no json")
    log(bus, case(1))
    telling.take_in()
    assert waiting(kept) == [event(case(1)).id]


async def test_what_has_no_room_stays_in_the_log(kept, bus, telling):
    kept.add(subscription())
    log(bus, *(case(n) for n in range(1, 6)))
    telling.take_in()
    end = log(bus, case(6))
    telling.take_in()
    assert (len(waiting(kept)), kept.get("s1").cursor) == (5, end - 1)


async def test_a_paused_one_is_told_nothing_and_loses_nothing(kept, bus, telling):
    kept.add(paused := subscription(paused_at=START, paused_reason="by li"))
    log(bus, case(1))
    telling.take_in()
    assert waiting(kept) == []
    kept.change(paused, replace(paused, paused_at=None, paused_reason=""))
    telling.take_in()
    assert waiting(kept) == [event(case(1)).id]


async def test_another_log_is_told_from_its_beginning(kept, bus, telling):
    kept.add(subscription(cursor=1000, filters=((1000, EventFilter()),)))
    telling.take_in()
    assert kept.get("s1").cursor == 1000, "an empty log is no reason"
    log(bus, case(1))
    telling.take_in()
    telling.take_in()
    assert waiting(kept) == [event(case(1)).id]


async def test_a_replay_during_an_attempt_is_not_settled_by_it(kept, bus, telling):
    kept.add(subscription())
    log(bus, case(1))
    telling.take_in()
    outbox = kept.outbox()
    [under_way] = outbox.due(START)
    kept.replay("s1", after=0)
    telling.take_in()
    outbox.bury(under_way, "answered 422")
    [again] = outbox.due(START)
    assert again.id == under_way.id


async def test_everything_of_it_goes_when_it_is_removed(database, kept, bus, telling):
    kept.add(subscription())
    log(bus, case(1))
    telling.take_in()
    assert kept.remove("s1")
    assert not kept.remove("s1")
    telling.take_in()
    with database.reading() as db:
        for table in ("subscriptions", "outbox", "attempts"):
            assert db.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0


async def test_a_round_that_cannot_write_leaves_cursor_and_outbox_as_they_were(database, kept, bus, telling):
    kept.add(subscription())
    log(bus, case(1))
    with database.writing() as db:
        db.exec_driver_sql("ALTER TABLE outbox RENAME TO elsewhere")
    with pytest.raises(DBAPIError):
        telling.take_in()
    with database.writing() as db:
        db.exec_driver_sql("ALTER TABLE elsewhere RENAME TO outbox")
    assert (kept.get("s1").cursor, waiting(kept)) == (0, [])
    telling.take_in()
    assert waiting(kept) == [event(case(1)).id]


def test_what_is_stored_of_filters_is_plain_json(database, kept):
    kept.add(subscription(filters=((3, FIRE),)))
    with database.reading() as db:
        raw = db.exec_driver_sql("SELECT filters FROM subscriptions").scalar_one()
    assert json.loads(raw)[0][1]["scenes"] == ["fire_risk"]


async def test_dead_letters_of_a_month_and_secrets_whose_time_is_over_are_forgotten(kept, bus, telling, clock):
    kept.add(subscription(previous_secret="old", previous_until=START + timedelta(days=1)))
    log(bus, case(1), case(2))
    telling.take_in()
    outbox = kept.outbox()
    outbox.bury(outbox.due(START)[0], "answered 422")
    clock.advance(timedelta(days=29))
    telling.take_in()
    found = kept.get("s1")
    assert found is not None
    assert found.previous_secret is None
    assert [each.state for each in kept.deliveries("s1", limit=9)] == ["waiting", "dead"]
    clock.advance(timedelta(days=2))
    telling.take_in()
    assert [each.state for each in kept.deliveries("s1", limit=9)] == ["waiting"]


async def test_a_revoked_platform_key_pauses_what_belongs_to_it_alone(tmp_path, kept, bus, clock):
    keys = FileKeys(tmp_path / "keys.json", clock=clock)
    keys.add("platform", Role.PLATFORM)
    kept.add(subscription(owner="platform", of_platform=True))
    kept.add(subscription(id="s2", owner="li"))
    telling = Telling(kept, bus, clock=clock, keys=keys, terms=Terms())
    telling.take_in()
    assert kept.get("s1").paused_at is None
    keys.revoke("platform")
    clock.advance(timedelta(seconds=3))
    telling.take_in()
    assert kept.get("s1").paused_reason == OWNER_REVOKED
    assert kept.get("s2").paused_at is None
    await telling.close()


def test_the_standing_of_many_is_asked_at_once(kept):
    for n in range(1, 4):
        kept.add(subscription(id=f"s{n}", name=f"platform {n}"))
    outbox = kept.outbox()
    for n, due_s in ((1, 30), (2, 10), (3, 20)):
        outbox.put(Outgoing(f"e{n}", "s1", f"c{n}", b'{"type":"t"}'), at=START)
        outbox.retry(Outgoing(f"e{n}", "s1", f"c{n}", b""), at_next=START + timedelta(seconds=due_s), reason=f"r{n}")
    outbox.put(Outgoing("e1", "s2", "c1", b'{"type":"t"}'), at=START)
    outbox.bury(Outgoing("e1", "s2", "c1", b""), "answered 422")
    next_at = START + timedelta(seconds=10)
    assert {each.id: standing for each, standing in kept.with_standings()} == {
        "s1": Standing(waiting=3, dead=0, waiting_since=START, next_attempt_at=next_at, reason="r2"),
        "s2": Standing(dead=1),
        "s3": Standing(),
    }
    assert kept.with_standing("s2") == (kept.get("s2"), Standing(dead=1))
    assert kept.with_standing("s4") is None


async def test_two_who_judge_the_same_at_once_put_it_once(kept, bus, clock):
    kept.add(subscription())
    log(bus, *(case(n) for n in range(1, 400)))
    rounds = threading.Barrier(2)

    def judge():
        telling = Telling(kept, bus, clock=clock, keys=None, terms=Terms(most_waiting=9999))
        rounds.wait()
        while telling.take_in():
            """There is more of it."""

    await asyncio.gather(asyncio.to_thread(judge), asyncio.to_thread(judge))
    told = [each.event for each in kept.deliveries("s1", limit=999)]
    assert told == [event(case(n)).id for n in range(399, 0, -1)]
