"""Subscriptions, their cursors and their outbox in one database: what was judged and what must be told are one commit.

It is nobody's view: it holds what people asked for and how far each was told, and cannot be made anew from the log. It holds
secrets: a file of it is readable by its owner alone.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from citybrain.clock import Clock
from citybrain.database import TEXT, Database, Migrations
from citybrain.delivery.sql_outbox import Changes, SqlOutbox
from citybrain.errors import CityBrainError
from citybrain.ports import Outgoing
from events_api.ports import EventFilter
from events_api.subscriptions.records import Delivery, Standing, Subscription, filters_fields, read_filters

TABLES = Migrations("subscriptions", "events_api.migrations.subscriptions")

_INSTANTS = ("created_at", "previous_until", "paused_at", "failing_since")
_NAMES = tuple(each.name for each in fields(Subscription))

_known = sa.MetaData()
_subscriptions = sa.Table("subscriptions", _known, *(sa.Column(name) for name in _NAMES))
_outbox = sa.Table(
    "outbox",
    _known,
    *(
        sa.Column(name)
        for name in ("n", "id", "endpoint", "case_id", "body", "state", "attempts", "committed_at", "waiting_since")
    ),
    *(sa.Column(name) for name in ("due_at", "settled_at", "reason")),
)
_attempts = sa.Table(
    "attempts",
    _known,
    sa.Column("endpoint", TEXT, primary_key=True),
    sa.Column("id", TEXT, primary_key=True),
    *(sa.Column(name) for name in ("posted_at", "answered_at", "status")),
)
_NOTED = sa.text(
    "INSERT INTO attempts (endpoint, id, posted_at, answered_at, status)"
    " VALUES (:endpoint, :id, :posted_at, :answered_at, :status) ON CONFLICT (endpoint, id) DO UPDATE SET"
    " posted_at = excluded.posted_at, answered_at = excluded.answered_at, status = excluded.status"
)


class NameTaken(CityBrainError):
    """The owner has a subscription of that name."""


class Subscriptions:
    """What people asked for. Safe to call from any thread, in any process.

    `telling` is the same database for whoever tells subscribers, and need not wait for the disk: then a power cut may take the
    last commits, whole. Cursor and outbox go back together, and what was judged or told meanwhile is judged and told again,
    under the same ids.
    """

    def __init__(self, database: Database, *, clock: Clock, telling: Database | None = None) -> None:
        self._database, self._clock = database, clock
        self.telling = telling or database
        self.changes = Changes()
        database.migrate(TABLES)

    def outbox(self) -> SqlOutbox:
        """What waits for subscribers, for the one thread that tells them."""
        return SqlOutbox(self.telling, clock=self._clock, changes=self.changes)

    def all(self) -> list[Subscription]:
        with self._database.reading() as db:
            return every(db)

    def get(self, id: str) -> Subscription | None:
        with self._database.reading() as db:
            return one(db, id)

    def add(self, made: Subscription) -> None:
        """Raises NameTaken."""
        values = {name: _stored(name, getattr(made, name)) for name in _NAMES}
        try:
            with self._database.writing() as db:
                db.execute(sa.insert(_subscriptions).values(values))
        except IntegrityError:
            raise NameTaken(f"there is a subscription {made.name!r} already") from None
        self.changes.note()

    def change(self, before: Subscription, after: Subscription) -> bool:
        """Write what a person changed; false when somebody else changed it meanwhile. Raises NameTaken."""
        changed = {name: getattr(after, name) for name in _NAMES if getattr(after, name) != getattr(before, name)}
        changed["revision"] = before.revision + 1
        values = {name: _stored(name, value) for name, value in changed.items()}
        its = _subscriptions.c
        statement = sa.update(_subscriptions).where(its.id == before.id, its.revision == before.revision).values(values)
        try:
            with self._database.writing() as db:
                written = db.execute(statement).rowcount == 1
        except IntegrityError:
            raise NameTaken(f"there is a subscription {after.name!r} already") from None
        self.changes.note()
        return written

    def remove(self, id: str) -> bool:
        """Forget it, and what waits for it."""
        with self._database.writing() as db:
            found = db.execute(sa.delete(_subscriptions).where(_subscriptions.c.id == id)).rowcount == 1
            _forget_deliveries(db, id)
        self.changes.note()
        return found

    def replay(self, id: str, *, after: int) -> bool:
        """Tell it everything behind that cursor again, in order, judged by the filter that it has now.

        What waits goes, for it comes again: else an event of the time after `after` could overtake one before it.
        """
        with self._database.writing() as db:
            subscription = one(db, id, locked=True)
            if subscription is None:
                return False
            filters = json.dumps(filters_fields(((after, subscription.filter),)))
            values = {"cursor": after, "filters": filters, "revision": subscription.revision + 1}
            db.execute(sa.update(_subscriptions).where(_subscriptions.c.id == id).values(values))
            _forget_deliveries(db, id)
        self.changes.note()
        return True

    def put(self, outgoing: Outgoing) -> None:
        """One message to one subscriber that no log holds: a test."""
        SqlOutbox(self._database, clock=self._clock, changes=self.changes).put(outgoing, at=self._clock.now())

    def resend(self, id: str, event: str) -> bool:
        """Once more, under its own id, whether it was taken or not. False when the event is no longer known, or waits anyway."""
        now, its = self._clock.now().timestamp(), _outbox.c
        values = {"state": "waiting", "attempts": 0, "due_at": now, "waiting_since": now, "settled_at": None}
        which = (its.endpoint == id, its.id == event, its.state != "waiting")
        with self._database.writing() as db:
            found = db.execute(sa.update(_outbox).where(*which).values(values)).rowcount == 1
        self.changes.note()
        return found

    def with_standing(self, id: str) -> tuple[Subscription, Standing] | None:
        """One of them and how its deliveries stand, both as of one instant."""
        with self._database.snapshot() as db:
            found = one(db, id)
            return None if found is None else (found, _standings(db, [id])[id])

    def with_standings(self) -> list[tuple[Subscription, Standing]]:
        """All of them, and how their deliveries stand, as of one instant."""
        with self._database.snapshot() as db:
            found = every(db)
            standings = _standings(db, [each.id for each in found])
        return [(each, standings[each.id]) for each in found]

    def deliveries(
        self, id: str, *, limit: int, states: Sequence[str] = (), before: int | None = None
    ) -> list[Delivery]:
        """The newest first; `before` goes on below the one of that number."""
        its, of_it = _outbox.c, _attempts.c
        asked = (
            sa.select(
                *(its.n, its.id, its.case_id, its.body, its.state, its.attempts, its.reason),
                *(its.committed_at, its.due_at, its.settled_at, of_it.posted_at, of_it.answered_at, of_it.status),
            )
            .outerjoin_from(_outbox, _attempts, sa.and_(of_it.endpoint == its.endpoint, of_it.id == its.id))
            .where(its.endpoint == id)
        )
        if states:
            asked = asked.where(its.state.in_(states))
        if before is not None:
            asked = asked.where(its.n < before)
        with self._database.reading() as db:
            return [_delivery(row) for row in db.execute(asked.order_by(its.n.desc()).limit(limit))]


def every(db: sa.Connection) -> list[Subscription]:
    """All subscriptions, in order of owner and name."""
    asked = sa.select(_subscriptions).order_by(_subscriptions.c.owner, _subscriptions.c.name)
    return [_subscription(row) for row in db.execute(asked)]


def one(db: sa.Connection, id: str, *, locked: bool = False) -> Subscription | None:
    """`locked`: nobody else changes it until the transaction ends."""
    asked = sa.select(_subscriptions).where(_subscriptions.c.id == id)
    row = db.execute(asked.with_for_update() if locked else asked).first()
    return None if row is None else _subscription(row)


def waiting(db: sa.Connection, id: str) -> int:
    """How many events wait for it."""
    asked = sa.select(sa.func.count()).where(_outbox.c.endpoint == id, _outbox.c.state == "waiting")
    return int(db.scalar(asked) or 0)


def pause(db: sa.Connection, id: str, *, at: datetime, reason: str) -> bool:
    """Tell it no more until somebody resumes it; false when it is paused already. Nothing is lost: its cursor stays."""
    its = _subscriptions.c
    values = {"paused_at": at.timestamp(), "paused_reason": reason, "revision": its.revision + 1}
    return (
        db.execute(sa.update(_subscriptions).where(its.id == id, its.paused_at.is_(None)).values(values)).rowcount == 1
    )


def move_on(db: sa.Connection, before: Subscription, *, cursor: int) -> bool:
    """Everything up to there was judged. False when somebody changed the subscription meanwhile: then nothing was.

    It holds the subscription until the transaction ends: who puts what was judged puts it in order.
    """
    its = _subscriptions.c
    filters = json.dumps(filters_fields(before.filters_behind(cursor)))
    unchanged = (its.id == before.id, its.revision == before.revision, its.cursor == before.cursor)
    return db.execute(sa.update(_subscriptions).where(*unchanged).values(cursor=cursor, filters=filters)).rowcount == 1


def note_attempt(
    db: sa.Connection, id: str, event: str, *, posted_at: datetime, answered_at: datetime, status: int | None
) -> None:
    values = {"posted_at": posted_at.timestamp(), "answered_at": answered_at.timestamp(), "status": status}
    db.execute(_NOTED, {"endpoint": id, "id": event, **values})


def note_failing(db: sa.Connection, id: str, *, since: datetime | None) -> None:
    """It takes nothing since then, if that was not noted before; or (None) it has taken something."""
    its = _subscriptions.c
    noted = its.failing_since.is_not(None) if since is None else its.failing_since.is_(None)
    value = None if since is None else since.timestamp()
    db.execute(sa.update(_subscriptions).where(its.id == id, noted).values(failing_since=value))


def forget_dead(db: sa.Connection, *, before: datetime) -> None:
    """Dead letters that are older."""
    its = _outbox.c
    db.execute(sa.delete(_outbox).where(its.state == "dead", its.settled_at < before.timestamp()))


def forget_attempts(db: sa.Connection) -> None:
    """Attempts at what is no longer known."""
    its, of_it = _outbox.c, _attempts.c
    known = sa.exists().where(its.endpoint == of_it.endpoint, its.id == of_it.id)
    db.execute(sa.delete(_attempts).where(~known))


def forget_secrets(db: sa.Connection, *, now: datetime) -> None:
    """Secrets whose time is over."""
    over = sa.update(_subscriptions).where(_subscriptions.c.previous_until <= now.timestamp())
    db.execute(over.values(previous_secret=None, previous_until=None))


def with_filter(subscription: Subscription, wanted: EventFilter, *, after: int) -> Subscription:
    """The subscription with another filter for what comes after that cursor."""
    if wanted == subscription.filter:
        return subscription
    kept = tuple(each for each in subscription.filters if each[0] < after)
    return replace(subscription, filters=(*kept, (after, wanted)))


def _stored(name: str, value: Any) -> Any:
    if name == "filters":
        return json.dumps(filters_fields(value))
    if isinstance(value, bool):
        return int(value)
    return value.timestamp() if isinstance(value, datetime) else value


def _standings(db: sa.Connection, ids: Collection[str]) -> dict[str, Standing]:
    its = _outbox.c
    waiting = its.state == "waiting"
    counted = (
        sa.select(
            its.endpoint,
            sa.func.count().filter(waiting),
            sa.func.count().filter(its.state == "dead"),
            sa.func.min(its.waiting_since).filter(waiting),
            sa.func.min(its.due_at).filter(waiting),
        )
        .where(its.endpoint.in_(ids), its.state.in_(("waiting", "dead")))
        .group_by(its.endpoint)
    )
    place = sa.func.row_number().over(partition_by=its.endpoint, order_by=its.due_at).label("place")
    failed = sa.select(its.endpoint, its.reason, place).where(its.endpoint.in_(ids), waiting, its.attempts > 0)
    next_to_come = failed.subquery()
    asked = sa.select(next_to_come.c.endpoint, next_to_come.c.reason).where(next_to_come.c.place == 1)
    reasons = {row[0]: row[1] for row in db.execute(asked)}
    found = {row[0]: row for row in db.execute(counted)}
    return {
        id: Standing(
            waiting=row[1],
            dead=row[2],
            waiting_since=_at(row[3]),
            next_attempt_at=_at(row[4]),
            reason=reasons.get(id, ""),
        )
        if (row := found.get(id)) is not None
        else Standing()
        for id in ids
    }


def _forget_deliveries(db: sa.Connection, id: str) -> None:
    db.execute(sa.delete(_outbox).where(_outbox.c.endpoint == id))
    db.execute(sa.delete(_attempts).where(_attempts.c.endpoint == id))


def _subscription(row: Sequence[Any]) -> Subscription:
    values = dict(zip(_NAMES, row, strict=True))
    for name in _INSTANTS:
        values[name] = _at(values[name])
    values["of_platform"] = bool(values["of_platform"])
    values["filters"] = read_filters(json.loads(values["filters"]))
    return Subscription(**values)


def _delivery(row: Sequence[Any]) -> Delivery:
    n, event, case, body, state, attempts, reason, queued, due, settled, posted, answered, status = row
    return Delivery(
        n=n,
        event=event,
        type=str(json.loads(bytes(body))["type"]),
        case=case,
        state=state,
        attempts=attempts,
        status=status,
        reason=reason,
        queued_at=datetime.fromtimestamp(queued, UTC),
        next_attempt_at=_at(due) if state == "waiting" else None,
        posted_at=_at(posted),
        answered_at=_at(answered),
        acknowledged_at=_at(settled) if state == "delivered" else None,
    )


def _at(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
