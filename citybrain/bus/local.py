"""The three topics as one SQLite table: an ordered, durable log that several processes of one machine share."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from citybrain.clock import Clock, SystemClock
from citybrain.ports import Message

SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
    offset INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    logged_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS log_by_topic ON log (topic, offset);
"""

_POLL = 0.02  # s; asking SQLite whether another process has written costs some 5 µs


def connect(path: Path, *, durable: bool) -> sqlite3.Connection:
    """Open the shared database in WAL mode; transactions are the caller's.

    `durable` waits for the disk at each commit, so that a power cut loses nothing; without it a commit still survives the
    death of every process.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
    connection.executescript(SCHEMA)
    return connection


def append(connection: sqlite3.Connection, topic: str, key: str, value: bytes, *, at: datetime) -> int:
    """Append a message within the caller's transaction and return its offset."""
    cursor = connection.execute(
        "INSERT INTO log (topic, key, value, logged_at) VALUES (?, ?, ?, ?)", (topic, key, value, at.timestamp())
    )
    return int(cursor.lastrowid or 0)


class LocalBus:
    """The Bus of one machine. Safe to share between threads; every process opens its own."""

    def __init__(self, path: Path, *, clock: Clock | None = None, durable: bool = False) -> None:
        self._clock = clock or SystemClock()
        self._connection = connect(path, durable=durable)
        self._lock = threading.Lock()
        self._seen_version = -1

    def publish(self, topic: str, key: str, value: bytes) -> int:
        with self._lock:
            return append(self._connection, topic, key, value, at=self._clock.now())

    def offer(self, topic: str, key: str, value: bytes) -> None:
        self.publish(topic, key, value)

    def read(self, topics: Sequence[str], *, after: int, limit: int = 500) -> list[Message]:
        with self._lock:
            return read(self._connection, topics, after=after, limit=limit)

    def end(self, topic: str) -> int:
        with self._lock:
            row = self._connection.execute("SELECT max(offset) FROM log WHERE topic = ?", (topic,)).fetchone()
        return int(row[0] or 0)

    def start(self, topic: str) -> int:
        """The offset of the topic's first message that is still there, 0 when it is empty."""
        with self._lock:
            row = self._connection.execute("SELECT min(offset) FROM log WHERE topic = ?", (topic,)).fetchone()
        return int(row[0] or 0)

    def wait(self, timeout: timedelta) -> bool:
        """True once another connection has written since the last wait; false at the timeout."""
        until = time.monotonic() + timeout.total_seconds()
        while True:
            with self._lock:
                version = int(self._connection.execute("PRAGMA data_version").fetchone()[0])
            if version != self._seen_version:
                self._seen_version = version
                return True
            left = until - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(_POLL, left))

    def figures(self) -> Mapping[str, int]:
        """Nothing: what is published is there."""
        return {}

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def read(connection: sqlite3.Connection, topics: Sequence[str], *, after: int, limit: int) -> list[Message]:
    """The topics' messages with a greater offset, oldest first."""
    marks = ",".join("?" * len(topics))
    rows = connection.execute(
        f"SELECT offset, topic, key, value, logged_at FROM log"  # noqa: S608  # only question marks are put in
        f" WHERE topic IN ({marks}) AND offset > ? ORDER BY offset LIMIT ?",
        (*topics, after, limit),
    ).fetchall()
    return [
        Message(offset, topic, key, bytes(value), datetime.fromtimestamp(logged_at, UTC))
        for offset, topic, key, value, logged_at in rows
    ]
