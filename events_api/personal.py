"""Personal data at the door: what is kept and shown of a reporter's name and telephone, and of numbers in free words."""

from __future__ import annotations

import re
import sqlite3
import threading
from pathlib import Path

_IDENTITY = re.compile(r"(?<![0-9A-Za-z])(\d{3})\d{11}(\d{3}[0-9Xx])(?![0-9A-Za-z])")
_MOBILE = re.compile(r"(?<!\d)((?:\+?86[ -]?)?1[3-9]\d)[ -]?\d{4}[ -]?(\d{4})(?!\d)")
_LANDLINE = re.compile(r"(?<!\d)(0\d{2,3})[ -]?\d{3,4}(\d{4})(?!\d)")
_NUMBER = re.compile(r"\+?[\d -]{7,}")
_SCHEMA = "CREATE TABLE IF NOT EXISTS reporters (report TEXT PRIMARY KEY, shown TEXT NOT NULL)"


def masked_reporter(said: str) -> str:
    """A name or telephone as it may be shown: 138****1234, 王**. It cannot be undone."""
    shown = masked_words(said)
    if shown == said and _NUMBER.fullmatch(said.strip()):  # a number of another country
        digits = re.sub(r"\D", "", said)
        return f"{digits[:3]}****{digits[-2:]}"
    return " ".join(each if "*" in each else f"{each[:1]}**" for each in shown.split())


def masked_words(said: str) -> str:
    """Free words without the telephone and identity numbers in them."""
    for pattern in (_IDENTITY, _MOBILE, _LANDLINE):
        said = pattern.sub(r"\1****\2", said)
    return said


class Reporters:
    """Who reported, masked already when it comes here: beside the events, so that it goes to nobody who is sent those.

    Without a path it is kept as long as this object.
    """

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, str] = {}
        self._connection: sqlite3.Connection | None = None
        if path is not None:
            path.touch(mode=0o600)
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute(_SCHEMA)

    def put(self, report: str, shown: str) -> None:
        """The first word counts: a report that is said again has its reporter."""
        with self._lock:
            if self._connection is None:
                self._held.setdefault(report, shown)
            else:
                self._connection.execute("INSERT INTO reporters VALUES (?, ?) ON CONFLICT DO NOTHING", (report, shown))

    def get(self, report: str) -> str | None:
        with self._lock:
            if self._connection is None:
                return self._held.get(report)
            row = self._connection.execute("SELECT shown FROM reporters WHERE report = ?", (report,)).fetchone()
        return None if row is None else str(row[0])

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
