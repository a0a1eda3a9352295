"""Which replica tells whom: each subscriber is told by one at a time, by some soon, and whatever happens never by two."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citybrain.clock import ManualClock
from citybrain.database import Database
from events_api.subscriptions.shares import BEATS_EVERY, LASTS, AllShares, Onlooker, SqlShares, new_replica, preferred
from events_api.subscriptions.store import TABLES
from tests.services.api_city import START

MANY = [f"s{n}" for n in range(40)]


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture
def replica(database, clock):
    database.migrate(TABLES)

    def started(name: str) -> SqlShares:
        return SqlShares(database, clock=clock, replica=name)

    return started


def idle(_: str) -> bool:
    return False


def rounds(clock, *replicas, count=1, wanted=MANY, busy=idle):
    """So many rounds of each, as they would come; whom each may tell after the last."""
    told = []
    for _ in range(count):
        clock.advance(BEATS_EVERY)
        told = [set(each.settle(wanted, busy=busy)) for each in replicas]
        assert_nobody_is_told_by_two(replicas)
    return told


def assert_nobody_is_told_by_two(replicas):
    for id in MANY:
        assert sum(each.holds(id) for each in replicas) <= 1, id


def test_a_replica_alone_tells_all_at_once(replica, clock):
    [told] = rounds(clock, replica("a"))
    assert told == set(MANY)


def test_two_share_them_and_a_third_relieves_both(replica, clock):
    a, b, c = replica("a"), replica("b"), replica("c")
    rounds(clock, a, count=3)
    told = rounds(clock, a, b, count=3)
    assert set.union(*told) == set(MANY)
    assert all(len(each) >= 10 for each in told)
    before = told
    told = rounds(clock, a, b, c, count=3)
    assert set.union(*told) == set(MANY)
    assert all(len(each) >= 5 for each in told)
    assert told[0] <= before[0], "nobody moves between those that stay"
    assert told[1] <= before[1]


def test_what_a_dead_replica_told_is_told_by_the_others_within_ten_seconds(replica, clock):
    a, b, c = replica("a"), replica("b"), replica("c")
    rounds(clock, a, b, c, count=4)
    of_the_dead = {id for id in MANY if c.holds(id)}
    taken_after = None
    for second in range(1, 11):
        told = rounds(clock, a, b)
        assert_nobody_is_told_by_two([a, b, c])
        if taken_after is None and set.union(*told) == set(MANY):
            taken_after = second
    assert of_the_dead
    assert taken_after is not None
    assert timedelta(seconds=taken_after) <= LASTS + 2 * BEATS_EVERY


def test_who_leaves_is_followed_at_once(replica, clock):
    a, b = replica("a"), replica("b")
    rounds(clock, a, b, count=3)
    b.leave()
    assert not any(b.holds(id) for id in MANY)
    assert rounds(clock, a) == [set(MANY)]


def test_what_is_just_being_posted_changes_hands_when_it_has_ended(replica, clock):
    a, b = replica("a"), replica("b")
    rounds(clock, a, count=2)
    posting = next(id for id in MANY if preferred(id, "ab") == "b")
    rounds(clock, a, b, busy=lambda id: id == posting)  # a sees b after its own round
    for _ in range(3):
        of_a, of_b = rounds(clock, a, b, busy=lambda id: id == posting)
        assert posting not in of_a, "it begins no other"
        assert posting not in of_b
        assert a.holds(posting)
    of_a, of_b = rounds(clock, a, b)
    assert posting in of_b
    assert not a.holds(posting)


def test_who_is_not_wanted_any_more_is_given_up(replica, clock):
    a = replica("a")
    rounds(clock, a)
    [told] = rounds(clock, a, wanted=["s1"])
    assert told == {"s1"}
    assert not a.holds("s2")
    clock.advance(BEATS_EVERY / 10)
    assert a.settle([], busy=idle) == frozenset(), "between two rounds, too"


def test_a_replica_that_slept_too_long_tells_nobody_until_it_has_beaten_again(replica, clock):
    a, b = replica("a"), replica("b")
    rounds(clock, a, b, count=3)
    its = {id for id in MANY if a.holds(id)}
    clock.advance(LASTS - timedelta(seconds=1))
    assert not any(a.holds(id) for id in MANY)
    rounds(clock, a, b)
    assert {id for id in MANY if a.holds(id)} == its


def test_a_replica_that_was_taken_for_dead_comes_back_as_new(replica, clock):
    a, b = replica("a"), replica("b")
    rounds(clock, a, b, count=3)
    assert rounds(clock, b, count=8) == [set(MANY)]
    told = rounds(clock, a, b, count=4)
    assert set.union(*told) == set(MANY)
    assert all(told)


def test_who_could_not_look_takes_nobody_for_dead(replica, clock):
    a, b = replica("a"), replica("b")
    rounds(clock, a, b, count=3)
    clock.advance(timedelta(minutes=1))  # the database was away for all of them
    told = rounds(clock, a)[0]
    assert told < set(MANY)
    assert set.union(*rounds(clock, a, b)) == set(MANY)


def test_all_replicas_that_died_are_followed_by_a_new_one(replica, clock):
    rounds(clock, replica("a"), replica("b"), count=3)
    c = replica("c")
    assert rounds(clock, c, count=8) == [set(MANY)]


@settings(max_examples=40)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("round"), st.integers(0, 2)),
            st.tuples(st.just("wait"), st.integers(1, 60)),
            st.tuples(st.just("leave"), st.integers(0, 2)),
        ),
        max_size=60,
    ),
    busy=st.sets(st.sampled_from(MANY[:6])),
)
def test_whatever_sleeps_dies_or_comes_nobody_is_told_by_two(steps, busy):
    clock = ManualClock(START)
    with closing(Database.memory()) as database:
        database.migrate(TABLES)
        replicas = [SqlShares(database, clock=clock, replica=name) for name in "abc"]
        for what, n in steps:
            if what == "round":
                replicas[n].settle(MANY[:6], busy=busy.__contains__)
            elif what == "leave":
                replicas[n].leave()
            else:
                clock.advance(timedelta(seconds=n / 10))
            assert_nobody_is_told_by_two(replicas)
        assert set.union(*rounds(clock, *replicas, count=12, wanted=MANY[:6])) == set(MANY[:6])


def test_an_onlooker_sees_who_stands_still(clock):
    onlooker = Onlooker(clock)
    for second in range(12):
        live, dead = onlooker.look({"a": second, "b": min(second, 3)})
        assert live == ({"a", "b"} if second < 8 else {"a"})
        assert dead == ({} if second < 8 else {"b": 3})
        clock.advance(timedelta(seconds=1))


def test_the_preferred_of_some_changes_only_with_whom_it_was():
    among = [f"replica-{n}" for n in range(5)]
    for fewer, more in pairwise([among[:n] for n in range(1, 6)]):
        moved = [id for id in MANY if preferred(id, fewer) != preferred(id, more)]
        assert all(preferred(id, more) == more[-1] for id in moved)
    assert preferred("s1", []) is None


def test_no_two_processes_have_one_name():
    assert new_replica() != new_replica()


def test_where_there_is_no_other_all_of_them_are_told():
    alone = AllShares()
    assert alone.settle(MANY, busy=idle) == frozenset(MANY)
    assert alone.holds("s1")
