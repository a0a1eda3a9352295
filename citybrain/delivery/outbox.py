"""What must still be told to whom: rows in a database of its writer's, put in the commit that caused them.

    put ──► waiting ──► delivered      kept for a week, so that saying it twice stays harmless, then trimmed
               │  ▲
               │  └── retry (later), resend (by a person)
               └────► dead            kept until someone resends or discards it

For one receiver the messages of a case leave in the order they were put; other cases do not wait for them. A dead
letter holds nobody up: each later message carries the whole case.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from citybrain.clock import Clock, SystemClock, iso
from citybrain.delivery.owed import Queued, at_second
from citybrain.ports import Acknowledgement, Outgoing

SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    case_id TEXT NOT NULL,
    body BLOB NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
    attempts INTEGER NOT NULL DEFAULT 0,
    committed_at REAL NOT NULL,
    waiting_since REAL NOT NULL,
    due_at REAL NOT NULL,
    settled_at REAL,
    reason TEXT NOT NULL DEFAULT '',
    external_id TEXT,
    UNIQUE (endpoint, id)
);
CREATE INDEX IF NOT EXISTS outbox_in_order ON outbox (endpoint, case_id, n) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS outbox_by_due ON outbox (endpoint, due_at, n, case_id) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS outbox_delivered ON outbox (settled_at) WHERE state = 'delivered';
CREATE INDEX IF NOT EXISTS outbox_dead ON outbox (settled_at) WHERE state = 'dead';
CREATE INDEX IF NOT EXISTS outbox_by_state ON outbox (endpoint, state);
"""

KEEP_DELIVERED = timedelta(days=7)

_FIELDS = "o.id, o.endpoint, o.case_id, o.body, o.attempts, o.committed_at, o.waiting_since, o.due_at, o.reason, o.n"
# The indexes are named because the planner, not knowing that little waits and much is delivered, takes one that makes
# the question quadratic.
_WAITING = "outbox AS o INDEXED BY outbox_by_due"
_IS_HEAD = """o.state = 'waiting' AND NOT EXISTS (
    SELECT 1 FROM outbox AS p INDEXED BY outbox_in_order
    WHERE p.endpoint = o.endpoint AND p.case_id = o.case_id AND p.state = 'waiting' AND p.n < o.n)"""


class Outbox:
    """The table through one connection, which has `isolation_level=None`. Nothing here begins a transaction but
    `transaction()`; `put` belongs into the caller's.
    """

    def __init__(self, connection: sqlite3.Connection, *, clock: Clock | None = None) -> None:
        self._connection = connection
        self._clock = clock or SystemClock()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """BEGIN IMMEDIATE … COMMIT on the outbox's connection; an exception rolls back and goes on its way."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def put(self, event: Outgoing, *, at: datetime, due_at: datetime | None = None) -> bool:
        """Keep a message until it is delivered, within the caller's transaction. False when it was put before.

        `due_at` holds it, and what the case has to tell this endpoint after it, back until then.
        """
        cursor = self._connection.execute(
            "INSERT INTO outbox (id, endpoint, case_id, body, committed_at, waiting_since, due_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (endpoint, id) DO NOTHING",
            (event.id, event.endpoint, event.case, event.body, _s(at), _s(at), _s(due_at or at)),
        )
        return cursor.rowcount == 1

    def due(self, now: datetime, limit: int = 100, *, endpoints: Collection[str] | None = None) -> list[Queued]:
        """The first waiting message of each (endpoint, case) whose time has come, longest due first."""
        wanted, names = _only(endpoints)
        return self._read(
            f"{_IS_HEAD} AND o.due_at <= ?{wanted} ORDER BY o.due_at, o.n LIMIT ?", (_s(now), *names, limit)
        )

    def due_each(self, now: datetime, limits: Mapping[str, int]) -> list[Queued]:
        """As `due`, so many at most for each of these endpoints; those of one endpoint in their order."""
        return [each for endpoint, limit in limits.items() for each in self.due(now, limit, endpoints=[endpoint])]

    def probes(self, endpoint: str, now: datetime, limit: int = 1) -> list[Queued]:
        """As `due`, and what failed before even if its next attempt is due later: to ask whether it is back."""
        return self._read(
            f"{_IS_HEAD} AND o.endpoint = ? AND (o.due_at <= ? OR o.attempts > 0) ORDER BY o.due_at, o.n LIMIT ?",
            (endpoint, _s(now), limit),
        )

    def next_due_at(self, *, endpoints: Collection[str] | None = None) -> datetime | None:
        """When the next message that is first of its case comes due; None when nothing waits."""
        wanted, names = _only(endpoints)
        row = self._connection.execute(
            f"SELECT o.due_at FROM {_WAITING} WHERE {_IS_HEAD}{wanted} ORDER BY o.due_at LIMIT 1",  # noqa: S608
            names,
        ).fetchone()
        return None if row is None else at_second(row[0])

    def delivered(self, outgoing: Outgoing, ack: Acknowledgement) -> bool:
        """The receiver has it. False when that was known before."""
        return self._settle(outgoing, "delivered", at=ack.acknowledged_at, reason="", external_id=ack.external_id)

    def retry(self, outgoing: Outgoing, *, at_next: datetime, reason: str) -> None:
        """The attempt failed; the next one is due then."""
        self._connection.execute(
            "UPDATE outbox SET attempts = attempts + 1, due_at = ?, reason = ?"
            " WHERE endpoint = ? AND id = ? AND state = 'waiting' AND n = ifnull(?, n)",
            (_s(at_next), reason, *_which(outgoing)),
        )

    def bury(self, outgoing: Outgoing, reason: str) -> None:
        """A dead letter: no further attempt is made unless someone resends it."""
        self._settle(outgoing, "dead", at=self._clock.now(), reason=reason, external_id=None)

    def hasten(self, endpoint: str, *, at: datetime) -> int:
        """The endpoint is back: what failed before is due then, not later. What was held back on purpose stays so."""
        return self._connection.execute(
            "UPDATE outbox INDEXED BY outbox_by_due SET due_at = ?"
            " WHERE endpoint = ? AND state = 'waiting' AND attempts > 0 AND due_at > ?",
            (_s(at), endpoint, _s(at)),
        ).rowcount

    def dead(self, limit: int = 100, *, endpoint: str | None = None) -> list[Queued]:
        """The dead letters, the latest first, with the reason of each."""
        wanted, names = _only(None if endpoint is None else [endpoint])
        order = "ORDER BY o.settled_at DESC, o.n DESC LIMIT ?"
        return self._read(
            f"o.state = 'dead'{wanted} {order}", (*names, limit), table="outbox AS o INDEXED BY outbox_dead"
        )

    def resend(self, id: str, *, endpoint: str | None = None) -> int:
        """Give a dead letter its chance again, under the same id; how many there were (one for each endpoint)."""
        wanted, names = _only(None if endpoint is None else [endpoint], alias="")
        now = _s(self._clock.now())
        return self._connection.execute(
            "UPDATE outbox SET state = 'waiting', attempts = 0, due_at = ?, waiting_since = ?, settled_at = NULL"  # noqa: S608
            f" WHERE id = ? AND state = 'dead'{wanted}",
            (now, now, id, *names),
        ).rowcount

    def discard(self, id: str, *, endpoint: str) -> bool:
        """Forget a dead letter for good."""
        cursor = self._connection.execute(
            "DELETE FROM outbox WHERE id = ? AND endpoint = ? AND state = 'dead'", (id, endpoint)
        )
        return cursor.rowcount == 1

    def trim(self, *, before: datetime) -> int:
        """Forget what was delivered before then; how many. Dead letters stay."""
        return self._connection.execute(
            "DELETE FROM outbox INDEXED BY outbox_delivered WHERE state = 'delivered' AND settled_at < ?", (_s(before),)
        ).rowcount

    def mark(self) -> tuple[int, int]:
        """Changes whenever anyone may have written to the database, through this connection or another."""
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return int(version), self._connection.total_changes

    def figures(self) -> Mapping[str, Any]:
        """Counts by endpoint, and since when the longest waiting message waits."""
        endpoints: dict[str, dict[str, int]] = {}
        for endpoint, state, count in self._connection.execute(
            "SELECT endpoint, state, count(*) FROM outbox GROUP BY endpoint, state ORDER BY endpoint, state"
        ):
            endpoints.setdefault(endpoint, {"waiting": 0, "delivered": 0, "dead": 0})[state] = count
        totals = {state: sum(each[state] for each in endpoints.values()) for state in ("waiting", "delivered", "dead")}
        oldest = self._connection.execute(
            "SELECT min(o.waiting_since) FROM outbox AS o INDEXED BY outbox_by_due WHERE o.state = 'waiting'"
        ).fetchone()[0]
        return {
            **totals,
            "oldest_waiting_at": None if oldest is None else iso(at_second(oldest)),
            "endpoints": endpoints,
        }

    def _settle(self, outgoing: Outgoing, state: str, *, at: datetime, reason: str, external_id: str | None) -> bool:
        cursor = self._connection.execute(
            "UPDATE outbox SET state = ?, attempts = attempts + 1, settled_at = ?, reason = ?, external_id = ?"
            " WHERE endpoint = ? AND id = ? AND state = 'waiting' AND n = ifnull(?, n)",
            (state, _s(at), reason, external_id, *_which(outgoing)),
        )
        return cursor.rowcount == 1

    def _read(self, where: str, values: tuple[Any, ...], *, table: str = _WAITING) -> list[Queued]:
        rows = self._connection.execute(f"SELECT {_FIELDS} FROM {table} WHERE {where}", values)  # noqa: S608  # our own text
        return [Queued.stored(row) for row in rows.fetchall()]


def _only(endpoints: Collection[str] | None, *, alias: str = "o.") -> tuple[str, list[str]]:
    if endpoints is None:
        return "", []
    if not endpoints:  # `IN ()` would leave a named index without use, which SQLite refuses
        return f" AND {alias}endpoint IS NULL", []
    return f" AND {alias}endpoint IN ({', '.join('?' * len(endpoints))})", sorted(endpoints)


def _which(outgoing: Outgoing) -> tuple[str, str, int | None]:
    return outgoing.endpoint, outgoing.id, outgoing.n if isinstance(outgoing, Queued) else None


def _s(at: datetime) -> float:
    return at.timestamp()
