"""Tells whoever waits that new case events are in the view: server-sent streams, and actions awaiting their effect.

    the log ─► projector of some replica ─► the view ◂── look ── feed ◂─┬─ this replica's projector has committed
                                                                        ├─ word from another replica (Redis), at once
                                                                        └─ each 0.2 s, word or not

The view decides, and it has one order for all replicas: a feed hands on what lies behind its own cursor there, whoever wrote it,
so that no event is missed or told twice wherever a reader goes on.
"""

from __future__ import annotations

import asyncio
import bisect
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import islice

from citybrain.errors import Transient
from citybrain.ports import Nudges
from events_api.ports import EVERYTHING, CaseStore, EventFilter, StoredEvent

_log = logging.getLogger(__name__)

ABOUT = "case-events"
"""What the word between replicas is about."""

_KEPT = 2000  # events kept in memory; a reader further behind than that reads the store
_PAGE = 500
_LOOK_S = 0.2


class Feed:
    """The latest events in memory and a wake-up for each batch. Of one event loop; `look` is for every other thread.

    Readers pull by their own cursor and hold no queue here, so a slow one costs nobody anything and loses nothing.
    """

    def __init__(self, store: CaseStore) -> None:
        self._store = store
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._recent: list[StoredEvent] = []
        self._known_after = 0
        self._looking = threading.Lock()
        self._looked_to = 0
        self.cursor = 0
        self.closing = False

    def start(self) -> None:
        """Bind to the running loop and begin at what the view holds."""
        self._loop = asyncio.get_running_loop()
        self._looked_to = self._known_after = self.cursor = self._store.cursor()

    def close(self) -> None:
        """End every stream: readers resume by cursor, here or elsewhere."""
        self.closing = True
        self._wake()

    def look(self) -> bool:
        """Hand on what has come into the view since the last look, whoever wrote it; whether there was anything. Not for the
        loop's own thread."""
        loop = self._loop
        if loop is None or self.closing:
            return False
        with self._looking:  # one look after the other, or the loop would be told out of order
            cursor, before = self._store.cursor(), self._looked_to
            if cursor == before:
                return False
            if cursor < before:  # the view was made anew from another log: what is kept belongs to the old one
                self._looked_to = cursor
                _call(loop, self._begin_anew, cursor)
                return True
            while self._looked_to < cursor:
                # The cursor was read first: everything up to it is there by now, and what came since comes whole.
                found = self._store.events(after=self._looked_to, limit=_PAGE)
                self._looked_to = found[-1].cursor if len(found) == _PAGE else max([cursor, *(e.cursor for e in found)])
                _call(loop, self._announce, found, self._looked_to)
            return True

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

    def _begin_anew(self, cursor: int) -> None:
        self._recent.clear()
        self._known_after = self.cursor = cursor
        self._wake()

    def _announce(self, events: Sequence[StoredEvent], cursor: int) -> None:
        self._recent.extend(events)
        if len(self._recent) > _KEPT:
            self._known_after = self._recent[-_KEPT - 1].cursor
            del self._recent[:-_KEPT]
        self.cursor = cursor
        self._wake()

    def _wake(self) -> None:
        woken, self._changed = self._changed, asyncio.Event()
        woken.set()


class Noticing:
    """The thread that has the feed look: at word from another replica at once, and a few times a second in any case."""

    def __init__(self, feed: Feed, nudges: Nudges | None = None) -> None:
        self._feed, self._nudges = feed, nudges
        self._word, self._ended = threading.Event(), threading.Event()
        self._end_listening: Callable[[], None] = lambda: None
        self._thread: threading.Thread | None = None
        self._failing = False

    def start(self) -> None:
        if self._nudges is not None:
            self._end_listening = self._nudges.listen(ABOUT, self._word.set)
        self._thread = threading.Thread(target=self._run, name="noticing", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._word.set()
        self._end_listening()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def tell(self, *_: object) -> None:
        """This replica's projector has committed something: here it is handed on, the others are told."""
        self._feed.look()
        if self._nudges is not None:
            self._nudges.tell(ABOUT)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._word.wait(_LOOK_S)
            self._word.clear()
            try:
                self._feed.look()
                self._failing = False
            except Transient as error:
                if not self._failing:
                    _log.warning("whether there is anything new cannot be seen: %s", error)
                self._failing = True
                self._ended.wait(1.0)
            except Exception:  # noqa: BLE001 - a thread's outermost loop: the view keeps everything, so go on
                _log.exception("whether there is anything new cannot be seen")
                self._ended.wait(1.0)


def _call(loop: asyncio.AbstractEventLoop, what: Callable[..., None], *given: object) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(what, *given)
