"""An outbox in a database that several processes share: the same promises as `Outbox`, for PostgreSQL and for SQLite.

Its statements are text, and the one for what comes first is not the same for both: neither planner knows that little waits and much
is delivered, nor how much waits just now, and either makes a quadratic question of it. SQLite is told which index to use, and
PostgreSQL, which takes no such word, is asked so that whatever it does is linear in what waits.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from citybrain.clock import Clock, SystemClock, iso
from citybrain.database import Database
from citybrain.delivery.owed import Queued, at_second
from citybrain.ports import Acknowledgement, Outgoing

SEEN_WITHIN = timedelta(seconds=1)
"""How soon a sender looks at what other processes wrote; of what its own wrote it knows at once."""

_NAME = re.compile(r":([a-z_0-9]+)")
_FIELDS = "o.id, o.endpoint, o.case_id, o.body, o.attempts, o.committed_at, o.waiting_since, o.due_at, o.reason, o.n"


class Changes:
    """Counts what this process has committed to an outbox, whichever thread did."""

    def __init__(self) -> None:
        self._lock, self.count = threading.Lock(), 0

    def note(self) -> None:
        """Call it after the commit: who sees the new count finds what was written."""
        with self._lock:
            self.count += 1


class SqlOutbox:
    """The table `outbox`, for one thread. What it does by itself is a transaction; within `transaction()` all of it is one.

    For one receiver the messages of a case keep their order if whoever puts them holds a lock on that receiver meanwhile.
    """

    def __init__(self, database: Database, *, clock: Clock | None = None, changes: Changes | None = None) -> None:
        self._database, self._clock, self._changes = database, clock or SystemClock(), changes or Changes()
        self._within: sa.Connection | None = None
        hint = "" if database.postgres else " INDEXED BY {}"
        self._waiting = "outbox AS o" + hint.format("outbox_by_due")
        self._dead = "outbox AS o" + hint.format("outbox_dead")
        self._hastened = "outbox" + hint.format("outbox_by_due")
        self._trimmed = "outbox" + hint.format("outbox_delivered")

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """One transaction on the outbox's database; an exception rolls back and goes on its way."""
        with self._database.writing() as db:
            self._within = db
            try:
                yield db
            finally:
                self._within = None
        self._changes.note()

    @property
    def within(self) -> sa.Connection:
        """The transaction that is under way."""
        assert self._within is not None, "no transaction is under way"  # noqa: S101
        return self._within

    def put(self, event: Outgoing, *, at: datetime, due_at: datetime | None = None) -> bool:
        """Keep a message until it is delivered, within the transaction if there is one. False when it was put before.

        `due_at` holds it, and what the case has to tell this endpoint after it, back until then.
        """
        values = {"id": event.id, "endpoint": event.endpoint, "case": event.case, "body": event.body}
        return (
            self._write(
                "INSERT INTO outbox (id, endpoint, case_id, body, committed_at, waiting_since, due_at)"
                " VALUES (:id, :endpoint, :case, :body, :at, :at, :due_at) ON CONFLICT (endpoint, id) DO NOTHING",
                **values,
                at=_s(at),
                due_at=_s(due_at or at),
            )
            == 1
        )

    def due(self, now: datetime, limit: int = 100, *, endpoints: Collection[str] | None = None) -> list[Queued]:
        wanted, names = _only(endpoints)
        order = "AND o.due_at <= :now ORDER BY o.due_at, o.n LIMIT :limit"
        return self._read(f"{self._heads(wanted)} {order}", now=_s(now), limit=limit, **names)

    def due_each(self, now: datetime, limits: Mapping[str, int]) -> list[Queued]:
        """In one question, for each is a way to the server and back."""
        if not limits:
            return []
        wanted, names = _only(limits)
        ranked = (
            f"SELECT {_FIELDS}, row_number() OVER (PARTITION BY o.endpoint ORDER BY o.due_at, o.n) AS place"  # noqa: S608
            f" FROM {self._heads(wanted)} AND o.due_at <= :now"
        )
        most = max(limits.values())
        rows = self._rows(
            f"SELECT * FROM ({ranked}) AS ranked WHERE place <= :most ORDER BY place",  # noqa: S608  # our own text
            now=_s(now),
            most=most,
            **names,
        )
        return [Queued.stored(row) for row in rows if row[10] <= limits[row[1]]]

    def probes(self, endpoint: str, now: datetime, limit: int = 1) -> list[Queued]:
        wanted, names = _only([endpoint])
        order = "AND (o.due_at <= :now OR o.attempts > 0) ORDER BY o.due_at, o.n LIMIT :limit"
        return self._read(f"{self._heads(wanted)} {order}", now=_s(now), limit=limit, **names)

    def next_due_at(self, *, endpoints: Collection[str] | None = None) -> datetime | None:
        wanted, names = _only(endpoints)
        found = self._rows(f"SELECT o.due_at FROM {self._heads(wanted)} ORDER BY o.due_at LIMIT 1", **names)  # noqa: S608
        return at_second(found[0][0]) if found else None

    def delivered(self, outgoing: Outgoing, ack: Acknowledgement) -> bool:
        return self._settle(outgoing, "delivered", at=ack.acknowledged_at, reason="", external_id=ack.external_id)

    def retry(self, outgoing: Outgoing, *, at_next: datetime, reason: str) -> None:
        which, values = _which(outgoing)
        self._write(
            f"UPDATE outbox SET attempts = attempts + 1, due_at = :at_next, reason = :reason WHERE {which}",  # noqa: S608
            at_next=_s(at_next),
            reason=reason,
            **values,
        )

    def bury(self, outgoing: Outgoing, reason: str) -> None:
        self._settle(outgoing, "dead", at=self._clock.now(), reason=reason, external_id=None)

    def hasten(self, endpoint: str, *, at: datetime) -> int:
        return self._write(
            f"UPDATE {self._hastened} SET due_at = :at"  # noqa: S608  # our own text
            " WHERE endpoint = :endpoint AND state = 'waiting' AND attempts > 0 AND due_at > :at",
            endpoint=endpoint,
            at=_s(at),
        )

    def dead(self, limit: int = 100, *, endpoint: str | None = None) -> list[Queued]:
        """The dead letters, the latest first, with the reason of each."""
        wanted, names = _only(None if endpoint is None else [endpoint])
        which = f"WHERE o.state = 'dead'{wanted} ORDER BY o.settled_at DESC, o.n DESC LIMIT :limit"
        return self._read(f"{self._dead} {which}", limit=limit, **names)

    def resend(self, id: str, *, endpoint: str | None = None) -> int:
        """Give a dead letter its chance again, under the same id; how many there were (one for each endpoint)."""
        wanted, names = _only(None if endpoint is None else [endpoint], alias="")
        return self._write(
            "UPDATE outbox SET state = 'waiting', attempts = 0, due_at = :now, waiting_since = :now, settled_at = NULL"  # noqa: S608
            f" WHERE id = :id AND state = 'dead'{wanted}",
            now=_s(self._clock.now()),
            id=id,
            **names,
        )

    def discard(self, id: str, *, endpoint: str) -> bool:
        """Forget a dead letter for good."""
        return (
            self._write(
                "DELETE FROM outbox WHERE id = :id AND endpoint = :endpoint AND state = 'dead'",
                id=id,
                endpoint=endpoint,
            )
            == 1
        )

    def trim(self, *, before: datetime) -> int:
        return self._write(
            f"DELETE FROM {self._trimmed} WHERE state = 'delivered' AND settled_at < :before",  # noqa: S608
            before=_s(before),
        )

    def mark(self) -> tuple[int, int]:
        return self._changes.count, int(self._clock.monotonic() / SEEN_WITHIN.total_seconds())

    def figures(self) -> Mapping[str, Any]:
        """Counts by endpoint, and since when the longest waiting message waits."""
        endpoints: dict[str, dict[str, int]] = {}
        for endpoint, state, count in self._rows(
            "SELECT endpoint, state, count(*) FROM outbox GROUP BY endpoint, state ORDER BY endpoint, state"
        ):
            endpoints.setdefault(endpoint, {"waiting": 0, "delivered": 0, "dead": 0})[state] = count
        totals = {state: sum(each[state] for each in endpoints.values()) for state in ("waiting", "delivered", "dead")}
        [(oldest,)] = self._rows(f"SELECT min(o.waiting_since) FROM {self._waiting} WHERE o.state = 'waiting'")  # noqa: S608
        return {
            **totals,
            "oldest_waiting_at": None if oldest is None else iso(at_second(oldest)),
            "endpoints": endpoints,
        }

    def _settle(self, outgoing: Outgoing, state: str, *, at: datetime, reason: str, external_id: str | None) -> bool:
        which, values = _which(outgoing)
        return (
            self._write(
                "UPDATE outbox SET state = :state, attempts = attempts + 1, settled_at = :at, reason = :reason,"  # noqa: S608
                f" external_id = :external_id WHERE {which}",
                state=state,
                at=_s(at),
                reason=reason,
                external_id=external_id,
                **values,
            )
            == 1
        )

    def _heads(self, wanted: str) -> str:
        """The first waiting message of each case, of the endpoints wanted: a table `o` with a condition that goes on by AND."""
        if self._database.postgres:
            first = (
                f"SELECT DISTINCT ON (o.endpoint, o.case_id) {_FIELDS} FROM outbox AS o WHERE o.state = 'waiting'{wanted}"  # noqa: S608
                " ORDER BY o.endpoint, o.case_id, o.n"
            )
            return f"({first}) AS o WHERE true"
        earlier = (
            "SELECT 1 FROM outbox AS p INDEXED BY outbox_in_order"
            " WHERE p.endpoint = o.endpoint AND p.case_id = o.case_id AND p.state = 'waiting' AND p.n < o.n"
        )
        return f"{self._waiting} WHERE o.state = 'waiting' AND NOT EXISTS ({earlier}){wanted}"

    def _read(self, which: str, **values: object) -> list[Queued]:
        return [Queued.stored(row) for row in self._rows(f"SELECT {_FIELDS} FROM {which}", **values)]  # noqa: S608  # our own text

    def _rows(self, statement: str, **values: object) -> list[Any]:
        if self._within is not None:
            return list(self._within.exec_driver_sql(self._said(statement), values))
        with self._database.reading() as db:
            return list(db.exec_driver_sql(self._said(statement), values))

    def _write(self, statement: str, **values: object) -> int:
        if self._within is not None:
            return self._within.exec_driver_sql(self._said(statement), values).rowcount
        with self.transaction() as db:
            return db.exec_driver_sql(self._said(statement), values).rowcount

    def _said(self, statement: str) -> str:
        """As the driver reads it: to have a statement compiled costs more than to have it executed."""
        return _as_psycopg(statement) if self._database.postgres else statement


@lru_cache(maxsize=256)
def _as_psycopg(statement: str) -> str:
    return _NAME.sub(r"%(\1)s", statement)


def _only(endpoints: Collection[str] | None, *, alias: str = "o.") -> tuple[str, dict[str, Any]]:
    if endpoints is None:
        return "", {}
    if not endpoints:  # `IN ()` would leave a named index without use, which SQLite refuses
        return f" AND {alias}endpoint IS NULL", {}
    names = {f"endpoint_{n}": endpoint for n, endpoint in enumerate(sorted(endpoints))}
    return f" AND {alias}endpoint IN (:{', :'.join(names)})", names


def _which(outgoing: Outgoing) -> tuple[str, dict[str, object]]:
    """The row that an attempt was made at; a message that is no row of ours names whichever waits."""
    which = "endpoint = :endpoint AND id = :id AND state = 'waiting'"
    values: dict[str, object] = {"endpoint": outgoing.endpoint, "id": outgoing.id}
    return (f"{which} AND n = :n", {**values, "n": outgoing.n}) if isinstance(outgoing, Queued) else (which, values)


def _s(at: datetime) -> float:
    return at.timestamp()
