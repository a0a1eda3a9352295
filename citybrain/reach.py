"""Whether a server that is not ours answers: while it does not, nobody waits for it but one thread that tries again.

answers ── a question fails ──► away: everybody is told so at once
   ▲                              │ probed after 0.5 s, 1 s, 2 s … 10 s
   └──────── a probe succeeds ────┘
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from citybrain.clock import Clock, SystemClock

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=0.5), timedelta(seconds=10)
_STEADY_S = 30.0
"""Who fails again sooner than this has not recovered: the pauses go on where they were."""


class Reach:
    """One process's knowledge of one server. Safe to share between threads; the thread lives while the server is away only."""

    def __init__(
        self,
        name: str,
        lacking: str,
        *,
        probe: Callable[[], object],
        faults: tuple[type[Exception], ...],
        log: logging.Logger,
        clock: Clock | None = None,
        first_pause: timedelta = FIRST_PAUSE,
    ) -> None:
        """`name` is shown: without a password. `lacking` says what is missed while it is away. `probe` asks it something
        small, and raises one of `faults` when there is no answer."""
        self._name, self._lacking, self._probe, self._faults, self._log = name, lacking, probe, faults, log
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._first_s = self._pause_s = first_pause.total_seconds()
        self._back_s: float | None = None
        self._closed = threading.Event()
        self._away_since: datetime | None = None
        self.reason = ""
        """Why it is away, in a word or two."""
        self.failures = 0
        """Questions that had no answer, since the start."""

    @property
    def away_since(self) -> datetime | None:
        return self._away_since

    def lost(self, reason: str) -> None:
        """A question had no answer."""
        self.failures += 1
        with self._lock:
            if self._away_since is not None or self._closed.is_set():
                return
            self._away_since, self.reason = self._clock.now(), reason
            steady = self._back_s is None or self._clock.monotonic() - self._back_s > _STEADY_S
            self._pause_s = self._first_s if steady else self._pause_s
            threading.Thread(target=self._try_again, name="reach", daemon=True).start()
        self._log.warning("%s does not answer (%s); %s until it does", self._name, reason, self._lacking)

    def close(self) -> None:
        """Try no more."""
        self._closed.set()

    def _try_again(self) -> None:
        while not self._closed.wait(self._pause_s * random.uniform(0.8, 1.2)):
            self._pause_s = min(LONGEST_PAUSE.total_seconds(), self._pause_s * 2)
            try:
                self._probe()
            except self._faults:
                continue
            except Exception:  # noqa: BLE001 - a thread's outermost loop: a defect must not end the only one that tries
                self._log.exception("%s could not be asked", self._name)
                continue
            with self._lock:
                since, self._away_since, self._back_s = self._away_since, None, self._clock.monotonic()
            away = self._clock.now() - since if since is not None else timedelta()
            self._log.info("%s answers again, after %.0f s", self._name, away.total_seconds())
            return
