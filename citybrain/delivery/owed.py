"""What the sender asks of an outbox, wherever its rows lie."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from citybrain.ports import Acknowledgement, Outgoing


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued(Outgoing):
    """A message as an outbox holds it.

    `committed_at` is when it was put; `waiting_since` is that, or when a person had it sent again; `reason` is why the
    last attempt failed. `n` says which putting this is: an id that was forgotten may be put anew, and what comes of an
    attempt at the old one says nothing about the new one.
    """

    committed_at: datetime
    waiting_since: datetime
    due_at: datetime
    n: int
    reason: str = ""

    @classmethod
    def stored(cls, row: Sequence[Any]) -> Queued:
        """From a row of `FIELDS`."""
        return cls(
            id=row[0],
            endpoint=row[1],
            case=row[2],
            body=bytes(row[3]),
            attempts=row[4],
            committed_at=at_second(row[5]),
            waiting_since=at_second(row[6]),
            due_at=at_second(row[7]),
            reason=row[8],
            n=row[9],
        )


def at_second(seconds: float) -> datetime:
    """The instant that a row says in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


class Owed(Protocol):
    """An outbox as its sender sees it: what is due, and what comes of it. Two keep this: `Outbox` and `SqlOutbox`."""

    def transaction(self) -> AbstractContextManager[object]:
        """What is written within is committed together, or rolled back when anything raises."""
        ...

    def due(self, now: datetime, limit: int = 100, *, endpoints: Collection[str] | None = None) -> list[Queued]:
        """The first waiting message of each (endpoint, case) whose time has come, longest due first."""
        ...

    def due_each(self, now: datetime, limits: Mapping[str, int]) -> list[Queued]:
        """As `due`, so many at most for each of these endpoints; those of one endpoint in their order."""
        ...

    def probes(self, endpoint: str, now: datetime, limit: int = 1) -> list[Queued]:
        """As `due`, and what failed before even if its next attempt is due later: to ask whether it is back."""
        ...

    def next_due_at(self, *, endpoints: Collection[str] | None = None) -> datetime | None:
        """When the next message that is first of its case comes due; None when nothing waits."""
        ...

    def delivered(self, outgoing: Outgoing, ack: Acknowledgement) -> bool:
        """The receiver has it. False when that was known before."""
        ...

    def retry(self, outgoing: Outgoing, *, at_next: datetime, reason: str) -> None:
        """The attempt failed; the next one is due then."""
        ...

    def bury(self, outgoing: Outgoing, reason: str) -> None:
        """A dead letter: no further attempt is made unless someone resends it."""
        ...

    def hasten(self, endpoint: str, *, at: datetime) -> int:
        """The endpoint is back: what failed before is due then, not later. What was held back on purpose stays so."""
        ...

    def trim(self, *, before: datetime) -> int:
        """Forget what was delivered before then; how many. Dead letters stay."""
        ...

    def mark(self) -> tuple[int, int]:
        """Changes whenever anyone may have written to the outbox, through this object or another, soon after."""
        ...
