"""All cameras at one instant: their states counted, found by what is asked, the most urgent first; read once for many askers."""

from __future__ import annotations

import re
import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from citybrain.clock import Clock
from citybrain.domain.camera import Camera
from citybrain.ports import HotStore
from events_api.registry import Registry
from events_api.signs import heartbeats, hot_fields, is_fresh

STATES = ("connecting", "live", "stale", "unusable", "refused", "lost")
URGENCY = ("refused", "lost", "unusable", "stale", "unknown", "connecting", "live")
_ADDRESS = re.compile(r"\w+://\S+")
_SHARE = 10
"""Reading thousands of states takes a while: what was read serves for so many times as long."""


@dataclass(frozen=True, slots=True)
class Known:
    """A configured camera, its state as people should believe it, and what ingest last told of it."""

    camera: Camera
    state: str
    reason: str = ""
    reason_zh: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def by_urgency(self) -> tuple[int, str]:
        return URGENCY.index(self.state), self.camera.id


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; what is not said matches everything. `text` is sought in id and name, whatever its case."""

    states: Collection[str] = ()
    ids: Collection[str] = ()
    grid_cell: str = ""
    text: str = ""

    def matches(self, known: Known) -> bool:
        """Whether the camera is one of these, whatever its state."""
        camera = known.camera
        return (
            (not self.ids or camera.id in self.ids)
            and (camera.grid_cell or "").startswith(self.grid_cell)
            and (not self.text or self.text.casefold() in f"{camera.id}\n{camera.name.zh}\n{camera.name.en}".casefold())
        )


@dataclass(frozen=True)
class Overview:
    """The cameras in order of id."""

    cameras: Sequence[Known]

    @cached_property
    def urgent(self) -> Sequence[Known]:
        return sorted(self.cameras, key=lambda known: known.by_urgency)

    @cached_property
    def counts(self) -> Mapping[str, int]:
        return Counter(known.state for known in self.cameras)

    def find(
        self, wanted: Wanted, *, urgent_first: bool, after: tuple[int, str] | None, limit: int
    ) -> tuple[list[Known], bool, Mapping[str, int]]:
        """A page, whether more follow, and how many match in each state, the state's own filter aside.

        `after` is the place of the last camera of the page before: its urgency (0 by id) and its id. It need not be there.
        """
        everyone = self.urgent if urgent_first else self.cameras
        found = everyone if wanted == Wanted(wanted.states) else [each for each in everyone if wanted.matches(each)]
        counts = Counter(known.state for known in found)
        if wanted.states:
            found = [known for known in found if known.state in wanted.states]
        places = [known.by_urgency if urgent_first else (0, known.camera.id) for known in found]
        first = 0 if after is None else bisect_right(places, after)
        return list(found[first : first + limit]), len(found) > first + limit, counts


class CameraOverview:
    """Reads the overview when asked, and not again while it is fresh: many walls cost little more than one.

    `noticed` is told of each that was read.
    """

    def __init__(
        self,
        registry: Registry,
        hot: HotStore,
        clock: Clock,
        *,
        noticed: Callable[[Sequence[Known], datetime], None] = lambda _cameras, _at: None,
    ) -> None:
        self._registry, self._hot, self._clock, self._noticed = registry, hot, clock, noticed
        self._lock = threading.Lock()
        self._read: Overview | None = None
        self._cameras: Mapping[str, Camera] = {}
        self._good_until_s = 0.0

    def now(self) -> Overview:
        """The overview, at most ten times as old as it took to read; while one asker reads, the others wait for nothing."""
        before = self._read
        if before is not None and self._lock.locked() and self._registry.cameras is self._cameras:
            return before
        with self._lock:
            began_s, cameras = self._clock.monotonic(), self._registry.cameras
            if self._read is None or cameras is not self._cameras or began_s >= self._good_until_s:
                told = {key.removeprefix("camera/"): hot_fields(value) for key, value in self._hot.scan("camera/")}
                silent = self._is_silent()
                self._read = Overview([_known(each, told.get(id, {}), silent=silent) for id, each in cameras.items()])
                self._cameras = cameras
                self._noticed(self._read.cameras, self._clock.now())
                ended_s = self._clock.monotonic()
                self._good_until_s = ended_s + _SHARE * (ended_s - began_s)
            return self._read

    def one(self, camera: Camera) -> Known:
        """One camera, as of this instant."""
        return _known(camera, hot_fields(self._hot.get(f"camera/{camera.id}")), silent=self._is_silent())

    def _is_silent(self) -> bool:
        return is_fresh("ingest", heartbeats(self._hot), self._clock.now()) is False


def _known(camera: Camera, told: Mapping[str, Any], *, silent: bool) -> Known:
    if silent:
        # A state that nobody renews is no state: a dead camera must not look alive because ingest died with it.
        return Known(camera, "unknown", "ingest is silent", "采集进程无响应", told)
    state, reason = told.get("state"), masked(told.get("reason", ""))
    if state not in STATES:
        return Known(camera, "unknown", "no report yet", "尚无状态", told)
    return Known(camera, state, reason, masked(told.get("reason_zh", "")) or reason, told)


def masked(said: object) -> str:
    """What ingest said, without an address that may be in it."""
    return _ADDRESS.sub("…", str(said))[:200]
