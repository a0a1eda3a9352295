"""Evidence as people see it: faces and plates masked, made when somebody asks and kept in memory for those who ask next."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import cv2

from citybrain.errors import Unreadable
from citybrain.evidence import jpeg
from citybrain.evidence.masking import masked
from citybrain.evidence.preview import preview
from citybrain.evidence.regions import Masking
from citybrain.ports import EvidenceStore

_MOST_BYTES = 64 << 20
_PICTURES_AT_ONCE, _CLIPS_AT_ONCE = 2, 1
_PATIENCE_S = 10.0
"""How long somebody waits for the making of what others want: each waits with one of the server's threads."""
_VERSION = 1  # raised when what is masked changes: browsers keep what they were given


@dataclass(frozen=True, slots=True)
class Shown:
    """What is handed out. `masked`: it is a copy, made unrecognisable; its `etag` changes with how that is done."""

    content: bytes
    media_type: str
    etag: str
    masked: bool


class Busy(Exception):
    """As much is being made as can be at once."""


class ShownEvidence:
    """Pictures and clips by reference. Safe to call from several threads; it may take a second when nobody asked before."""

    def __init__(self, evidence: EvidenceStore, masking: Callable[[], Masking]) -> None:
        self._evidence, self._masking = evidence, masking
        self._lock = threading.Lock()
        self._pictures, self._clips = (threading.Semaphore(each) for each in (_PICTURES_AT_ONCE, _CLIPS_AT_ONCE))
        self._made: OrderedDict[str, Shown] = OrderedDict()
        self._bytes = 0
        self._making: dict[str, threading.Lock] = {}

    @property
    def masks(self) -> bool:
        """Whether anything is masked at present."""
        return self._masking().on

    def original(self, ref: str) -> Shown:
        """Raises KeyError, Unreadable as the store does."""
        return Shown(self._evidence.get(ref), _media_type(ref), f'"{ref.rpartition("-")[2]}"', masked=False)

    def get(self, ref: str) -> Shown:
        """It, as everyone may see it. Raises KeyError when there is none, Unreadable when it was altered, and ValueError when
        it cannot be masked; Busy when too much is being made."""
        masking = self._masking()
        if not masking.on:
            return self.original(ref)
        key = f"{ref}|{masking}"
        with self._lock:
            turn = self._making.setdefault(key, threading.Lock())
        try:
            with _soon(turn):  # many walls ask for a new case's picture at once: it is made once
                return self._known(key) or self._make(ref, key, masking)
        finally:
            with self._lock:
                self._making.pop(key, None)

    def _known(self, key: str) -> Shown | None:
        with self._lock:
            found = self._made.get(key)
            if found is not None:
                self._made.move_to_end(key)
            return found

    def _make(self, ref: str, key: str, masking: Masking) -> Shown:
        content, is_clip = self._evidence.get(ref), ref.endswith(".mp4")
        with _soon(self._clips if is_clip else self._pictures):
            try:
                made = preview(content) if is_clip else masked(content, masking, jpeg.told(content))
            except (Unreadable, OSError, cv2.error) as error:
                raise ValueError(str(error)) from error
        digest = hashlib.sha256(f"{_VERSION}|{key}".encode()).hexdigest()[:16]
        shown = Shown(made, _media_type(ref), f'"{digest}"', masked=True)
        with self._lock:
            self._made[key] = shown
            self._bytes += len(made)
            while self._bytes > _MOST_BYTES:
                _, gone = self._made.popitem(last=False)
                self._bytes -= len(gone.content)
        return shown


@contextmanager
def _soon(turn: threading.Lock | threading.Semaphore) -> Iterator[None]:
    """Hold it. Raises Busy when others hold it for too long."""
    if not turn.acquire(timeout=_PATIENCE_S):
        raise Busy
    try:
        yield
    finally:
        turn.release()


def _media_type(ref: str) -> str:
    return "video/mp4" if ref.endswith(".mp4") else "image/jpeg"
