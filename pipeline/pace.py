"""How the time allowed for a case runs: which time counts, how much there is, and when the next level is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.calendar import Calendar, Counts, due, used

WARN_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Pace:
    """`every`: how much more time one who was told has before the next level is; `escalate_at`: when that is, None: never.

    `stopped_at`: the case is deferred since then, and no time runs; `resume_at`: when it goes on by itself.
    """

    allowed: timedelta = timedelta()
    counts: Counts = Counts.ALWAYS
    every: timedelta = timedelta()
    escalate_at: datetime | None = None
    stopped_at: datetime | None = None
    resume_at: datetime | None = None

    def after(self, since: datetime, span: timedelta, calendar: Calendar) -> datetime:
        """When that much time has run, to the millisecond, as it is stored: a restart must not move it."""
        found = due(since, span, calendar) if self.counts is Counts.WORKING_HOURS else since + span
        return found.replace(microsecond=found.microsecond // 1000 * 1000)

    def between(self, since: datetime, until: datetime, calendar: Calendar) -> timedelta:
        """How much time runs between two instants."""
        return used(since, until, calendar) if self.counts is Counts.WORKING_HOURS else until - since

    def warn_at(self, since: datetime, due_at: datetime, calendar: Calendar) -> datetime:
        """When four fifths of the time between have run."""
        return min(due_at, self.after(since, self.between(since, due_at, calendar) * WARN_SHARE, calendar))
