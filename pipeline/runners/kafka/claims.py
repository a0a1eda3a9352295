"""Keeps and seals the pictures that a case shows, before it is told: in threads, for stores may be slow, and once each."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from citybrain.domain.case import CaseEvent
from citybrain.domain.episode import Evidence
from citybrain.errors import Permanent, Transient
from citybrain.ports import EvidenceStore
from citybrain.wire import read_case_event

log = logging.getLogger(__name__)

_PATIENCE_S = 3.0
"""What a case waits for its pictures to be kept; a store that takes longer goes on beside it."""
_REMEMBERED = 20_000


class Sealer(Protocol):
    """Signs what was known of a picture when a case claimed it (`citybrain/evidence/seals.py`)."""

    def seal(self, event: CaseEvent, evidence: Evidence) -> bool:
        """Once for each case and picture; harmless when repeated. False when it is no longer there."""
        ...


class Claims:
    """What this worker's cases show. Said again after a crash, a claim changes nothing."""

    def __init__(self, evidence: EvidenceStore | None, sealer: Sealer | None) -> None:
        self._evidence, self._sealer = evidence, sealer
        self._done: dict[tuple[str, str], None] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def claim(self, body: bytes) -> None:
        """Of one case event. Never raises: the case matters more than its pictures."""
        if self._evidence is None:
            return
        event = read_case_event(body)
        new = [each for each in event.case.evidence if (event.case.id, each.ref) not in self._done]
        if not new:
            return
        before = self._under_way.get(event.case.id)
        task = asyncio.create_task(self._claim_all(before, event, new))
        self._under_way[event.case.id] = task
        task.add_done_callback(lambda _: self._forget(event.case.id, task))
        await asyncio.wait({task}, timeout=_PATIENCE_S)

    def _forget(self, case: str, task: asyncio.Task[None]) -> None:
        if self._under_way.get(case) is task:
            del self._under_way[case]

    async def _claim_all(self, before: asyncio.Task[None] | None, event: CaseEvent, new: list[Evidence]) -> None:
        """One after the other: a case's seals are a chain."""
        if before is not None:
            await asyncio.wait({before})
        for evidence in new:
            try:
                kept = await asyncio.to_thread(self._claim, event, evidence)
            except (Transient, Permanent) as error:
                log.error("picture not kept for %s: %s", event.case.id, error)  # noqa: TRY400  # the case matters more
                continue
            if not kept:
                log.warning("picture %s of %s is no longer there", evidence.ref, event.case.id)
            self._done[event.case.id, evidence.ref] = None
            while len(self._done) > _REMEMBERED:
                del self._done[next(iter(self._done))]

    def _claim(self, event: CaseEvent, evidence: Evidence) -> bool:
        kept = self._evidence is not None and self._evidence.keep(evidence.ref)
        if kept and self._sealer is not None:
            self._sealer.seal(event, evidence)
        return kept
