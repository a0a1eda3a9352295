"""How each sensor stands, and what of it is still to be told, in one SQLite file: a crash between the two loses neither."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS client (id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS standing (
    sensor TEXT NOT NULL, topic TEXT NOT NULL,
    is_on INTEGER NOT NULL, value REAL, at REAL, heard_at REAL, told BLOB,
    PRIMARY KEY (sensor, topic)
);
CREATE TABLE IF NOT EXISTS pending (n INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, value BLOB NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """One sensor's topic: its last value, when that was taken and when it was heard here; `told` is the report while it is on."""

    on: bool = False
    value: float | None = None
    at: datetime | None = None
    heard_at: datetime | None = None
    told: bytes | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    n: int
    key: str
    value: bytes


class Book:
    """Of one thread. What a method wrote is on the disk when it returns."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.executescript(_SCHEMA)

    def client(self) -> str:
        """The name under which the broker keeps what comes while we are away: made once, the same ever after."""
        row = self._connection.execute("SELECT id FROM client").fetchone()
        if row is None:
            row = (f"citybrain-{secrets.token_hex(6)}",)  # 22 letters: every broker takes 23
            self._connection.execute("INSERT INTO client VALUES (?)", row)
        return str(row[0])

    def standings(self) -> dict[tuple[str, str], Standing]:
        """All of them, by sensor and topic."""
        rows = self._connection.execute("SELECT sensor, topic, is_on, value, at, heard_at, told FROM standing")
        return {
            (sensor, topic): Standing(bool(on), value, _instant(at), _instant(heard_at), told)
            for sensor, topic, on, value, at, heard_at, told in rows
        }

    def put(self, standings: Mapping[tuple[str, str], Standing], *, tell: Sequence[tuple[str, bytes]] = ()) -> None:
        """How they stand now, and what is to be told of it, each with its key: all of it or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany(
                "INSERT OR REPLACE INTO standing VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (*key, each.on, each.value, _seconds(each.at), _seconds(each.heard_at), each.told)
                    for key, each in standings.items()
                ],
            )
            self._connection.executemany("INSERT INTO pending (key, value) VALUES (?, ?)", tell)
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise

    def forget(self, sensor: str) -> None:
        self._connection.execute("DELETE FROM standing WHERE sensor = ?", (sensor,))

    def pending(self) -> list[Pending]:
        """What is still to be told, the oldest first."""
        return [Pending(*row) for row in self._connection.execute("SELECT n, key, value FROM pending ORDER BY n")]

    def told(self, pending: Pending) -> None:
        self._connection.execute("DELETE FROM pending WHERE n = ?", (pending.n,))

    def close(self) -> None:
        self._connection.close()


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
