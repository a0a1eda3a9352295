"""The thread in which subscribers are told, beside the API's own: a subscriber that hangs holds up no request."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from contextlib import suppress
from datetime import timedelta

from citybrain.clock import Clock, iso
from citybrain.errors import Transient
from citybrain.ports import Bus, HotStore
from citybrain.wire import dumps
from events_api.security import Keys
from events_api.subscriptions.shares import AllShares, Shares
from events_api.subscriptions.store import Subscriptions
from events_api.subscriptions.telling import Telling, Terms

_log = logging.getLogger(__name__)

_BEAT_EVERY = timedelta(seconds=5)
_AFTER_AN_ERROR = timedelta(seconds=1)
_STOP_WITHIN_S = 8.0


class Deliverer:
    """Runs from `start` to `stop`. What it shares with the API's routes is the subscriptions' database alone.

    `shares`: which subscriptions it tells while other replicas of the API tell theirs; without, all of them. `name` tells
    the replicas' heartbeats apart.
    """

    def __init__(
        self,
        subscriptions: Subscriptions,
        bus: Bus,
        *,
        clock: Clock,
        keys: Keys | None = None,
        hot: HotStore | None = None,
        terms: Terms | None = None,
        shares: Shares | None = None,
        name: str = "0",
    ) -> None:
        self._subscriptions, self._bus, self._clock, self._keys, self._hot = subscriptions, bus, clock, keys, hot
        self._terms, self._shares = terms or Terms(), shares or AllShares()
        self._name = name
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lives = threading.Event()
        self._stop = asyncio.Event()
        self.failures = 0

    def start(self) -> None:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name="deliverer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """What is under way has a few seconds to end; else it stays in the outbox. Waits for that."""
        if self._thread is not None and self._lives.wait(timeout=_STOP_WITHIN_S) and self._loop is not None:
            with suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout=_STOP_WITHIN_S)

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lives.set()
        while not self._stop.is_set():
            try:
                await self._work()
            except Transient as error:
                self.failures += 1
                _log.warning("subscribers cannot be told (%s); trying again", error)
                await self._wait(_AFTER_AN_ERROR)
            except Exception:  # noqa: BLE001 - a worker's outer loop: log and outbox keep everything, so go on
                self.failures += 1
                _log.exception("subscribers cannot be told; trying again")
                await self._wait(_AFTER_AN_ERROR)
        with suppress(Transient):
            self._shares.leave()

    async def _work(self) -> None:
        ended = asyncio.Event()
        telling = Telling(
            self._subscriptions,
            self._bus,
            clock=self._clock,
            keys=self._keys,
            terms=self._terms,
            shares=self._shares,
        )
        working = asyncio.create_task(telling.run(ended))
        try:
            while not (self._stop.is_set() or working.done()):
                self._beat(telling)
                await self._wait(_BEAT_EVERY, working)
        finally:
            ended.set()
            await working

    async def _wait(self, at_most: timedelta, *beside: asyncio.Task[None]) -> None:
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({stopping, *beside}, timeout=at_most.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()

    def _beat(self, telling: Telling) -> None:
        if self._hot is not None:
            figures = {f"subscriptions.{name}": figure for name, figure in telling.figures().items()}
            figures["subscriptions.failures"] = self.failures
            beat = {"at": iso(self._clock.now()), "pid": os.getpid(), "figures": figures}
            beat["every_s"] = _BEAT_EVERY.total_seconds()
            self._hot.put(f"heartbeat/api/{self._name}", dumps(beat), ttl=_BEAT_EVERY * 6)
