"""Who did what, when, from where and with what outcome: appended only, and each entry is bound to the one before it.

    n  at  actor  role  address  what  on  outcome  more  hash = SHA-256 of the last entry's hash and of this entry

An entry that is altered, taken out or put in between breaks the chain from there on. Whoever may write the file can cut off its
end or write all of it anew: `head` is what to keep elsewhere against that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from citybrain.clock import Clock, iso
from citybrain.database import HIGHEST, Database, Migrations
from citybrain.errors import DatabaseAway, Transient

TABLES = Migrations("audit", "events_api.migrations.audit")

_entries = sa.table(
    "audit_entries",
    *(
        sa.column(name)
        for name in ("n", "at", "actor", "role", "address", "what", "subject", "outcome", "more", "hash")
    ),
)
BEGINNING = "0" * 64
"""What the first entry carries for the hash of the one before it."""
_LONGEST = 500
_LOOKED_BACK = 5000  # entries, for what was just said: a trail of years is not read for it
_PAGE = 2000


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


class NotNoted(Transient):
    """The trail cannot be written, so nobody may do what was to be noted."""


class AuditTrail:
    """The trail of one installation: one chain, whichever thread, process or machine appends to it."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock
        database.migrate(TABLES)

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
        """Write an entry; on return it survives a power cut. With `once_within` not again what was said within that time.
        Raises NotNoted."""
        now = self._clock.now()
        names = ("actor", "role", "address", "what", "subject", "outcome")
        words = dict(zip(names, map(_kept, (actor, role, address, what, on, outcome)), strict=True))
        rest = {_kept(name): _kept(value) for name, value in sorted((more or {}).items())}
        words["more"] = json.dumps(rest, ensure_ascii=False)
        try:
            with self._database.writing() as db:
                self._database.alone(db, "audit")  # the last hash stays the last one, whoever writes
                if once_within is not None and _said(db, words, since=now - once_within):
                    return
                order = _entries.c.n.desc()
                row = db.execute(sa.select(_entries.c.n, _entries.c.hash).order_by(order).limit(1)).first()
                n, last = row or (0, BEGINNING)
                values = {"n": n + 1, "at": iso(now), **words}
                written = _entry((*values.values(), "")).hash_after(last)
                db.execute(sa.insert(_entries).values(**values, hash=written))
        except (SQLAlchemyError, DatabaseAway) as error:
            raise NotNoted(f"the audit trail cannot be written: {error}") from error

    def entries(self, sought: Sought, *, limit: int, before: int | None = None) -> list[Entry]:
        """The newest first; `before` goes on below the entry of that number."""
        asked, columns = sa.select(_entries), _entries.c
        for column, wanted in (
            (columns.actor, sought.actor),
            (columns.outcome, sought.outcome),
            (columns.address, sought.address),
            (columns.subject, sought.on),
        ):
            if wanted:
                asked = asked.where(column == _kept(wanted))
        if sought.what:
            beginning = _kept(sought.what)
            asked = asked.where(columns.what >= beginning, columns.what < beginning + HIGHEST)
        if sought.since is not None:
            asked = asked.where(columns.at >= iso(sought.since))
        if sought.until is not None:
            asked = asked.where(columns.at < iso(sought.until))
        if before is not None:
            asked = asked.where(columns.n < before)
        with self._database.reading() as db:
            return [_entry(row) for row in db.execute(asked.order_by(columns.n.desc()).limit(limit))]

    def count(self) -> int:
        """How many entries there are: none is ever removed."""
        with self._database.reading() as db:
            return int(db.scalar(sa.select(sa.func.coalesce(sa.func.max(_entries.c.n), 0))) or 0)

    def check(self, *, head: tuple[int, str] | None = None) -> Checked:
        """Follow the chain from its beginning. `head` is an entry's number and hash as they were written down elsewhere."""
        faults: list[str] = []
        last, count = BEGINNING, 0
        for entry in self._in_order():
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

    def _in_order(self) -> Iterator[Entry]:
        """All entries, a page at a time: years of them need not fit into memory. What is appended meanwhile is among them."""
        after = None
        asked = sa.select(_entries).order_by(_entries.c.n).limit(_PAGE)
        while True:
            with self._database.reading() as db:
                page = db.execute(asked if after is None else asked.where(_entries.c.n > after)).all()
            yield from map(_entry, page)
            if len(page) < _PAGE:
                return
            after = page[-1][0]


def _said(db: sa.Connection, words: Mapping[str, str], *, since: datetime) -> bool:
    same = [_entries.c[name] == value for name, value in words.items()]
    newest = sa.select(sa.func.max(_entries.c.n)).scalar_subquery()
    asked = sa.select(_entries.c.n).where(*same, _entries.c.at >= iso(since), _entries.c.n > newest - _LOOKED_BACK)
    return db.execute(asked.limit(1)).first() is not None


def _kept(word: str) -> str:
    """As every database takes it: not endless, and without what no text has (PostgreSQL refuses NUL)."""
    return word[:_LONGEST].replace("\0", "\ufffd").encode(errors="replace").decode()


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
