"""Judges the log by each subscription's filter, and has the sender post what was let through.

log: case-events ──► judged ──► ┌ outbox ┐
                                │ cursor ┘ one transaction
outbox ──► sender ──► POST, again and again ──► delivered
                        │                        refused or given up: a dead letter
                        └── 410 Gone: the subscription pauses, and keeps what waits
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx

from citybrain.clock import Clock
from citybrain.database import Database
from citybrain.delivery.sender import Pace, Sender, Withdrawn
from citybrain.delivery.webhook import LONGEST_WAIT, Post
from citybrain.errors import BusAway, NotDelivered, Refused, Unreadable
from citybrain.netguard import Guard
from citybrain.ports import Acknowledgement, Bus, Message, Outgoing
from citybrain.wire import CASE_EVENTS, read_case_event
from events_api.ports import StoredEvent
from events_api.security import Keys, Role
from events_api.subscriptions import store
from events_api.subscriptions.records import Subscription
from events_api.subscriptions.shares import BEATS_EVERY, AllShares, Shares
from events_api.subscriptions.store import Subscriptions

_log = logging.getLogger(__name__)

GONE = 410
OWNER_REVOKED = "the key that it belongs to was revoked"
KEEP_DEAD = timedelta(days=30)

_BATCH = 200
_OWNERS_EVERY = timedelta(seconds=2)
_FORGET_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Terms:
    """How subscribers are told. `allow`: where their URLs may lead beside public addresses.

    `most_waiting`: a subscriber that takes nothing has about so many events put by; the rest stay in the log, behind its
    cursor.
    """

    allow: tuple[str, ...] = ()
    timeout: timedelta = timedelta(seconds=10)
    pace: Pace = field(default_factory=Pace)
    most_waiting: int = 1000
    look_every: timedelta = timedelta(milliseconds=50)


class Telling:
    """For one event loop. Of the subscriptions it tells its `shares`, which other replicas do not tell meanwhile."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        bus: Bus,
        *,
        clock: Clock,
        keys: Keys | None,
        terms: Terms,
        shares: Shares | None = None,
    ) -> None:
        self._database, self._outbox = subscriptions.telling, subscriptions.outbox()
        self._bus, self._clock, self._keys, self._terms = bus, clock, keys, terms
        self._shares = shares or AllShares()
        self.sender = Sender(self._outbox, {}, clock, self._delivered, pace=terms.pace)
        self._guard, self._tls = Guard(terms.allow), httpx.create_ssl_context()
        self._active: dict[str, Subscription] = {}
        self._subscribers: dict[str, _Subscriber] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._mark: tuple[int, int] | None = None
        self._next: dict[str, datetime] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop."""
        sending = asyncio.create_task(self.sender.run(stop))
        try:
            while not (stop.is_set() or sending.done()):
                if not self.take_in():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._terms.look_every.total_seconds()):
                            await stop.wait()
                else:
                    await asyncio.sleep(0)  # the sender has its turn
        finally:
            stop.set()
            await sending
            await self.close()

    def take_in(self) -> bool:
        """See what people changed and judge what was logged since; true when there may be more of it."""
        now = self._clock.now()
        if self._is_time("owners", now, _OWNERS_EVERY):
            self._pause_orphans(now)
        if self._is_time("forget", now, _FORGET_EVERY):
            self._forget(now)
        mark, settles = self._outbox.mark(), self._is_time("shares", now, BEATS_EVERY)
        if mark != self._mark or settles:
            self._mark = mark
            self._adopt(now)
        try:
            return self._judge(now)
        except BusAway:  # what waits is posted meanwhile
            return False

    async def close(self) -> None:
        """Close every connection to subscribers."""
        for each in list(self._subscribers):
            self._dismiss(each)
        await asyncio.gather(*self._closing)

    def figures(self) -> Mapping[str, float]:
        """Subscriptions active and paused, what waits and is dead, and the sender's counts."""
        paused = sum(1 for each in self._every() if each.paused_at is not None)
        outbox, sender = self._outbox.figures(), self.sender.figures()
        counts = {
            name: float(sender[name]) for name in ("attempts", "delivered", "failed", "refused", "given_up", "errors")
        }
        return {
            "active": len(self._active),
            "paused": paused,
            "down": len(sender["down"]),
            "waiting": outbox["waiting"],
            "dead": outbox["dead"],
            **{f"posts_{name}": count for name, count in counts.items()},
        }

    # -- who is told --------------------------------------------------------------------------------------------------

    def _adopt(self, now: datetime) -> None:
        unpaused = {each.id: each for each in self._every() if each.paused_at is None}
        shares = self._shares.settle(unpaused.keys(), busy=self.sender.is_posting)
        active = {id: each for id, each in unpaused.items() if id in shares}
        for id in self._subscribers.keys() - active.keys():
            self._dismiss(id)
        for id, subscription in active.items():
            known = self._subscribers.get(id)
            if known is not None and known.subscription.url != subscription.url:
                self._dismiss(id)
                known = None
            if known is not None:
                known.subscription = subscription
                continue
            self._subscribers[id] = self._subscriber(subscription)
            self.sender.admit(id, self._subscribers[id])
            self._outbox.hasten(id, at=now)  # resumed, or at another place now: what failed before is tried at once
        self._active = active

    def _dismiss(self, id: str) -> None:
        self.sender.dismiss(id)
        task = asyncio.ensure_future(self._subscribers.pop(id).close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _subscriber(self, subscription: Subscription) -> _Subscriber:
        timeout = self._terms.timeout
        post = Post(subscription.url, guard=self._guard, timeout=timeout, clock=self._clock, tls=self._tls)
        return _Subscriber(subscription, self._database, post, self._clock, self._shares)

    def _every(self) -> list[Subscription]:
        with self._database.reading() as db:
            return store.every(db)

    def _forget(self, now: datetime) -> None:
        with self._database.writing() as db:
            store.forget_dead(db, before=now - KEEP_DEAD)
        with self._database.writing() as db:
            store.forget_attempts(db)
        with self._database.writing() as db:
            store.forget_secrets(db, now=now)

    def _pause_orphans(self, now: datetime) -> None:
        """A revoked key reads no more: neither do the subscriptions that belong to it alone."""
        if self._keys is None:
            return
        platforms = {key.name for key in self._keys.all() if key.role is Role.PLATFORM}
        for each in self._active.values():
            if each.of_platform and each.owner not in platforms:
                with self._outbox.transaction() as db:
                    store.pause(db, each.id, at=now, reason=OWNER_REVOKED)
                _log.warning("subscription %s (%s) pauses: %s", each.id, each.name, OWNER_REVOKED)

    # -- what they are told -------------------------------------------------------------------------------------------

    def _judge(self, now: datetime) -> bool:
        end = self._bus.end(CASE_EVENTS)
        behind = [each for each in self._active.values() if each.cursor != end and self._has_room(each)]
        if end == 0 or not behind:
            return False
        batches: dict[int, list[Message]] = {}
        events: dict[int, _Logged | None] = {}
        with self._outbox.transaction() as db:
            for each in behind:
                if each.cursor > end:
                    _log.warning("the log ends before cursor %d of subscription %s: another log", each.cursor, each.id)
                    store.move_on(db, each, cursor=0)
                    continue
                if each.cursor not in batches:
                    batches[each.cursor] = self._bus.read([CASE_EVENTS], after=each.cursor, limit=_BATCH)
                messages = batches[each.cursor]
                if messages and store.move_on(db, each, cursor=messages[-1].offset):
                    for message in messages:
                        if message.offset not in events:
                            events[message.offset] = _read(message)
                        logged = events[message.offset]
                        if logged is not None and each.wants(logged.event):
                            outgoing = Outgoing(logged.id, each.id, logged.event.case, message.value)
                            self._outbox.put(outgoing, at=now)
        return any(len(messages) == _BATCH for messages in batches.values())

    def _has_room(self, subscription: Subscription) -> bool:
        with self._database.reading() as db:
            return store.waiting(db, subscription.id) < self._terms.most_waiting

    def _delivered(self, outgoing: Outgoing, ack: Acknowledgement, _committed_at: datetime) -> None:
        store.note_attempt(
            self._outbox.within,
            outgoing.endpoint,
            outgoing.id,
            posted_at=ack.posted_at,
            answered_at=ack.acknowledged_at,
            status=ack.status,
        )

    def _is_time(self, what: str, now: datetime, every: timedelta) -> bool:
        if now < self._next.get(what, now):
            return False
        self._next[what] = now + every
        return True


class _Subscriber:
    """A Notifier for one subscription: signs with the secrets in force, and notes what each attempt met."""

    def __init__(
        self, subscription: Subscription, database: Database, post: Post, clock: Clock, shares: Shares
    ) -> None:
        self.subscription = subscription
        self._database, self._post, self._clock, self._shares = database, post, clock, shares
        self._failing = False

    async def notify(self, outgoing: Outgoing) -> Acknowledgement:
        if not self._shares.holds(outgoing.endpoint):
            raise Withdrawn("another replica may be telling it")
        began_at, id = self._clock.now(), outgoing.endpoint
        try:
            answered = await self._post.send(outgoing, self.subscription.secrets(began_at))
        except (NotDelivered, Refused) as error:
            now, gone = self._clock.now(), error.status == GONE
            with self._database.writing() as db:
                store.note_attempt(db, id, outgoing.id, posted_at=began_at, answered_at=now, status=error.status)
            with self._database.writing() as db:
                store.note_failing(db, id, since=began_at)
                self._failing = True
                paused = gone and store.pause(db, id, at=now, reason="answered 410 Gone")
            if not gone:
                raise
            if paused:
                _log.warning("subscription %s pauses: it answered 410 Gone", id)
            # Kept for when somebody resumes it; until then, and until the pause is noticed, nothing more is asked.
            raise NotDelivered("answered 410", status=GONE, retry_after_s=LONGEST_WAIT.total_seconds()) from None
        if self._failing or self.subscription.failing_since is not None:
            self._failing = False
            with self._database.writing() as db:  # apart from what is delivered: people lock the two in the other order
                store.note_failing(db, id, since=None)
        return answered

    async def close(self) -> None:
        await self._post.close()


@dataclass(frozen=True, slots=True)
class _Logged:
    id: str
    event: StoredEvent


def _read(message: Message) -> _Logged | None:
    """The case event that the log holds there; None for what cannot be read, which the case view sets aside."""
    try:
        found = read_case_event(message.value)
    except (Unreadable, ValueError, TypeError, LookupError, AttributeError):
        return None
    case = found.case
    event = StoredEvent(
        message.offset, found.type.value, case.scene, case.id, found.cause, "", case.severity, case.grid_cell
    )
    return _Logged(found.id, event)
