"""What everything that keeps keys promises: a token opens what its role may, in this process and in every other, until revoked."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing
from datetime import timedelta

import pytest

from citybrain.clock import ManualClock
from citybrain.database import Database
from citybrain.errors import UsageError
from events_api.security import KNOWN_WITHIN, SESSION_LASTS, Actor, Role
from events_api.store.key_file import FileKeys
from events_api.store.key_tables import SqlKeys
from tests.services.api_city import START

UNIT = "traffic police"


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture(params=["file", "sqlite", "postgres"])
def another(request, tmp_path, clock):
    """Opens the same keys as another process does."""
    with ExitStack() as opened:
        if request.param == "file":
            yield lambda: FileKeys(tmp_path / "keys.json", clock=clock)
            return
        url = (
            request.getfixturevalue("postgres").empty() if request.param == "postgres" else f"sqlite:///{tmp_path}/k.db"
        )

        def process():
            return SqlKeys(opened.enter_context(closing(Database.open(url))), clock=clock)

        yield process


@pytest.fixture
def keys(another):
    return another()


@pytest.mark.parametrize("name", ["", "Two Words", "../x", "a" * 64, "-x", "关上", "a\0"])
def test_a_key_needs_a_plain_name(keys, name):
    with pytest.raises(UsageError, match="expected a key's name"):
        keys.add(name, Role.VIEWER)


def test_a_field_key_names_its_unit_and_no_other_key_does(keys):
    for role, unit in ((Role.FIELD, None), (Role.FIELD, ""), (Role.OPERATOR, UNIT)):
        with pytest.raises(UsageError, match="--unit"):
            keys.add("li", role, unit=unit)
    assert keys.actor(keys.add("li", Role.FIELD, unit=UNIT)) == Actor("li", Role.FIELD, UNIT)


def test_a_name_is_given_once(keys):
    keys.add("desk", Role.VIEWER)
    with pytest.raises(UsageError, match="already"):
        keys.add("desk", Role.ENGINEER)
    assert [key.role for key in keys.all()] == [Role.VIEWER]
    assert keys.revoke("desk")
    assert not keys.revoke("desk")
    assert not keys.any()


def test_keys_are_listed_in_the_order_they_were_made(keys, clock):
    for name in ("wang", "li", "zhang"):
        keys.add(name, Role.VIEWER)
        clock.advance(timedelta(seconds=1))
    assert [each.name for each in keys.all()] == ["wang", "li", "zhang"]


def test_nobody_is_let_in_by_a_token_that_is_no_key(keys):
    token = keys.add("desk", Role.PLATFORM)
    assert keys.actor(token) == Actor("desk", Role.PLATFORM)
    for wrong in (token[:-1], token + "x", "", "\0", "\ud800", "' OR 1=1 --"):
        assert keys.actor(wrong) is None
        assert keys.session(wrong) is None


def test_a_session_is_no_key_and_a_key_no_session(keys):
    key = keys.add("li", Role.OPERATOR)
    session = keys.open_session(keys.actor(key))
    assert keys.session(session) == keys.actor(key)
    assert keys.actor(session) is None
    assert keys.session(key) is None


def test_another_process_lets_in_at_once_whose_key_was_made_here(keys, another):
    other = another()
    assert not other.any()
    token = keys.add("desk", Role.VIEWER)
    assert other.any()
    assert other.actor(token) == Actor("desk", Role.VIEWER)


def test_another_process_lets_nobody_in_soon_after_the_key_was_revoked_here(keys, another, clock):
    other, token = another(), keys.add("desk", Role.VIEWER)
    session = other.open_session(other.actor(token))
    assert other.session(session) is not None
    keys.revoke("desk")
    assert keys.actor(token) is None
    assert keys.session(session) is None
    clock.advance(KNOWN_WITHIN)
    assert other.actor(token) is None
    assert other.session(session) is None
    assert not other.any()


def test_who_logs_in_here_is_in_there_and_who_leaves_there_has_left_here(keys, another, clock):
    other = another()
    actor = keys.actor(keys.add("li", Role.OPERATOR))
    here, there = keys.open_session(actor), other.open_session(actor)
    assert other.session(here) == keys.session(there) == actor
    other.close_session(here)
    assert other.session(here) is None
    clock.advance(KNOWN_WITHIN)
    assert keys.session(here) is None
    assert keys.session(there) == actor, "another session of the same key"


def test_leaving_everywhere_ends_every_session_of_that_key_alone(keys, another, clock):
    other = another()
    li, wang = (keys.actor(keys.add(name, Role.OPERATOR)) for name in ("li", "wang"))
    sessions = [keys.open_session(li), other.open_session(li)]
    of_wang = keys.open_session(wang)
    other.close_sessions("li")
    clock.advance(KNOWN_WITHIN)
    assert [keys.session(each) for each in sessions] == [None, None]
    assert keys.session(of_wang) == wang


def test_a_session_ends_after_its_hours_and_survives_a_restart(keys, another, clock):
    actor = keys.actor(keys.add("li", Role.OPERATOR))
    session = keys.open_session(actor)
    assert another().session(session) == actor
    clock.advance(SESSION_LASTS - timedelta(seconds=1))
    assert keys.session(session) == actor
    clock.advance(timedelta(seconds=2))
    assert keys.session(session) is None


def test_a_key_made_anew_under_an_old_name_opens_no_old_session(keys, clock):
    session = keys.open_session(keys.actor(keys.add("li", Role.OPERATOR)))
    keys.revoke("li")
    clock.advance(timedelta(minutes=1))
    keys.add("li", Role.ENGINEER)
    assert keys.session(session) is None


def test_many_who_come_in_at_once_all_have_their_session(keys, another):
    actor = keys.actor(keys.add("li", Role.OPERATOR))
    processes, sessions = [another() for _ in range(4)], list[str]()

    def come_in(process):
        sessions.extend(process.open_session(actor) for _ in range(5))

    threads = [threading.Thread(target=come_in, args=(each,)) for each in processes]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(set(sessions)) == 20
    assert {keys.session(each) for each in sessions} == {actor}


# -- what only one of them promises ---------------------------------------------------------------------------------------


def test_files_hold_hashes_for_their_owner_alone(tmp_path, clock):
    keys = FileKeys(tmp_path / "keys.json", clock=clock)
    token = keys.add("desk", Role.PLATFORM)
    session = keys.open_session(Actor("desk", Role.PLATFORM))
    for name, secret in (("keys.json", token), ("sessions.json", session)):
        assert secret not in (tmp_path / name).read_text()
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_tables_hold_hashes(database, clock):
    keys = SqlKeys(database, clock=clock)
    token = keys.add("desk", Role.PLATFORM)
    session = keys.open_session(Actor("desk", Role.PLATFORM))
    with database.reading() as db:
        held = [*db.exec_driver_sql("SELECT * FROM keys"), *db.exec_driver_sql("SELECT * FROM sessions")]
    assert len(held) == 2
    assert token not in str(held)
    assert session not in str(held)


def test_a_key_that_one_machine_makes_by_a_clock_that_is_fast_opens_sessions_on_another(database):
    fast, slow = ManualClock(START + timedelta(minutes=5)), ManualClock(START)
    token = SqlKeys(database, clock=fast).add("li", Role.OPERATOR)
    keys = SqlKeys(database, clock=slow)
    assert keys.actor(token) == (li := Actor("li", Role.OPERATOR))
    assert keys.session(keys.open_session(li)) == li


def test_who_was_just_let_in_is_not_asked_after_again(database, clock):
    keys = SqlKeys(database, clock=clock)
    token = keys.add("li", Role.OPERATOR)
    actor = keys.actor(token)
    with database.writing() as db:
        db.exec_driver_sql("ALTER TABLE keys RENAME TO elsewhere")
    assert keys.actor(token) == actor
