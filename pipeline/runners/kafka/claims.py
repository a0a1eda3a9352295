"""What cases show is kept and sealed before they are told: in threads, for stores may be slow, and each picture once."""

from __future__ import annotations

import asyncio
from typing import Protocol

from citybrain.domain.case import CaseEvent
from citybrain.wire import read_case_event

_PATIENCE_S = 3.0
"""What a case waits for its pictures to be kept; a store that takes longer goes on beside it."""
_REMEMBERED = 20_000


class Claims(Protocol):
    """Keeps and seals (`citybrain/evidence/claims.py`); what cannot be done now it owes. Safe to share between threads."""

    def claim(self, event: CaseEvent) -> None:
        """All that the event's case shows. Harmless when repeated; never raises."""
        ...

    def settle(self) -> int:
        """Try again what is owed and due; how much is owed still."""
        ...

    @property
    def owed(self) -> int: ...


class Claiming:
    """One worker's claims. Said again after a crash, a claim changes nothing."""

    def __init__(self, claims: Claims | None) -> None:
        self._claims = claims
        self._done: dict[tuple[str, str], None] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def claim(self, body: bytes) -> None:
        """What a case event shows that none before it did; the case matters more, and does not wait for long."""
        if self._claims is None:
            return
        event = read_case_event(body)
        case = event.case.id
        if all((case, each.ref) in self._done for each in event.case.evidence):
            return
        task = asyncio.create_task(self._claim(self._under_way.get(case), event))
        self._under_way[case] = task
        task.add_done_callback(lambda _: self._forget(case, task))
        await asyncio.wait({task}, timeout=_PATIENCE_S)

    @property
    def owed(self) -> int:
        """Events that are still owed something."""
        return 0 if self._claims is None else self._claims.owed

    async def settle(self) -> None:
        """Call it each second or so."""
        if self._claims is not None:
            await asyncio.to_thread(self._claims.settle)

    async def _claim(self, before: asyncio.Task[None] | None, event: CaseEvent) -> None:
        """One event after the other: a case's seals are a chain."""
        if before is not None:
            await asyncio.wait({before})
        if self._claims is not None:
            await asyncio.to_thread(self._claims.claim, event)
        for evidence in event.case.evidence:
            self._done[event.case.id, evidence.ref] = None
        while len(self._done) > _REMEMBERED:
            del self._done[next(iter(self._done))]

    def _forget(self, case: str, task: asyncio.Task[None]) -> None:
        if self._under_way.get(case) is task:
            del self._under_way[case]
