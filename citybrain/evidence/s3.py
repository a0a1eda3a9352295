"""Evidence in S3-compatible storage: put on this machine's disk at once, and sent from there; kept by a copy in the storage.

    recent/202611210800/gd-0001/20261121/080000.000Z-0123456789abcdef.jpg    every picture and clip, for some hours, by the minute
    kept/gd-0001/20261121/080000.000Z-0123456789abcdef.jpg                 what a case shows
    seals/case-…/000001.json                                               who signed it (`citybrain.evidence.stored_seals`)

References are those of `citybrain.evidence.files`: camera, instant, and the start of the content's SHA-256.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import OrderedDict
from datetime import datetime, timedelta

from citybrain.clock import Clock, SystemClock
from citybrain.domain.episode import EvidenceKind
from citybrain.errors import EvidenceAway
from citybrain.evidence.bucket import Bucket
from citybrain.evidence.reference import captured_at as instant_of
from citybrain.evidence.reference import checked, is_reference, reference, to_the_millisecond
from citybrain.evidence.spool import Spool, Waiting

log = logging.getLogger(__name__)

LATE = timedelta(hours=6)
"""For so long what cannot be found may still come, from a machine that could not send it."""

LEFT_BEHIND = timedelta(seconds=5)
"""What has waited so long is nobody's any more: whoever has sent all of its own sends it."""

_SWEEP_S = 20.0
_KNOWN = 20_000


class S3Evidence:
    """The EvidenceStore of many machines. Safe to share between threads; `put` waits for this machine's disk only."""

    def __init__(
        self,
        bucket: Bucket,
        spool: Spool,
        *,
        clock: Clock | None = None,
        sweeps: bool = True,
        left_behind: timedelta = LEFT_BEHIND,
    ) -> None:
        """`sweeps`: what was never kept is removed here, and not by a rule of the bucket."""
        self.bucket = bucket
        self._spool, self._clock, self._sweeps = spool, clock or SystemClock(), sweeps
        self._left_behind_s = left_behind.total_seconds()
        self._mine: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._sending: threading.Thread | None = None
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, None] = OrderedDict()
        if spool.refs():
            self._send_in_a_thread()

    def put(self, camera: str, captured_at: datetime, content: bytes, kind: EvidenceKind = EvidenceKind.PICTURE) -> str:
        """Raises Transient when as much waits for the storage as may, ValueError for a camera id that is no file name."""
        ref = reference(camera, captured_at, content, kind)
        self._spool.add(ref, content)
        self._mine.put(ref)
        self._send_in_a_thread()
        return ref

    def keep(self, ref: str) -> bool:
        if not is_reference(ref):
            return False
        if self._is_known(ref):
            return True
        if not self.bucket.has(_kept(ref)):
            held = self._spool.get(ref)
            if held is not None:
                self.bucket.put(_kept(ref), checked(ref, held), media_type=_media_type(ref))
            else:
                try:
                    self.bucket.copy(_recent(ref), to=_kept(ref))
                except KeyError:
                    self._give_up_if_old(ref)
                    return False
        with self._lock:
            self._kept[ref] = None
            while len(self._kept) > _KNOWN:
                self._kept.popitem(last=False)
        return True

    def get(self, ref: str) -> bytes:
        if not is_reference(ref):
            raise KeyError(ref)
        held = self._spool.get(ref)
        if held is not None:
            return checked(ref, held)
        for key in (_kept(ref), _recent(ref)):
            try:
                return checked(ref, self.bucket.get(key))
            except KeyError:
                continue
        self._give_up_if_old(ref)
        raise KeyError(ref)

    def sweep(self, *, before: datetime) -> int:
        """It goes on at the next call when there is more to remove than some seconds allow."""
        if not self._sweeps:
            return 0
        before, removed = to_the_millisecond(before), 0
        until_s = self._clock.monotonic() + _SWEEP_S
        for minute in self.bucket.folders("recent/"):
            if minute > f"{before:%Y%m%d%H%M}":
                break
            for page in self.bucket.pages(f"recent/{minute}/"):
                old = [key for key in page if _is_before(key.split("/", 2)[-1], before)]
                self.bucket.remove(old)
                removed += len(old)
                if self._clock.monotonic() > until_s:
                    return removed
        return removed

    def away_since(self) -> datetime | None:
        return self.bucket.reach.away_since

    def waiting(self) -> Waiting:
        """What of this machine has not been sent."""
        return self._spool.waiting()

    def settle(self, *, within: timedelta) -> bool:
        """Wait until nothing waits any more; false when it takes longer."""
        until_s = self._clock.monotonic() + within.total_seconds()
        while self._spool.refs():
            if self._clock.monotonic() > until_s:
                return False
            self._closed.wait(0.01)
        return True

    def close(self) -> None:
        """What was not sent stays in the spool; the next process sends it."""
        self._closed.set()
        if self._sending is not None:
            self._sending.join(timeout=10)
        self.bucket.close()

    # -- sending ------------------------------------------------------------------------------------------------------

    def _send_in_a_thread(self) -> None:
        with self._lock:
            if self._sending is None:
                self._sending = threading.Thread(target=self._send_on, name="evidence", daemon=True)
                self._sending.start()

    def _send_on(self) -> None:
        while not self._closed.is_set():
            try:
                self._send(self._mine.get(timeout=1.0))
            except queue.Empty:
                self._send_what_was_left()
            except Exception:  # a thread's outermost loop: one picture's fault is not the others'
                log.exception("evidence could not be sent")

    def _send(self, ref: str) -> bool:
        """False when it cannot be sent now; then it waits where it is."""
        content = self._spool.get(ref)
        if content is None:
            return True
        try:
            self.bucket.put(_recent(ref), content, media_type=_media_type(ref))
        except EvidenceAway:
            return False
        self._spool.remove(ref)
        return True

    def _send_what_was_left(self) -> None:
        """By processes that died, and while the storage was away."""
        if self.away_since() is not None or not self._spool.waiting().count:
            return
        with self._spool.turn() as is_ours:
            if not is_ours:
                return
            for ref in self._spool.refs(for_s=self._left_behind_s):
                while not self._mine.empty():  # a picture of now is wanted sooner than one of an hour ago
                    self._send(self._mine.get())
                if self._closed.is_set() or not self._send(ref):
                    return

    def _give_up_if_old(self, ref: str) -> None:
        """Raises EvidenceAway for what may still come."""
        if self._clock.now() - instant_of(ref) < LATE:
            raise EvidenceAway(f"{ref} has not come yet")

    def _is_known(self, ref: str) -> bool:
        with self._lock:
            return ref in self._kept


def _kept(ref: str) -> str:
    return f"kept/{ref}"


def _recent(ref: str) -> str:
    """By the minute: what is over is swept without a look at what came since, of all cameras at once."""
    return f"recent/{instant_of(ref):%Y%m%d%H%M}/{ref}"


def _is_before(ref: str, before: datetime) -> bool:
    return is_reference(ref) and instant_of(ref) < before


def _media_type(ref: str) -> str:
    return "video/mp4" if ref.endswith(".mp4") else "image/jpeg"
