"""Every open case as a point, as the map draws it: written once for all who ask while no event comes."""

from __future__ import annotations

import json
import threading
from typing import Any

from events_api.ports import CaseStore, Fields, Wanted

MOST = 20_000
SAID = (
    "id", "scene", "title", "severity", "light", "state", "trial", "cameras", "grid_cell", "location", "filed_at", "due_at",
    "version",
)  # fmt: skip


class OpenCases:
    """Safe to call from several threads."""

    def __init__(self, store: CaseStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._as_of = -1
        self._written = b""

    def now(self) -> bytes:
        """JSON: `items`, the newest first; `more` when there are too many to draw; `as_of`, the cursor to stream from."""
        with self._lock:
            as_of = self._store.cursor()  # before the cases: an event is rather seen twice than never
            if as_of != self._as_of:
                found = self._store.cases(Wanted(open=True), limit=MOST + 1)
                told = {
                    "items": [_short(each) for each in found[:MOST]],
                    "more": len(found) > MOST,
                    "as_of": str(as_of),
                }
                self._written = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
                self._as_of = as_of
            return self._written


def _short(case: Fields) -> dict[str, Any]:
    return {name: case.get(name) for name in SAID}
