"""Subscriptions, their cursors and their outbox in one SQLite file: what was judged and what must be told are one commit.

The file is nobody's view: it holds what people asked for and how far each was told, and cannot be made anew from the log. It
holds secrets, so its owner alone may read it.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from citybrain.clock import Clock
from citybrain.delivery.outbox import SCHEMA as OUTBOX
from citybrain.delivery.outbox import Outbox
from citybrain.errors import CityBrainError
from citybrain.ports import Outgoing
from events_api.ports import EventFilter
from events_api.subscriptions.records import Delivery, Standing, Subscription, filters_fields, read_filters

_SCHEMA = """
CREATE TABLE IF NOT EXISTS subscriptions (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, of_platform INTEGER NOT NULL, name TEXT NOT NULL, url TEXT NOT NULL,
    filters TEXT NOT NULL, cursor INTEGER NOT NULL, created_at REAL NOT NULL, revision INTEGER NOT NULL,
    secret TEXT NOT NULL, previous_secret TEXT, previous_until REAL,
    paused_at REAL, paused_reason TEXT NOT NULL, failing_since REAL,
    UNIQUE (owner, name)
);
CREATE TABLE IF NOT EXISTS attempts (
    endpoint TEXT NOT NULL, id TEXT NOT NULL, posted_at REAL NOT NULL, answered_at REAL NOT NULL, status INTEGER,
    PRIMARY KEY (endpoint, id)
) WITHOUT ROWID;
"""

_INSTANTS = ("created_at", "previous_until", "paused_at", "failing_since")
_NAMES = tuple(each.name for each in fields(Subscription))
_COLUMNS = ", ".join(_NAMES)


class NameTaken(CityBrainError):
    """The owner has a subscription of that name."""


class Subscriptions:
    """What people asked for. Each call has a connection to itself, so it may be made from any thread, in any process."""

    def __init__(self, path: Path, *, clock: Clock) -> None:
        self._path, self._clock = path, clock
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.chmod(0o600)  # SQLite gives its side files the same mode
        with self._open() as db:
            db.executescript(_SCHEMA + OUTBOX)

    def connect(self, *, durable: bool) -> sqlite3.Connection:
        """A connection of the caller's own. `durable` waits for the disk at each commit.

        Without it a power cut may take the last commits, whole: cursor and outbox go back together, and what was judged or
        told meanwhile is judged and told again, under the same ids.
        """
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        return connection

    def all(self) -> list[Subscription]:
        with self._open() as db:
            return every(db)

    def get(self, id: str) -> Subscription | None:
        with self._open() as db:
            return one(db, id)

    def add(self, made: Subscription) -> None:
        """Raises NameTaken."""
        values = [_stored(name, getattr(made, name)) for name in _NAMES]
        marks = ", ".join("?" * len(values))
        with self._open() as db:
            try:
                db.execute(f"INSERT INTO subscriptions ({_COLUMNS}) VALUES ({marks})", values)  # noqa: S608  # our own names
            except sqlite3.IntegrityError:
                raise NameTaken(f"there is a subscription {made.name!r} already") from None

    def change(self, before: Subscription, after: Subscription) -> bool:
        """Write what a person changed; false when somebody else changed it meanwhile. Raises NameTaken."""
        changed = {name: getattr(after, name) for name in _NAMES if getattr(after, name) != getattr(before, name)}
        changed["revision"] = before.revision + 1
        columns = ", ".join(f"{name} = ?" for name in changed)
        values = [_stored(name, value) for name, value in changed.items()]
        with self._open() as db:
            try:
                written = db.execute(
                    f"UPDATE subscriptions SET {columns} WHERE id = ? AND revision = ?",  # noqa: S608  # our own names
                    (*values, before.id, before.revision),
                )
            except sqlite3.IntegrityError:
                raise NameTaken(f"there is a subscription {after.name!r} already") from None
            return written.rowcount == 1

    def remove(self, id: str) -> bool:
        """Forget it, and what waits for it."""
        with self._open() as db, transaction(db):
            found = db.execute("DELETE FROM subscriptions WHERE id = ?", (id,)).rowcount == 1
            db.execute("DELETE FROM outbox WHERE endpoint = ?", (id,))
            db.execute("DELETE FROM attempts WHERE endpoint = ?", (id,))
        return found

    def replay(self, id: str, *, after: int) -> bool:
        """Tell it everything behind that cursor again, in order, judged by the filter that it has now.

        What waits goes, for it comes again: else an event of the time after `after` could overtake one before it.
        """
        with self._open() as db, transaction(db):
            subscription = one(db, id)
            if subscription is None:
                return False
            filters = filters_fields(((after, subscription.filter),))
            db.execute(
                "UPDATE subscriptions SET cursor = ?, filters = ?, revision = revision + 1 WHERE id = ?",
                (after, json.dumps(filters), id),
            )
            db.execute("DELETE FROM outbox WHERE endpoint = ?", (id,))
            db.execute("DELETE FROM attempts WHERE endpoint = ?", (id,))
        return True

    def put(self, outgoing: Outgoing) -> None:
        """One message to one subscriber that no log holds: a test."""
        with self._open() as db, transaction(db):
            Outbox(db, clock=self._clock).put(outgoing, at=self._clock.now())

    def resend(self, id: str, event: str) -> bool:
        """Once more, under its own id, whether it was taken or not. False when the event is no longer known, or waits anyway."""
        now = self._clock.now().timestamp()
        with self._open() as db:
            return (
                db.execute(
                    "UPDATE outbox SET state = 'waiting', attempts = 0, due_at = ?, waiting_since = ?, settled_at = NULL"
                    " WHERE endpoint = ? AND id = ? AND state <> 'waiting'",
                    (now, now, id, event),
                ).rowcount
                == 1
            )

    def standing(self, id: str) -> Standing:
        with self._open() as db:
            return standing(db, id)

    def deliveries(
        self, id: str, *, limit: int, states: Sequence[str] = (), before: int | None = None
    ) -> list[Delivery]:
        """The newest first; `before` goes on below the one of that number."""
        conditions, values = ["o.endpoint = ?"], list[object]([id])
        if states:
            conditions.append(f"o.state IN ({', '.join('?' * len(states))})")
            values += states
        if before is not None:
            conditions.append("o.n < ?")
            values.append(before)
        with self._open() as db:
            rows = db.execute(
                "SELECT o.n, o.id, o.case_id, o.body, o.state, o.attempts, o.reason, o.committed_at, o.due_at, o.settled_at,"  # noqa: S608
                " a.posted_at, a.answered_at, a.status FROM outbox AS o LEFT JOIN attempts AS a"
                f" ON a.endpoint = o.endpoint AND a.id = o.id WHERE {' AND '.join(conditions)} ORDER BY o.n DESC LIMIT ?",
                (*values, limit),
            ).fetchall()
        return [_delivery(row) for row in rows]

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(self.connect(durable=True)) as connection:
            yield connection


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    with Outbox(db).transaction():
        yield


def every(db: sqlite3.Connection) -> list[Subscription]:
    """All subscriptions, in order of owner and name."""
    rows: Iterable[tuple[Any, ...]] = db.execute(f"SELECT {_COLUMNS} FROM subscriptions ORDER BY owner, name")  # noqa: S608
    return [_subscription(row) for row in rows]


def one(db: sqlite3.Connection, id: str) -> Subscription | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM subscriptions WHERE id = ?", (id,)).fetchone()  # noqa: S608  # our own names
    return None if row is None else _subscription(row)


def standing(db: sqlite3.Connection, id: str) -> Standing:
    waiting, since, due = db.execute(
        "SELECT count(*), min(waiting_since), min(due_at) FROM outbox WHERE endpoint = ? AND state = 'waiting'", (id,)
    ).fetchone()
    [dead] = db.execute("SELECT count(*) FROM outbox WHERE endpoint = ? AND state = 'dead'", (id,)).fetchone()
    last = db.execute(
        "SELECT reason FROM outbox WHERE endpoint = ? AND state = 'waiting' AND attempts > 0 ORDER BY due_at LIMIT 1",
        (id,),
    ).fetchone()
    return Standing(
        waiting=waiting, dead=dead, waiting_since=_at(since), next_attempt_at=_at(due), reason=last[0] if last else ""
    )


def pause(db: sqlite3.Connection, id: str, *, at: datetime, reason: str) -> bool:
    """Tell it no more until somebody resumes it; false when it is paused already. Nothing is lost: its cursor stays."""
    return (
        db.execute(
            "UPDATE subscriptions SET paused_at = ?, paused_reason = ?, revision = revision + 1"
            " WHERE id = ? AND paused_at IS NULL",
            (at.timestamp(), reason, id),
        ).rowcount
        == 1
    )


def move_on(db: sqlite3.Connection, before: Subscription, *, cursor: int) -> bool:
    """Everything up to there was judged. False when somebody changed the subscription meanwhile: then nothing was."""
    filters = json.dumps(filters_fields(before.filters_behind(cursor)))
    return (
        db.execute(
            "UPDATE subscriptions SET cursor = ?, filters = ? WHERE id = ? AND revision = ? AND cursor = ?",
            (cursor, filters, before.id, before.revision, before.cursor),
        ).rowcount
        == 1
    )


def note_attempt(
    db: sqlite3.Connection, id: str, event: str, *, posted_at: datetime, answered_at: datetime, status: int | None
) -> None:
    db.execute(
        "INSERT INTO attempts VALUES (?, ?, ?, ?, ?) ON CONFLICT (endpoint, id) DO UPDATE SET"
        " posted_at = excluded.posted_at, answered_at = excluded.answered_at, status = excluded.status",
        (id, event, posted_at.timestamp(), answered_at.timestamp(), status),
    )


def note_failing(db: sqlite3.Connection, id: str, *, since: datetime | None) -> None:
    """It takes nothing since then, if that was not noted before; or (None) it has taken something."""
    if since is None:
        db.execute("UPDATE subscriptions SET failing_since = NULL WHERE id = ? AND failing_since IS NOT NULL", (id,))
    else:
        db.execute(
            "UPDATE subscriptions SET failing_since = ? WHERE id = ? AND failing_since IS NULL", (since.timestamp(), id)
        )


def forget(db: sqlite3.Connection, *, now: datetime, keep_dead: timedelta) -> None:
    """Old dead letters, attempts at what is no longer known, and secrets whose time is over."""
    db.execute("DELETE FROM outbox WHERE state = 'dead' AND settled_at < ?", ((now - keep_dead).timestamp(),))
    db.execute(
        "DELETE FROM attempts WHERE NOT EXISTS"
        " (SELECT 1 FROM outbox WHERE outbox.endpoint = attempts.endpoint AND outbox.id = attempts.id)"
    )
    db.execute(
        "UPDATE subscriptions SET previous_secret = NULL, previous_until = NULL WHERE previous_until <= ?",
        (now.timestamp(),),
    )


def with_filter(subscription: Subscription, wanted: EventFilter, *, after: int) -> Subscription:
    """The subscription with another filter for what comes after that cursor."""
    if wanted == subscription.filter:
        return subscription
    kept = tuple(each for each in subscription.filters if each[0] < after)
    return replace(subscription, filters=(*kept, (after, wanted)))


def _stored(name: str, value: Any) -> Any:
    if name == "filters":
        return json.dumps(filters_fields(value))
    return value.timestamp() if isinstance(value, datetime) else value


def _subscription(row: Sequence[Any]) -> Subscription:
    values = dict(zip(_NAMES, row, strict=True))
    for name in _INSTANTS:
        values[name] = _at(values[name])
    values["of_platform"] = bool(values["of_platform"])
    values["filters"] = read_filters(json.loads(values["filters"]))
    return Subscription(**values)


def _delivery(row: Sequence[Any]) -> Delivery:
    n, event, case, body, state, attempts, reason, queued, due, settled, posted, answered, status = row
    return Delivery(
        n=n,
        event=event,
        type=str(json.loads(bytes(body))["type"]),
        case=case,
        state=state,
        attempts=attempts,
        status=status,
        reason=reason,
        queued_at=datetime.fromtimestamp(queued, UTC),
        next_attempt_at=_at(due) if state == "waiting" else None,
        posted_at=_at(posted),
        answered_at=_at(answered),
        acknowledged_at=_at(settled) if state == "delivered" else None,
    )


def _at(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
