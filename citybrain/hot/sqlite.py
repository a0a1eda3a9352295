"""What is hot, in one SQLite file that a machine's processes share; a file that is lost or broken is begun anew."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from citybrain.clock import Clock, SystemClock

log = logging.getLogger(__name__)

_SCHEMA = "CREATE TABLE IF NOT EXISTS hot (key TEXT PRIMARY KEY, value BLOB NOT NULL, expires_at REAL)"
_PATIENCE = 0.5  # s to wait for another process's write: a fresh picture is not worth more
_SWEEP_EVERY = 512  # puts
_SCANNED_AT_ONCE = 64
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM})

T = TypeVar("T")


class SqliteHot:
    """The HotStore of one machine. Safe to share between threads; every process opens its own."""

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        self._path = path
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._puts = 0
        self._away_since: datetime | None = None

    def put(self, key: str, value: bytes, *, ttl: timedelta | None = None) -> None:
        now = self._clock.now()
        expires_at = None if ttl is None else (now + ttl).timestamp()

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO hot VALUES (?, ?, ?) ON CONFLICT (key)"
                " DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at",
                (key, value, expires_at),
            )
            self._puts += 1
            if self._puts % _SWEEP_EVERY == 0:
                connection.execute("DELETE FROM hot WHERE expires_at <= ?", (now.timestamp(),))

        self._ask(write, otherwise=None)

    def get(self, key: str) -> bytes | None:
        now = self._clock.now().timestamp()

        def read(connection: sqlite3.Connection) -> bytes | None:
            row = connection.execute(
                "SELECT value FROM hot WHERE key = ? AND (expires_at IS NULL OR expires_at > ?)", (key, now)
            ).fetchone()
            return None if row is None else bytes(row[0])

        return self._ask(read, otherwise=None)

    def scan(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        now, last = self._clock.now().timestamp(), ""

        def some(connection: sqlite3.Connection) -> list[tuple[str, bytes]]:
            return connection.execute(
                "SELECT key, value FROM hot WHERE key >= ? AND key < ? AND key > ? AND substr(key, 1, ?) = ?"
                " AND (expires_at IS NULL OR expires_at > ?) ORDER BY key LIMIT ?",
                (prefix, prefix + "\U0010ffff", last, len(prefix), prefix, now, _SCANNED_AT_ONCE),
            ).fetchall()

        # Some values at a time: a thousand pictures need not be in memory together.
        none: list[tuple[str, bytes]] = []
        while found := self._ask(some, otherwise=none):
            yield from ((key, bytes(value)) for key, value in found)
            last = found[-1][0]

    def away_since(self) -> datetime | None:
        return self._away_since

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _ask(self, question: Callable[[sqlite3.Connection], T], *, otherwise: T) -> T:
        with self._lock:
            try:
                answer = self._asked(question)
            except (sqlite3.Error, OSError) as error:
                if self._away_since is None:
                    log.warning("%s cannot be used (%s); what is hot is missing until it can", self._path, error)
                    self._away_since = self._clock.now()
                return otherwise
            self._away_since = None
            return answer

    def _asked(self, question: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return question(self._opened())
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
            if code in _BUSY | _NO_ROOM:
                raise
            log.warning("%s is broken (%s) and is begun anew", self._path, error)
            self._begin_anew()
        return question(self._opened())

    def _opened(self) -> sqlite3.Connection:
        """The connection, to the file that now has the name: another process may have replaced it."""
        if self._connection is not None and self._found() == self._identity:
            return self._connection
        self._drop()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=_PATIENCE)
        self._connection, self._identity = connection, self._found()
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(_SCHEMA)
        self._identity = self._found()
        return connection

    def _begin_anew(self) -> None:
        broken = self._identity
        self._drop()
        with self._path.with_name(f"{self._path.name}.lock").open("w") as turn:
            # One process removes the broken file; the others find that it is gone, and open the new one.
            fcntl.flock(turn, fcntl.LOCK_EX)
            if self._found() == broken:
                for suffix in ("", "-wal", "-shm"):
                    self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _found(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = self._identity = None
