"""Reads the log of case events into the case view, on a thread of its own, and says so to whoever waits."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

from citybrain.errors import Transient, Unreadable
from citybrain.ports import Bus, Message
from citybrain.wire import CASE_EVENTS, read_case_event
from events_api.ports import CaseStore, LoggedEvent, SetAside, StoredEvent

_log = logging.getLogger(__name__)

_BATCH = 500
_PATIENCE = timedelta(milliseconds=200)


class Projector:
    """Follows `case-events` from the view's own cursor. `announce` gets each batch after it is committed.

    Where several replicas of the API share a view, each follows the log, and each batch is taken in by whoever is first: no one
    leads, so nobody need take over from one that died.

    `beside` is what else follows the log: asked for its next batch while there is no event; false when there was nothing.
    """

    def __init__(
        self,
        bus: Bus,
        store: CaseStore,
        *,
        announce: Callable[[Sequence[StoredEvent], int], None] = lambda *_: None,
        beside: Callable[[], bool] = lambda: False,
    ) -> None:
        self._bus = bus
        self._store = store
        self._announce, self._beside = announce, beside
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.failures = 0
        self.failure = ""

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="projector", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def lag(self) -> int:
        """How far the log's end is ahead of the view, in offsets: 0 when everything is in."""
        return max(0, self._bus.end(CASE_EVENTS) - self._store.cursor())

    def step(self) -> bool:
        """Take in one batch; false when there was nothing."""
        cursor = self._store.cursor()
        messages = self._bus.read([CASE_EVENTS], after=cursor, limit=_BATCH)
        if not messages:
            # An empty topic says nothing: it may be a new log, or one whose old messages were removed.
            if 0 < self._bus.end(CASE_EVENTS) < cursor:
                _log.warning("the log ends before the view's cursor %d: another log, the view starts anew", cursor)
                self._store.reset(at=cursor)
                self._announce([], 0)
                return True
            return False
        end = messages[-1].offset
        new = self._store.apply([_read(message) for message in messages], cursor=end, after=cursor)
        if new is not None:  # else another replica was quicker, and the feed sees what it wrote
            self._announce(new, end)
        return True

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if not self.step() and not self._beside():
                    self._bus.wait(_PATIENCE)
                self.failure = ""
            except Transient as error:  # bus or database are away: the log keeps everything
                if not self.failure:
                    _log.warning("the case view cannot follow the log: %s", error)
                self.failures += 1
                self.failure = f"{type(error).__name__}: {error}"
                self._stop.wait(1.0)
            except Exception as error:  # noqa: BLE001 - a worker's outer loop: the log keeps everything, so go on
                self.failures += 1
                self.failure = f"{type(error).__name__}: {error}"
                _log.exception("the case view could not follow the log")
                self._stop.wait(1.0)


def _read(message: Message) -> LoggedEvent | SetAside:
    raw = message.value.decode("utf-8", "replace")
    try:
        return LoggedEvent(message.offset, read_case_event(message.value), raw)
    except (Unreadable, ValueError, TypeError, LookupError, AttributeError) as error:
        reason = str(error) if isinstance(error, Unreadable) else f"{type(error).__name__}: {error}"
        _log.warning("case event at %d is set aside: %s", message.offset, reason)
        return SetAside(message.offset, reason, raw)
