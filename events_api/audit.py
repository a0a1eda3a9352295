"""Who did what, when, from where and with what outcome: appended only, and each entry is bound to the one before it.

    n  at  actor  role  address  what  on  outcome  more  hash = SHA-256 of the last entry's hash and of this entry

An entry that is altered, taken out or put in between breaks the chain from there on. Whoever may write the file can cut off its
end or write all of it anew: `head` is what to keep elsewhere against that.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from citybrain.clock import Clock, iso

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    n INTEGER PRIMARY KEY, at TEXT NOT NULL, actor TEXT NOT NULL, role TEXT NOT NULL, address TEXT NOT NULL,
    what TEXT NOT NULL, subject TEXT NOT NULL, outcome TEXT NOT NULL, more TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS entries_by_instant ON entries (at);
CREATE INDEX IF NOT EXISTS entries_by_actor ON entries (actor, n);
CREATE INDEX IF NOT EXISTS entries_by_what ON entries (what, n);
CREATE INDEX IF NOT EXISTS entries_by_subject ON entries (subject, n);
CREATE TRIGGER IF NOT EXISTS entries_are_never_altered BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'the audit trail is appended only'); END;
CREATE TRIGGER IF NOT EXISTS entries_are_never_removed BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'the audit trail is appended only'); END;
"""

_COLUMNS = "n, at, actor, role, address, what, subject, outcome, more, hash"
BEGINNING = "0" * 64
"""What the first entry carries for the hash of the one before it."""
_LONGEST = 500
_LOOKED_BACK = 5000  # entries, for what was just said: a trail of years is not read for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that somebody did, or tried to. `on` is what it was done to; `more` says the rest, never a secret."""

    n: int
    at: str
    actor: str
    role: str
    address: str
    what: str
    on: str
    outcome: str
    more: Mapping[str, str]
    hash: str

    def hash_after(self, last: str) -> str:
        """What `hash` must be behind an entry of that hash."""
        said = [self.n, self.at, self.actor, self.role, self.address, self.what, self.on, self.outcome, dict(self.more)]
        written = json.dumps(said, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(f"{last}\n{written}".encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which entries are asked for; what is empty or None does not restrict. `what` may be the beginning of a word: `key.`."""

    actor: str = ""
    what: str = ""
    on: str = ""
    outcome: str = ""
    address: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What checking the chain found: how many entries, the last one's hash, and every entry that does not fit."""

    count: int
    head: str
    faults: Sequence[str] = field(default=())


class AuditTrail:
    """The trail of one installation. Several processes may append to it; without a path it is kept in memory."""

    def __init__(self, path: Path | None, *, clock: Clock) -> None:
        self._clock, self._lock = clock, threading.Lock()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False, timeout=10)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")  # an entry that a power cut takes would say that nothing happened
        self._db.executescript(_SCHEMA)

    def append(
        self,
        *,
        actor: str,
        what: str,
        on: str,
        role: str = "",
        address: str = "",
        outcome: str = "done",
        more: Mapping[str, str] | None = None,
        once_within: timedelta | None = None,
    ) -> None:
        """Write an entry; on return it survives a power cut. With `once_within` not again what was said within that time."""
        now = self._clock.now()
        words = [each[:_LONGEST] for each in (actor, role, address, what, on, outcome)]
        rest = {name: value[:_LONGEST] for name, value in sorted((more or {}).items())}
        with self._writing():
            if once_within is not None and self._said(words, rest, since=now - once_within):
                return
            row = self._db.execute("SELECT n, hash FROM entries ORDER BY n DESC LIMIT 1").fetchone()
            n, last = row or (0, BEGINNING)
            entry = _entry((n + 1, iso(now), *words, json.dumps(rest, ensure_ascii=False), ""))
            self._db.execute(
                f"INSERT INTO entries ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  # our own names
                (n + 1, iso(now), *words, json.dumps(rest, ensure_ascii=False), entry.hash_after(last)),
            )

    def entries(self, sought: Sought, *, limit: int, before: int | None = None) -> list[Entry]:
        """The newest first; `before` goes on below the entry of that number."""
        conditions, values = ["1"], list[object]()
        for column in ("actor", "outcome", "address"):
            if wanted := getattr(sought, column):
                conditions.append(f"{column} = ?")
                values.append(wanted)
        if sought.on:
            conditions.append("subject = ?")
            values.append(sought.on)
        if sought.what:
            conditions.append("what >= ? AND what < ? || char(0x10ffff)")
            values += [sought.what, sought.what]
        for condition, at in (("at >= ?", sought.since), ("at < ?", sought.until)):
            if at is not None:
                conditions.append(condition)
                values.append(iso(at))
        if before is not None:
            conditions.append("n < ?")
            values.append(before)
        where = " AND ".join(conditions)
        with self._lock:
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM entries WHERE {where} ORDER BY n DESC LIMIT ?",  # noqa: S608  # values are bound
                (*values, limit),
            ).fetchall()
        return [_entry(row) for row in rows]

    def count(self) -> int:
        """How many entries there are: none is ever removed."""
        with self._lock:
            return int(self._db.execute("SELECT coalesce(max(n), 0) FROM entries").fetchone()[0])

    def check(self, *, head: tuple[int, str] | None = None) -> Checked:
        """Follow the chain from its beginning. `head` is an entry's number and hash as they were written down elsewhere."""
        faults: list[str] = []
        last, count = BEGINNING, 0
        with self._lock:
            rows = self._db.execute(f"SELECT {_COLUMNS} FROM entries ORDER BY n")  # noqa: S608  # our own names
            for row in rows:
                entry = _entry(row)
                if entry.n != count + 1:
                    faults.append(f"entry {count + 1} is missing" + (f", up to {entry.n - 1}" * (entry.n > count + 2)))
                if entry.hash_after(last) != entry.hash:
                    faults.append(f"entry {entry.n} does not fit: it, or what stood before it, was altered")
                if head is not None and head[0] == entry.n and head[1] != entry.hash:
                    faults.append(f"entry {entry.n} is another one than was written down: the trail was written anew")
                last, count = entry.hash, entry.n
        if head is not None and head[0] > count:
            faults.append(f"entry {head[0]} was written down and is missing: the end was cut off")
        return Checked(count, last, faults)

    def close(self) -> None:
        self._db.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")  # the last hash stays the last one, whichever process writes
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _said(self, words: Sequence[str], more: Mapping[str, str], *, since: datetime) -> bool:
        row = self._db.execute(
            "SELECT 1 FROM entries WHERE actor = ? AND role = ? AND address = ? AND what = ? AND subject = ? AND outcome = ?"
            " AND more = ? AND at >= ? AND n > (SELECT max(n) FROM entries) - ? LIMIT 1",
            (*words, json.dumps(more, ensure_ascii=False), iso(since), _LOOKED_BACK),
        ).fetchone()
        return row is not None


def _entry(row: Sequence[object]) -> Entry:
    n, at, actor, role, address, what, subject, outcome, more, written = row
    return Entry(
        n=int(str(n)),
        at=str(at),
        actor=str(actor),
        role=str(role),
        address=str(address),
        what=str(what),
        on=str(subject),
        outcome=str(outcome),
        more=_more(str(more)),
        hash=str(written),
    )


def _more(written: str) -> Mapping[str, str]:
    """What was altered need not be readable: then it fits no hash, which is what checking is to find."""
    try:
        found = json.loads(written)
    except ValueError:
        return {"": written}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {"": written}
