"""How often somebody may ask for what is dear or dangerous: a bucket of tokens for each kind and each asker."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from citybrain.clock import Clock


class Limited(StrEnum):
    """What is limited. Logins are counted by address, everything else by the key's name."""

    LOGIN = "login"
    ACTION = "action"
    EXPORT = "export"
    UNMASK = "unmask"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and from then on so many a second."""

    burst: int
    a_second: float


RATES: Mapping[Limited, Rate] = {
    Limited.LOGIN: Rate(10, 1 / 6),
    Limited.ACTION: Rate(120, 4.0),
    Limited.EXPORT: Rate(10, 1 / 10),
    Limited.UNMASK: Rate(120, 2.0),
}
_MOST = 10_000
"""Buckets that are kept. The one that went unasked longest goes first: it has most likely filled again."""


class Limits:
    """Token buckets. Safe to call from several threads; what it remembers is bounded, and lost with the process."""

    def __init__(self, clock: Clock, rates: Mapping[Limited, Rate] = RATES) -> None:
        self._clock, self._rates, self._lock = clock, rates, threading.Lock()
        self._buckets: OrderedDict[tuple[Limited, str], tuple[float, float]] = OrderedDict()
        self.refused: Counter[Limited] = Counter()

    def wait_s(self, kind: Limited, who: str) -> float:
        """Take a token: 0 when there was one, else the seconds until there will be one."""
        rate, now_s, key = self._rates[kind], self._clock.monotonic(), (kind, who)
        with self._lock:
            left, at_s = self._buckets.pop(key, (float(rate.burst), now_s))
            left = min(float(rate.burst), left + (now_s - at_s) * rate.a_second)
            wait_s = 0.0 if left >= 1 else (1 - left) / rate.a_second
            self._buckets[key] = (left if wait_s else left - 1, now_s)
            self.refused[kind] += bool(wait_s)
            while len(self._buckets) > _MOST:
                self._buckets.popitem(last=False)
        return wait_s

    def give_back(self, kind: Limited, who: str) -> None:
        """Put a token back: what it was taken for needs none after all."""
        with self._lock:
            if (kind, who) in self._buckets:
                left, at_s = self._buckets[kind, who]
                self._buckets[kind, who] = (min(float(self._rates[kind].burst), left + 1), at_s)
