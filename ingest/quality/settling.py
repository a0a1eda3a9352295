"""A verdict that does not flap: what is certain is told at once, what a lorry could cause only once it has lasted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Generic, TypeVar

Verdict = TypeVar("Verdict")


class Settling(Generic[Verdict]):
    """What is told of what is found. `patience` says how long a finding must last, unbroken, before it is told.

    It then has to be otherwise for `recovery` before something else is told; a single look never decides, unless the
    finding's patience is zero.
    """

    def __init__(self, first: Verdict, *, recovery: timedelta) -> None:
        self.told = first
        self._first, self._recovery = first, recovery
        self._otherwise_since: datetime | None = None

    def found(self, finding: Verdict, at: datetime, *, patience: timedelta) -> Verdict:
        """What to tell after this finding."""
        if finding == self.told:
            self._otherwise_since = None
            return self.told
        if self._otherwise_since is None or at < self._otherwise_since:
            self._otherwise_since = at
        wait = (
            patience
            if self.told == self._first
            else min(patience, self._recovery)
            if finding != self._first
            else self._recovery
        )
        if at - self._otherwise_since >= wait:
            self.told, self._otherwise_since = finding, None
        return self.told
