"""Posts the outbox: in order for each case, several cases at once, again and again until a message is taken or buried.

    due ──► attempt ──► taken       delivered, and on_delivered, in one transaction
              │  ▲ │
              │  │ └──► refused     a dead letter
              ▼  │
           failed: again after a random share of 0.5 s, 1 s, 2 s … 30 s, later a tenth of its age up to 10 min;
                      a dead letter after three days

A crash between the attempt and the commit means that the message is posted again under the same id. When two cases in
a row find an endpoint failing it counts as down: then a single message asks, at least every 30 s, whether it is back,
and when it is everything that failed is due at once.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from citybrain.clock import Clock
from citybrain.configuration import duration_text
from citybrain.delivery.outbox import KEEP_DELIVERED
from citybrain.delivery.owed import Owed, Queued
from citybrain.errors import CityBrainError, NotDelivered, Permanent, Transient
from citybrain.ports import Acknowledgement, Notifier, Outgoing

log = logging.getLogger(__name__)

OnDelivered = Callable[[Outgoing, Acknowledgement, datetime], None]

_TRIM_EVERY = timedelta(hours=1)
_GRACE = timedelta(seconds=5)
_AFTER_AN_ERROR = timedelta(seconds=1)
_EVER = datetime.min.replace(tzinfo=UTC)
_DOWN_AFTER = 2  # cases that failed with no success in between: one alone may be the case's own fault


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard the sender tries. `at_once` counts cases per endpoint; `attempt` bounds a notifier that hangs."""

    first_retry: timedelta = timedelta(milliseconds=500)
    longest_retry: timedelta = timedelta(minutes=10)
    longest_probe: timedelta = timedelta(seconds=30)
    give_up_after: timedelta = timedelta(days=3)
    attempt: timedelta = timedelta(seconds=90)
    at_once: int = 16
    look_every: timedelta = timedelta(milliseconds=50)

    def wait(self, failures: int, longest: timedelta, random: Random) -> timedelta:
        """Full jitter: anything from nothing to the whole step, so that no two senders fall into step."""
        step = self.first_retry * 2.0 ** min(failures, 32)
        return min(step, longest) * random.random()


@dataclass(slots=True)
class Circuit:
    """What the latest attempts say of one endpoint. Down means: only one message at a time asks, from `probe_at` on."""

    failed: set[str] = field(default_factory=set)
    asking: bool = False
    probes: int = 0
    probe_at: datetime = _EVER

    @property
    def is_down(self) -> bool:
        return len(self.failed) >= _DOWN_AFTER

    def answered(self) -> bool:
        """It answered; true when it had been down."""
        was_down = self.is_down
        self.failed.clear()
        self.probes, self.asking = 0, False
        return was_down


class Withdrawn(CityBrainError):
    """A notifier says it of a message that it may not post any longer: nothing was attempted, and the message waits as it did."""


class Sender:
    """Runs in one asyncio loop, whose thread owns the outbox's connection.

    `on_delivered(outgoing, acknowledgement, committed_at)` is called inside the transaction that marks a message
    delivered: what it writes through the same connection is committed with it or not at all.
    """

    def __init__(
        self,
        outbox: Owed,
        notifiers: Mapping[str, Notifier],
        clock: Clock,
        on_delivered: OnDelivered,
        *,
        pace: Pace | None = None,
        random: Random | None = None,
    ) -> None:
        self._outbox = outbox
        self._notifiers = dict(notifiers)
        self._clock = clock
        self._on_delivered = on_delivered
        self._pace = pace or Pace()
        self._random = random or Random()
        self._circuits = {endpoint: Circuit() for endpoint in notifiers}
        self._in_flight: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._woken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._mark: tuple[int, int] | None = None
        self._next_at: datetime | None = None
        self._paused_until = 0.0  # by the monotonic clock
        self._trimmed_at: datetime | None = None
        self._counts = dict.fromkeys(("attempts", "delivered", "failed", "refused", "given_up", "errors"), 0)

    def admit(self, endpoint: str, notifier: Notifier) -> None:
        """From now on post to this endpoint too, or to one known before by another notifier. Call it in the sender's loop."""
        self._notifiers[endpoint] = notifier
        self._circuits[endpoint] = Circuit()
        self._mark = None

    def dismiss(self, endpoint: str) -> None:
        """No longer post to it; what waits for it stays. An attempt under way ends as it would have."""
        self._notifiers.pop(endpoint, None)
        self._circuits.pop(endpoint, None)

    def wake(self) -> None:
        """Something was put: look now. May be called from any thread, running or not."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop has just closed: nobody is left to wake
                loop.call_soon_threadsafe(self._woken.set)

    async def run(self, stop: asyncio.Event) -> None:
        """Post until told to stop. What is under way then has a few seconds to end; else it stays in the outbox."""
        self._loop = asyncio.get_running_loop()
        stopping = asyncio.create_task(self._wake_at(stop))
        try:
            while not stop.is_set():
                self._woken.clear()
                self._look()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pace.look_every.total_seconds()):
                        await self._woken.wait()
        finally:
            self._loop = None
            stopping.cancel()
            await self._wind_up()

    async def post_due(self) -> int:
        """Make the attempts that are due now and wait for their end; how many there were."""
        started = self._start_due(self._clock.now())
        await asyncio.gather(*started)
        return len(started)

    def figures(self) -> dict[str, Any]:
        """Counts since the start, what is under way, and which endpoints are down."""
        return {
            **self._counts,
            "in_flight": len(self._in_flight),
            "down": sorted(endpoint for endpoint, circuit in self._circuits.items() if circuit.is_down),
        }

    def _look(self) -> None:
        """Start what is due. Asks the database only when it was written to or a time has come."""
        if self._clock.monotonic() < self._paused_until:
            return
        now = self._clock.now()
        try:
            mark = self._outbox.mark()
            if mark == self._mark and (self._next_at is None or now < self._next_at):
                return
            self._start_due(now)
            self._trim(now)
            self._mark = mark
            self._next_at = self._next_look_at()
        except (sqlite3.Error, Transient):
            self._pause("the outbox cannot be read")

    def _start_due(self, now: datetime) -> list[asyncio.Task[None]]:
        found, busy = [], Counter(endpoint for endpoint, _ in self._in_flight)
        for endpoint, circuit in self._circuits.items():
            if circuit.is_down and busy[endpoint] == 0 and now >= circuit.probe_at:
                asked = self._outbox.probes(endpoint, now)
                circuit.asking = circuit.asking or bool(asked)
                found += asked
        at_once = self._pace.at_once
        up = (endpoint for endpoint, circuit in self._circuits.items() if not circuit.is_down)
        # What is being posted is due, too: it must not hide the rest.
        found += self._outbox.due_each(now, {each: at_once + busy[each] for each in up if busy[each] < at_once})
        started = []
        for queued in found:
            key = (queued.endpoint, queued.case)
            if key not in self._in_flight and busy[queued.endpoint] < at_once:
                busy[queued.endpoint] += 1
                self._in_flight[key] = asyncio.create_task(self._attempt(queued))
                started.append(self._in_flight[key])
        return started

    def is_posting(self, endpoint: str) -> bool:
        """Whether an attempt is under way."""
        return self._busy(endpoint) > 0

    def _busy(self, endpoint: str) -> int:
        return sum(1 for other, _ in self._in_flight if other == endpoint)

    def _next_look_at(self) -> datetime | None:
        up = [endpoint for endpoint, circuit in self._circuits.items() if not circuit.is_down]
        times = [circuit.probe_at for circuit in self._circuits.values() if circuit.is_down]
        due_at = self._outbox.next_due_at(endpoints=up) if up else None
        return min([*times, due_at] if due_at is not None else times, default=None)

    async def _attempt(self, queued: Queued) -> None:
        notifier = self._notifiers.get(queued.endpoint)
        try:
            outcome = await self._hand_over(queued, notifier)
            if isinstance(outcome, Transient) and self._notifiers.get(queued.endpoint, notifier) is not notifier:
                # It goes elsewhere by now: what was met there says nothing of here, and makes nobody wait.
                self._outbox.retry(queued, at_next=self._clock.now(), reason=str(outcome))
                self._counts["failed"] += 1
            elif not isinstance(outcome, Withdrawn):
                self._record(queued, outcome)
        except Exception:  # noqa: BLE001  # the worker's outer loop: what is not recorded stays waiting, to be posted again
            self._pause(f"the outcome of {queued.id} could not be recorded")
        finally:
            del self._in_flight[queued.endpoint, queued.case]
            self._mark = None
            self._woken.set()

    async def _hand_over(
        self, queued: Queued, notifier: Notifier | None
    ) -> Acknowledgement | Transient | Permanent | Withdrawn:
        if notifier is None:
            return Withdrawn("nobody posts to this endpoint any more")
        self._counts["attempts"] += 1
        within = self._pace.attempt.total_seconds()
        try:
            async with asyncio.timeout(within):
                return await notifier.notify(queued)
        except (Transient, Permanent, Withdrawn) as error:
            return error
        except TimeoutError:
            return NotDelivered(f"no answer within {within:g} s")
        except Exception as error:  # a notifier's defect costs this attempt, not the other cases
            log.exception("notifier of %s failed with %s", queued.endpoint, queued.id)
            self._counts["errors"] += 1
            return NotDelivered(f"the notifier failed ({type(error).__name__})")

    def _record(self, queued: Queued, outcome: Acknowledgement | Transient | Permanent) -> None:
        if isinstance(outcome, Transient):
            self._failed(queued, outcome)
            return
        if isinstance(outcome, Acknowledgement):
            with self._outbox.transaction():
                if self._outbox.delivered(queued, outcome):
                    self._on_delivered(queued, outcome, queued.committed_at)
            self._counts["delivered"] += 1
        else:
            self._outbox.bury(queued, str(outcome))
            self._counts["refused"] += 1
            log.warning("%s refused %s of case %s: %s", queued.endpoint, queued.id, queued.case, outcome)
        circuit = self._circuits.get(queued.endpoint)
        if circuit is not None and circuit.answered():
            hastened = self._outbox.hasten(queued.endpoint, at=self._clock.now())
            log.info("%s is back; %d messages are due again", queued.endpoint, hastened)

    def _failed(self, queued: Queued, error: Transient) -> None:
        now = self._clock.now()
        reason = str(error)
        asked = timedelta(seconds=(error.retry_after_s if isinstance(error, NotDelivered) else None) or 0)
        age = now - queued.waiting_since
        # A short outage must not cost the only case of the hour ten minutes: nobody waits long beside how long it waited.
        longest = min(self._pace.longest_retry, max(self._pace.longest_probe, age / 10))
        wait = max(self._pace.wait(queued.attempts, longest, self._random), asked)
        if age >= self._pace.give_up_after:
            self._outbox.bury(queued, f"given up after {duration_text(self._pace.give_up_after)}: {reason}")
            self._counts["given_up"] += 1
            log.warning("gave up %s of case %s for %s: %s", queued.id, queued.case, queued.endpoint, reason)
        else:
            self._outbox.retry(queued, at_next=now + wait, reason=reason)
            self._counts["failed"] += 1
        circuit = self._circuits.get(queued.endpoint)
        if circuit is None:
            return
        was_down = circuit.is_down
        circuit.failed.add(queued.case)
        circuit.probes += circuit.asking  # the rest of what found it down asks nothing
        circuit.asking = False
        circuit.probe_at = now + max(self._pace.wait(circuit.probes, self._pace.longest_probe, self._random), asked)
        if circuit.is_down and not was_down:
            log.warning("%s is down: %s", queued.endpoint, reason)

    def _pause(self, what: str) -> None:
        """The database is full, locked or broken: say so, and do not spin."""
        log.error("%s; trying again", what, exc_info=True)  # noqa: LOG014  # called while an exception is handled
        self._counts["errors"] += 1
        self._mark = None
        self._paused_until = self._clock.monotonic() + _AFTER_AN_ERROR.total_seconds()

    def _trim(self, now: datetime) -> None:
        if self._trimmed_at is None or now - self._trimmed_at >= _TRIM_EVERY:
            self._trimmed_at = now
            self._outbox.trim(before=now - KEEP_DELIVERED)

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._woken.set()

    async def _wind_up(self) -> None:
        tasks = list(self._in_flight.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_GRACE.total_seconds())
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
