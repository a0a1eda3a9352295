"""Keys and sessions in a database that several replicas of the API share."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from citybrain.clock import Clock, iso
from citybrain.database import TEXT, Database, Migrations
from events_api.security import (
    KNOWN_WITHIN,
    SESSION_LASTS,
    Actor,
    Key,
    Role,
    check_key,
    kept_as,
    name_taken,
    new_key,
    new_session,
)

TABLES = Migrations("keys", "events_api.migrations.keys")

_known = sa.MetaData()
_keys = sa.Table("keys", _known, *(sa.Column(name, TEXT) for name in ("hash", "name", "role", "unit", "created_at")))
_sessions = sa.Table("sessions", _known, *(sa.Column(name, TEXT) for name in ("hash", "key", "until")))
_WHO = (_keys.c.name, _keys.c.role, _keys.c.unit)
_MOST_LATELY = 10_000


class SqlKeys:
    """Keys in two tables. Who was let in is not asked after again within `KNOWN_WITHIN`: a wall asks for its pictures each second.

    A session belongs to its key's hash, and not to an instant: the clocks of several machines need not agree about which came
    first, a session or a key made anew under an old name.
    """

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock, self._lately = database, clock, _Lately(clock)
        self._had_any_s = float("-inf")
        database.migrate(TABLES)

    def any(self) -> bool:
        asked_s = self._clock.monotonic()
        if asked_s - self._had_any_s < KNOWN_WITHIN.total_seconds():
            return True
        with self._database.reading() as db:
            found = db.execute(sa.select(_keys.c.hash).limit(1)).first() is not None
        if found:
            self._had_any_s = asked_s
        return found

    def all(self) -> list[Key]:
        asked = sa.select(_keys).order_by(_keys.c.created_at, _keys.c.name)
        with self._database.reading() as db:
            return [Key(row.name, Role(row.role), row.hash, row.created_at, unit=row.unit) for row in db.execute(asked)]

    def add(self, name: str, role: Role, *, unit: str | None = None) -> str:
        check_key(name, role, unit)
        token = new_key()
        values = {"hash": kept_as(token), "name": name, "role": role.value, "unit": unit}
        try:
            with self._database.writing() as db:
                db.execute(sa.insert(_keys).values(**values, created_at=iso(self._clock.now())))
        except IntegrityError:
            raise name_taken(name) from None
        return token

    def revoke(self, name: str) -> bool:
        with self._database.writing() as db:
            found = db.execute(sa.delete(_keys).where(_keys.c.name == name)).rowcount == 1  # and with it its sessions
        self._had_any_s = float("-inf")
        self._lately.forget()
        return found

    def actor(self, token: str) -> Actor | None:
        digest = kept_as(token)
        return self._let_in("key", digest, sa.select(*_WHO).where(_keys.c.hash == digest))

    def open_session(self, actor: Actor) -> str:
        token, now = new_session(), self._clock.now()
        its_key = sa.select(
            sa.literal(kept_as(token), TEXT), _keys.c.hash, sa.literal(iso(now + SESSION_LASTS), TEXT)
        ).where(_keys.c.name == actor.name)
        with self._database.writing() as db:
            db.execute(sa.delete(_sessions).where(_sessions.c.until <= iso(now)))
            db.execute(sa.insert(_sessions).from_select(["hash", "key", "until"], its_key))
        return token

    def close_session(self, token: str) -> None:
        with self._database.writing() as db:
            db.execute(sa.delete(_sessions).where(_sessions.c.hash == kept_as(token)))
        self._lately.forget()

    def close_sessions(self, name: str) -> None:
        its_key = sa.select(_keys.c.hash).where(_keys.c.name == name)
        with self._database.writing() as db:
            db.execute(sa.delete(_sessions).where(_sessions.c.key.in_(its_key)))
        self._lately.forget()

    def session(self, token: str) -> Actor | None:
        digest, now = kept_as(token), self._clock.now()
        asked = sa.select(*_WHO).join(_sessions, _sessions.c.key == _keys.c.hash)
        return self._let_in("session", digest, asked.where(_sessions.c.hash == digest, _sessions.c.until > iso(now)))

    def _let_in(self, by: str, digest: str, asked: sa.Select[Any]) -> Actor | None:
        if (lately := self._lately.get((by, digest))) is not None:
            return lately
        asked_s = self._clock.monotonic()
        with self._database.reading() as db:
            row = db.execute(asked).first()
        if row is None:
            return None  # not kept: a key made or a session opened elsewhere counts at once
        actor = Actor(row[0], Role(row[1]), row[2])
        self._lately.put((by, digest), actor, asked_s)
        return actor


class _Lately:
    """Who was let in within the last moment."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._known: OrderedDict[tuple[str, str], tuple[Actor, float]] = OrderedDict()
        self._forgotten_s = float("-inf")

    def get(self, who: tuple[str, str]) -> Actor | None:
        with self._lock:
            actor, asked_s = self._known.get(who, (None, 0.0))
        return actor if self._clock.monotonic() - asked_s < KNOWN_WITHIN.total_seconds() else None

    def put(self, who: tuple[str, str], actor: Actor, asked_s: float) -> None:
        with self._lock:
            if asked_s <= self._forgotten_s:
                return  # asked before something was revoked here
            self._known[who] = (actor, asked_s)
            self._known.move_to_end(who)
            while len(self._known) > _MOST_LATELY:
                self._known.popitem(last=False)

    def forget(self) -> None:
        with self._lock:
            self._known.clear()
            self._forgotten_s = self._clock.monotonic()
