"""Tells whoever waits that new case events are in the view: server-sent streams, and actions awaiting their effect."""

from __future__ import annotations

import asyncio
import bisect
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice

from events_api.ports import EVERYTHING, CaseStore, EventFilter, StoredEvent

_KEPT = 2000  # events kept in memory; a reader further behind than that reads the store


class Feed:
    """The latest events in memory and a wake-up for each batch. Of one event loop; `announce_from` crosses threads.

    Readers pull by their own cursor and hold no queue here, so a slow one costs nobody anything and loses nothing.
    """

    def __init__(self, store: CaseStore) -> None:
        self._store = store
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._recent: list[StoredEvent] = []
        self._known_after = 0
        self.cursor = 0
        self.closing = False

    def start(self) -> None:
        """Bind to the running loop and begin at what the view holds."""
        self._loop = asyncio.get_running_loop()
        self._known_after = self.cursor = self._store.cursor()

    def close(self) -> None:
        """End every stream: readers resume by cursor, here or elsewhere."""
        self.closing = True
        self._wake()

    def announce_from(self, events: Sequence[StoredEvent], cursor: int) -> None:
        """Called by the projector's thread after its commit."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._announce, events, cursor)

    def change(self) -> asyncio.Event:
        """An event that is set at the next batch; take it before looking, wait for it after."""
        return self._changed

    async def after(
        self, cursor: int, *, limit: int, wanted: EventFilter = EVERYTHING
    ) -> tuple[list[StoredEvent], int]:
        """Up to `limit` events after the cursor, and the cursor up to which everything has been looked at."""
        if cursor >= self.cursor:
            return [], cursor
        seen_to = self.cursor
        if cursor >= self._known_after:
            start = bisect.bisect_right(self._recent, cursor, key=lambda event: event.cursor)
            let_through = (event for event in self._recent[start:] if wanted.lets_through(event))
            found = list(islice(let_through, limit))
        else:
            found = await asyncio.to_thread(self._store.events, after=cursor, limit=limit, wanted=wanted)
        if len(found) == limit:
            return found, found[-1].cursor
        return found, max([seen_to, *(event.cursor for event in found)])

    async def effect(self, command: str, *, within: timedelta) -> StoredEvent | None:
        """The first event that the command brought about, waiting for it at most so long."""
        try:
            async with asyncio.timeout(within.total_seconds()):
                while not self.closing:
                    changed = self.change()
                    found = await asyncio.to_thread(self._store.effects, command)
                    if found:
                        return found[0]
                    await changed.wait()
        except TimeoutError:
            return None
        return None

    def _announce(self, events: Sequence[StoredEvent], cursor: int) -> None:
        if cursor < self.cursor:  # the view was made anew from another log
            self._recent.clear()
            self._known_after = 0
        self._recent.extend(events)
        if len(self._recent) > _KEPT:
            self._known_after = self._recent[-_KEPT - 1].cursor
            del self._recent[:-_KEPT]
        self.cursor = cursor
        self._wake()

    def _wake(self) -> None:
        woken, self._changed = self._changed, asyncio.Event()
        woken.set()
