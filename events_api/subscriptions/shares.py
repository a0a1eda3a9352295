"""Which replica of the API tells which subscriber: each one at a time, spread over those that live, taken over from the dead.

    replicas (id, beat)                each raises its own beat once a second
    told_by (subscription, replica)    a share: who has it tells the subscriber, and nobody else does

Nobody's clock is compared with another's. A replica is dead to those who have watched its beat stand still for `LASTS`; whoever
finds it so takes it off both tables at once. It knows by its own clock, and a second earlier, that this may have come to pass:
then it tells nobody, until it has beaten again. A POST that was under way meanwhile may come twice, under one id.

Whom each should tell follows from the names of those that live (rendezvous hashing), so a replica that comes or goes moves only
its own part. One that has to give a share up lets what it is just posting end first.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import socket
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta
from os import getpid
from typing import Protocol

import sqlalchemy as sa

from citybrain.clock import Clock
from citybrain.database import TEXT, Database

_log = logging.getLogger(__name__)

BEATS_EVERY = timedelta(seconds=1)
LASTS = timedelta(seconds=5)
_EARLIER = timedelta(seconds=1)
_NO_LOOK = LASTS / 2
"""Who has not looked for so long has not seen anybody's beat stand still."""

_known = sa.MetaData()
_replicas = sa.Table("replicas", _known, sa.Column("id", TEXT, primary_key=True), sa.Column("beat"))
_told_by = sa.Table("told_by", _known, sa.Column("subscription", TEXT, primary_key=True), sa.Column("replica", TEXT))


class Shares(Protocol):
    """What a deliverer asks before it tells anybody."""

    def settle(self, wanted: Collection[str], *, busy: Callable[[str], bool]) -> frozenset[str]:
        """Those of the wanted that are this replica's to tell now; to be asked at least each `BEATS_EVERY`. `busy` says of one
        that it should give up whether a POST to it is under way: then it keeps it a little longer, and begins no other.
        Raises DatabaseAway."""
        ...

    def holds(self, subscription: str) -> bool:
        """Whether it may tell it at this very moment."""
        ...

    def leave(self) -> None:
        """Give everything up at once, for the others need not wait."""
        ...


class AllShares:
    """There is no other replica."""

    def settle(self, wanted: Collection[str], *, busy: Callable[[str], bool]) -> frozenset[str]:
        return frozenset(wanted)

    def holds(self, subscription: str) -> bool:
        return True

    def leave(self) -> None:
        """Nobody waits for it."""


class Onlooker:
    """Who lives, by what one replica has seen of the others' beats on a clock of its own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[int, float]] = {}
        self._looked_s: float | None = None

    def look(self, beats: Mapping[str, int]) -> tuple[set[str], dict[str, int]]:
        """Those that live, and those that are dead with the beat at which they stopped."""
        now_s = self._clock.monotonic()
        slept = self._looked_s is not None and now_s - self._looked_s >= _NO_LOOK.total_seconds()
        self._looked_s = now_s
        seen = {}
        for replica, beat in beats.items():
            known = self._seen.get(replica)
            seen[replica] = (beat, now_s) if known is None or known[0] != beat or slept else known
        self._seen = seen
        dead = {id: beat for id, (beat, since_s) in seen.items() if now_s - since_s >= LASTS.total_seconds()}
        return seen.keys() - dead.keys(), dead


def preferred(subscription: str, among: Iterable[str]) -> str | None:
    """Whose it is to tell it, of these replicas: the same whoever asks, and the same while that one lives."""
    return max(among, key=lambda replica: hashlib.sha256(f"{replica}\0{subscription}".encode()).digest(), default=None)


def new_replica() -> str:
    """A name that no other process has or had."""
    return f"{socket.gethostname()[:60]}-{getpid()}-{secrets.token_hex(4)}"


class SqlShares:
    """The shares of one replica, in the database of the subscriptions. For one thread."""

    def __init__(self, database: Database, *, clock: Clock, replica: str | None = None) -> None:
        self._database, self._clock, self.replica = database, clock, replica or new_replica()
        self._onlooker = Onlooker(clock)
        self._settled_s = self._until_s = float("-inf")
        self._held: frozenset[str] = frozenset()
        self._due: frozenset[str] = frozenset()

    def settle(self, wanted: Collection[str], *, busy: Callable[[str], bool]) -> frozenset[str]:
        began_s = self._clock.monotonic()
        if began_s - self._settled_s >= BEATS_EVERY.total_seconds() / 2:
            self._round(wanted, busy)
            self._settled_s, self._until_s = began_s, began_s + (LASTS - _EARLIER).total_seconds()
        return self._held & self._due & frozenset(wanted)

    def holds(self, subscription: str) -> bool:
        return subscription in self._held and self._clock.monotonic() < self._until_s

    def leave(self) -> None:
        self._held = frozenset()
        self._settled_s = self._until_s = float("-inf")
        with self._database.writing() as db:
            db.execute(sa.delete(_replicas).where(_replicas.c.id == self.replica))
            db.execute(sa.delete(_told_by).where(_told_by.c.replica == self.replica))

    def _round(self, wanted: Collection[str], busy: Callable[[str], bool]) -> None:
        self._beat()
        with self._database.reading() as db:
            beats = {row.id: row.beat for row in db.execute(sa.select(_replicas))}
            told_by = {row.subscription: row.replica for row in db.execute(sa.select(_told_by))}
        live, dead = self._onlooker.look(beats)
        for replica, beat in dead.items():
            self._bury(replica, beat)
        self._due = frozenset(id for id in wanted if preferred(id, live) == self.replica)
        mine = {id for id, replica in told_by.items() if replica == self.replica}
        given_up = {id for id in mine - self._due if not busy(id)}
        free = {id for id in self._due - mine if told_by.get(id) not in live}
        if given_up or free:
            with self._database.writing() as db:
                db.execute(
                    sa.delete(_told_by).where(_told_by.c.subscription.in_(given_up), _told_by.c.replica == self.replica)
                )
                mine |= {id for id in sorted(free) if self._take(db, id, told_by.get(id))}
        self._held = frozenset(mine - given_up)

    def _beat(self) -> None:
        mine = _replicas.c.id == self.replica
        with self._database.writing() as db:
            if not db.execute(sa.update(_replicas).where(mine).values(beat=_replicas.c.beat + 1)).rowcount:
                db.execute(sa.insert(_replicas).values(id=self.replica, beat=0))  # new, or taken for dead meanwhile

    def _bury(self, replica: str, beat: int) -> None:
        """Unless it has beaten since."""
        with self._database.writing() as db:
            still = (_replicas.c.id == replica, _replicas.c.beat == beat)
            if db.execute(sa.delete(_replicas).where(*still)).rowcount:
                db.execute(sa.delete(_told_by).where(_told_by.c.replica == replica))
                _log.warning("replica %s of the API is gone; what it told is told by the others", replica)

    def _take(self, db: sa.Connection, subscription: str, left_by: str | None) -> bool:
        """`left_by`: who is dead and may have taken it in the moment of its being buried."""
        if left_by is not None:
            alive = sa.exists().where(_replicas.c.id == left_by)
            db.execute(
                sa.delete(_told_by).where(
                    _told_by.c.subscription == subscription, _told_by.c.replica == left_by, ~alive
                )
            )
        row = self._database.insert(_told_by).values(subscription=subscription, replica=self.replica)
        taken = row.on_conflict_do_nothing().returning(_told_by.c.subscription)
        return db.scalar(taken) is not None
