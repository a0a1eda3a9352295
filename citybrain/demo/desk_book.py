"""The desk's book: which messages came how often, and the cases they told of under the desk's own numbers.

A message is known by its webhook-id, a case by its CloudEvent subject. Of one case the message with the highest version
counts, in whatever order they come. Entry, number and the call back that follows are one commit.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from citybrain.clock import Clock, iso
from citybrain.delivery import outbox
from citybrain.errors import Unreadable
from citybrain.ports import Outgoing
from citybrain.wire import dumps, loads

CALLBACK = "callback"
STATUSES = ("accepted", "handling", "arrived", "done", "returned")
_AGAIN = "still there"
"""The reason of a case that a camera sent back, although its unit had said that it was done."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cases (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    external_id TEXT,
    version INTEGER NOT NULL,
    type TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'received',
    received_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    case_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    type TEXT NOT NULL,
    count INTEGER NOT NULL DEFAULT 1,
    first_at REAL NOT NULL,
    last_at REAL NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Step:
    """What the desk will say of a case it was given, and how long after; of the cases of one unit only, instead of the same step
    without a unit."""

    status: str
    after: timedelta
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the sender is told: the desk's number for the case, and whether this very message was here before."""

    external_id: str
    repeat: bool


class Book:
    """The SQLite file. One loop uses it; every method is one short transaction."""

    def __init__(self, path: Path | str, *, clock: Clock, course: Sequence[Step] = ()) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")  # what was acknowledged must outlive a power cut
        self._connection.executescript(_SCHEMA + outbox.SCHEMA)
        self._clock = clock
        self._course = tuple(course)
        self.outbox = outbox.Outbox(self._connection, clock=clock)

    def receive(self, message_id: str, body: bytes) -> Receipt:
        """Enter a message. Raises Unreadable when it is no case event."""
        fields = _case_event(body)
        case, version, kind = fields["subject"], fields["data"]["version"], fields["type"]
        now = self._clock.now()
        with self.outbox.transaction() as connection:
            (count,) = connection.execute(
                "INSERT INTO deliveries (id, case_id, version, type, first_at, last_at) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET count = count + 1, last_at = excluded.last_at RETURNING count",
                (message_id, case, version, kind, now.timestamp(), now.timestamp()),
            ).fetchone()
            (external_id,) = connection.execute(
                "INSERT INTO cases (id, version, type, received_at, updated_at, body) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at,"
                " type = iif(excluded.version > version, excluded.type, type),"
                " body = iif(excluded.version > version, excluded.body, body),"
                " version = max(excluded.version, version) RETURNING external_id",
                (case, version, kind, now.timestamp(), now.timestamp(), body),
            ).fetchone()
            first = external_id is None
            if first:
                (count_of_cases,) = connection.execute("SELECT count(*) FROM cases").fetchone()
                external_id = f"DD{now.year}{count_of_cases:06d}"
                connection.execute("UPDATE cases SET external_id = ? WHERE id = ?", (external_id, case))
            if first or (count == 1 and kind == "citybrain.case.reopened"):
                self._plan(fields, external_id, now)
            elif count == 1 and fields["data"].get("reason") == _AGAIN:
                self._plan(fields, external_id, now, only="done")
        return Receipt(external_id, repeat=count > 1)

    def called_back(self, body: bytes) -> None:
        """The caller knows the status now; within the transaction that says so."""
        said = loads(body)
        self._connection.execute("UPDATE cases SET status = ? WHERE id = ?", (said["status"], said["case"]))

    def cases(self) -> list[dict[str, Any]]:
        """The cases, the latest first, each with its newest event."""
        rows = self._connection.execute(
            "SELECT c.id, c.external_id, c.version, c.type, c.status, c.received_at, c.updated_at, c.body,"
            " (SELECT count(*) FROM deliveries AS d WHERE d.case_id = c.id),"
            " (SELECT sum(count) FROM deliveries AS d WHERE d.case_id = c.id)"
            " FROM cases AS c ORDER BY c.n DESC"
        )
        return [
            {
                "case": row[0],
                "external_id": row[1],
                "version": row[2],
                "type": row[3],
                "status": row[4],
                "received_at": _iso(row[5]),
                "updated_at": _iso(row[6]),
                "messages": row[8],
                "deliveries": row[9],
                "data": loads(row[7])["data"],
            }
            for row in rows.fetchall()
        ]

    def deliveries(self) -> list[dict[str, Any]]:
        """Each message in the order of its first arrival, with how often it came."""
        rows = self._connection.execute(
            "SELECT id, case_id, version, type, count, first_at, last_at FROM deliveries ORDER BY n"
        )
        return [
            {
                "id": row[0],
                "case": row[1],
                "version": row[2],
                "type": row[3],
                "count": row[4],
                "first_at": _iso(row[5]),
                "last_at": _iso(row[6]),
            }
            for row in rows.fetchall()
        ]

    def close(self) -> None:
        self._connection.close()

    def _plan(self, event: Mapping[str, Any], external_id: str, now: datetime, *, only: str = "") -> None:
        """Put what the desk will say of the case into its own outbox, each held back until its time."""
        case, version, unit = event["subject"], event["data"]["version"], event["data"].get("unit")
        special = {step.status for step in self._course if step.unit and step.unit == unit}
        for step in self._course:
            if (
                step.unit not in ("", unit)
                or (not step.unit and step.status in special)
                or only not in ("", step.status)
            ):
                continue
            at = now + step.after
            said = {"case": case, "external_id": external_id, "status": step.status, "note": "", "at": iso(at)}
            # The same case, version and status is the same statement, whoever restarts in between.
            facts = f"{external_id}|{case}|{version}|{step.status}"
            message_id = "desk-" + hashlib.sha256(facts.encode()).hexdigest()[:32]
            self.outbox.put(Outgoing(message_id, CALLBACK, case, dumps(said)), at=now, due_at=at)


def _case_event(body: bytes) -> Mapping[str, Any]:
    """A tolerant reader: what the desk needs must be there, anything else may."""
    fields = loads(body)
    if fields.get("specversion") != "1.0":
        raise Unreadable(f"specversion: expected '1.0', got {fields.get('specversion')!r}")
    for name in ("id", "type", "subject"):
        if not isinstance(fields.get(name), str) or not fields[name]:
            raise Unreadable(f"{name}: expected text, got {fields.get(name)!r}")
    data = fields.get("data")
    if not isinstance(data, dict) or type(data.get("version")) is not int:
        raise Unreadable("data.version: expected a whole number")
    return fields


def _iso(seconds: float) -> str:
    return iso(datetime.fromtimestamp(seconds, UTC))
