"""What cases claim of the evidence: kept as long as they are, and sealed; what cannot be done now is owed, and done later.

    claim ─┬─ kept, sealed ────────────────────────────────► done
           ├─ no longer there, altered ──► said in the log ─► done
           └─ the storage is away, or has not got it yet ──► owed ── 1 s, 2 s … 1 min ──► claim

The case goes out meanwhile. What is owed lies in a folder, by event, so that it outlives the process. Should the folder be lost
with its machine, the case's next event claims the same again: each one names all evidence of its case.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from citybrain.clock import Clock, SystemClock
from citybrain.domain.case import CaseEvent
from citybrain.domain.episode import Evidence
from citybrain.errors import CityBrainError, Permanent, Transient
from citybrain.evidence.seals import Sealing
from citybrain.ports import EvidenceStore
from citybrain.wire import read_case_event, write_case_event

log = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=1), timedelta(minutes=1)


@dataclass(slots=True)
class _Owed:
    """An event whose case claims something that could not be had; `path` holds it."""

    event: CaseEvent
    path: Path | None
    due_s: float
    wait_s: float


class Claims:
    """Claims of one process. What the storage does, `claim` and `settle` never raise. Safe to share between threads."""

    def __init__(
        self,
        evidence: EvidenceStore,
        sealing: Sealing | None,
        *,
        folder: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Without `sealing` evidence is kept only; without `folder` what is owed ends with the process."""
        self._evidence, self._sealing, self._folder = evidence, sealing, folder
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._owed = {each.event.id: each for each in self._left_behind()}

    def claim(self, event: CaseEvent) -> None:
        """Keep and seal all that the event's case shows, before it is told; harmless when repeated."""
        if not self._claimed(event, log.warning):
            self._owe(event)

    def settle(self, transaction: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext) -> int:
        """Claim again what is owed and due, each in a transaction; returns how many events are still owed something. Call it
        each second or so."""
        now_s = self._clock.monotonic()
        with self._lock:
            due = [each for each in self._owed.values() if each.due_s <= now_s]
        for owed in due:
            with transaction():
                is_claimed = self._claimed(owed.event, log.debug)
            if is_claimed:
                self._settled(owed)
            else:
                owed.wait_s = min(LONGEST_WAIT.total_seconds(), owed.wait_s * 2)
                owed.due_s = self._clock.monotonic() + owed.wait_s
        return self.owed

    @property
    def owed(self) -> int:
        """How many events' claims could not be made yet."""
        return len(self._owed)

    def _claimed(self, event: CaseEvent, say: Callable[..., None]) -> bool:
        claimed = [self._is_claimed(event, each, say) for each in event.case.evidence]  # each, whatever the first says
        return all(claimed)

    def _is_claimed(self, event: CaseEvent, evidence: Evidence, say: Callable[..., None]) -> bool:
        case, ref = event.case.id, evidence.ref
        try:
            if not self._evidence.keep(ref):
                log.warning("picture %s of %s is no longer there", ref, case)
            elif self._sealing is not None:
                self._sealing.seal(event, evidence)
        except Transient as error:
            say("picture of %s is not kept yet: %s", case, error)
            return False
        except Permanent as error:
            log.error("picture not kept for %s: %s", case, error)  # noqa: TRY400  # the case matters more
        return True

    # -- what is owed -------------------------------------------------------------------------------------------------

    def _owe(self, event: CaseEvent) -> None:
        wait_s = FIRST_WAIT.total_seconds()
        with self._lock:
            if event.id in self._owed:
                return
            owed = self._owed[event.id] = _Owed(event, None, self._clock.monotonic() + wait_s, wait_s)
        if self._folder is None:
            return
        path = self._folder / f"{hashlib.sha256(event.id.encode()).hexdigest()[:32]}.json"
        arriving = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            arriving.write_bytes(write_case_event(event))
            arriving.replace(path)
        except OSError as error:
            log.error("what %s claims is owed in memory only: %s", event.case.id, error)  # noqa: TRY400  # it says it all
        else:
            owed.path = path

    def _settled(self, owed: _Owed) -> None:
        with self._lock:
            del self._owed[owed.event.id]
        if owed.path is not None:
            owed.path.unlink(missing_ok=True)
        log.info("what %s shows is kept now", owed.event.case.id)

    def _left_behind(self) -> list[_Owed]:
        found: list[_Owed] = []
        if self._folder is None or not self._folder.is_dir():
            return found
        for path in sorted(self._folder.glob("*.json")):
            try:
                event = read_case_event(path.read_bytes())
            except (CityBrainError, OSError, ValueError, TypeError, LookupError, json.JSONDecodeError) as error:
                log.warning("%s cannot be read and is let go: %s", path, error)
                with contextlib.suppress(OSError):
                    path.unlink()
                continue
            found.append(_Owed(event, path, self._clock.monotonic(), FIRST_WAIT.total_seconds()))
        return found
