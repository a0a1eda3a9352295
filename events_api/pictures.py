"""The latest picture of each camera, read once for everybody who watches; and the sign that somebody does."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from citybrain.clock import Clock
from citybrain.evidence.stamp import stamp_of
from citybrain.ports import HotStore

WATCHED_TTL = timedelta(seconds=10)
"""For so long after the last viewer ingest renews a camera's latest picture at every look, however many cameras it has."""

_TOLD_EVERY_S = 4.0
_SERVES_S = 0.15  # a picture is renewed four times a second at most
_KEPT = 128


@dataclass(frozen=True, slots=True)
class Shot:
    """A JPEG at most 640 pixels wide. `captured_at` is None when whoever took it did not say."""

    image: bytes
    etag: str
    captured_at: datetime | None


class Pictures:
    """Safe to call from several threads."""

    def __init__(self, hot: HotStore, clock: Clock) -> None:
        self._hot, self._clock = hot, clock
        self._lock = threading.Lock()
        self._read: OrderedDict[str, tuple[float, Shot | None]] = OrderedDict()
        self._told_s: dict[str, float] = {}

    def newest(self, camera: str) -> Shot | None:
        """The camera's latest picture, and word to ingest that it is watched. None when there is none."""
        now_s = self._clock.monotonic()
        self._tell(camera, now_s)
        with self._lock:
            read_s, before = self._read.get(camera, (-_SERVES_S, None))
        if before is not None and now_s - read_s < _SERVES_S:
            return before
        image = self._hot.get(f"picture/{camera}")
        if image is None:
            shot = None
        elif before is not None and before.image == image:
            shot = before
        else:
            shot = Shot(image, f'"{hashlib.blake2s(image, digest_size=10).hexdigest()}"', stamp_of(image))
        with self._lock:
            self._read[camera] = (now_s, shot)
            self._read.move_to_end(camera)
            while len(self._read) > _KEPT:
                self._read.popitem(last=False)
        return shot

    def _tell(self, camera: str, now_s: float) -> None:
        with self._lock:
            if now_s - self._told_s.get(camera, -_TOLD_EVERY_S) < _TOLD_EVERY_S:
                return
            if len(self._told_s) > _KEPT:
                self._told_s = {id: at for id, at in self._told_s.items() if now_s - at < _TOLD_EVERY_S}
            self._told_s[camera] = now_s
        self._hot.put(f"watched/{camera}", b"1", ttl=WATCHED_TTL)
