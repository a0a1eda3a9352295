"""What a subscription wants at which cursor, what is kept of it, and what one round of telling does."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from citybrain import signing
from citybrain.bus.local import LocalBus
from citybrain.clock import ManualClock
from citybrain.delivery.outbox import Outbox
from citybrain.wire import CASE_EVENTS, write_case_event
from events_api.ports import EventFilter, StoredEvent
from events_api.security import Role
from events_api.store.key_file import FileKeys
from events_api.subscriptions.records import Subscription
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
def kept(tmp_path):
    return Subscriptions(tmp_path / "subscriptions.db", clock=ManualClock(START))


@pytest.fixture
def bus(tmp_path):
    with closing(LocalBus(tmp_path / "citybrain.db")) as opened:
        yield opened


@pytest.fixture
async def telling(kept, bus):
    with closing(kept.connect(durable=False)) as connection:
        made = Telling(connection, bus, clock=ManualClock(START), keys=None, terms=Terms(most_waiting=3))
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
    with closing(kept.connect(durable=False)) as connection:
        outbox = Outbox(connection, clock=ManualClock(START))
        [under_way] = outbox.due(START)
        kept.replay("s1", after=0)
        telling.take_in()
        outbox.bury(under_way, "answered 422")
        [again] = outbox.due(START)
    assert again.id == under_way.id


async def test_everything_of_it_goes_when_it_is_removed(kept, bus, telling):
    kept.add(subscription())
    log(bus, case(1))
    telling.take_in()
    assert kept.remove("s1")
    assert not kept.remove("s1")
    telling.take_in()
    with closing(kept.connect(durable=False)) as connection:
        for table in ("subscriptions", "outbox", "attempts"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


async def test_a_round_that_cannot_write_leaves_cursor_and_outbox_as_they_were(kept, bus, telling):
    kept.add(subscription())
    log(bus, case(1))
    with closing(kept.connect(durable=False)) as another:
        another.execute("CREATE TRIGGER full BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'full'); END")
        with pytest.raises(sqlite3.Error):
            telling.take_in()
        assert (kept.get("s1").cursor, waiting(kept)) == (0, [])
        another.execute("DROP TRIGGER full")
    telling.take_in()
    assert waiting(kept) == [event(case(1)).id]


def test_what_is_stored_of_filters_is_plain_json(kept):
    kept.add(subscription(filters=((3, FIRE),)))
    with closing(kept.connect(durable=False)) as connection:
        [(raw,)] = connection.execute("SELECT filters FROM subscriptions").fetchall()
    assert json.loads(raw)[0][1]["scenes"] == ["fire_risk"]


async def test_dead_letters_of_a_month_and_secrets_whose_time_is_over_are_forgotten(tmp_path, bus):
    clock = ManualClock(START)
    kept = Subscriptions(tmp_path / "subscriptions.db", clock=clock)
    kept.add(subscription(previous_secret="old", previous_until=START + timedelta(days=1)))
    log(bus, case(1), case(2))
    with closing(kept.connect(durable=False)) as connection:
        telling = Telling(connection, bus, clock=clock, keys=None, terms=Terms())
        telling.take_in()
        outbox = Outbox(connection, clock=clock)
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
        await telling.close()


async def test_a_revoked_platform_key_pauses_what_belongs_to_it_alone(tmp_path, kept, bus):
    clock = ManualClock(START)
    keys = FileKeys(tmp_path / "keys.json", clock=clock)
    keys.add("platform", Role.PLATFORM)
    kept.add(subscription(owner="platform", of_platform=True))
    kept.add(subscription(id="s2", owner="li"))
    with closing(kept.connect(durable=False)) as connection:
        telling = Telling(connection, bus, clock=clock, keys=keys, terms=Terms())
        telling.take_in()
        assert kept.get("s1").paused_at is None
        keys.revoke("platform")
        clock.advance(timedelta(seconds=3))
        telling.take_in()
        assert kept.get("s1").paused_reason == OWNER_REVOKED
        assert kept.get("s2").paused_at is None
        await telling.close()
