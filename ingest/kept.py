"""What cameras sent last, kept undecoded: the current group of pictures and some seconds before it, within stated bounds.

    older groups, as far as KEEP_BEFORE reaches back      current group
    [K p p p p p p p] [K p p p p p p p]                   [K p p p p ▸ newest

Over a bound the oldest of all cameras' older groups go first, so that every camera reaches about as far back. When none
is left, the current group of the camera that is just growing is cut: it keeps what it has, takes no more, and `closer`
says None until the next keyframe. Both are counted.

Sources fill it from the event loop or from threads of their own: one lock for all, held for microseconds.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache

from citybrain.domain.frame import Frame
from citybrain.ports import Footage, Unit

KEEP_BEFORE = timedelta(seconds=6)
"""How far back older groups reach from the newest keyframe: what an evidence clip shows before its event."""

CAMERA_BYTES = 12 << 20
"""The most that one camera keeps: six seconds of 16 Mbit/s."""

HISTORY_BYTES, HISTORY_BYTES_EACH = 64 << 20, 144 << 10
"""The most that older groups take together: for few cameras so much, for many so much for each."""

ALL_BYTES, ALL_BYTES_EACH = 512 << 20, 1 << 20
"""The most that everything kept takes together, current groups included."""


@dataclass(slots=True, eq=False)
class Group:
    """A group of pictures. `raw` is what came after its keyframe and nobody has asked for yet, as the source got it;
    `units` is what was taken apart. Not `whole`: something of it is missing, and nothing more is added; `closed`: another
    group has begun."""

    key: Frame
    units: list[Unit]
    mark: int = 0
    raw: list[bytes] = field(default_factory=list)
    size: int = 0
    whole: bool = True
    closed: bool = False


class KeptMemory:
    """The memory that all cameras of a process share for what they keep."""

    def __init__(
        self,
        *,
        all_bytes: int = ALL_BYTES,
        history_bytes: int = HISTORY_BYTES,
        camera_bytes: int = CAMERA_BYTES,
        each: tuple[int, int] = (ALL_BYTES_EACH, HISTORY_BYTES_EACH),
    ) -> None:
        self.lock = threading.Lock()
        self.camera_bytes = camera_bytes
        self._least, self._each = (all_bytes, history_bytes), each
        self._all_limit, self._history_limit = self._least
        self._cameras = 0
        self._current_bytes = self._older_bytes = 0
        self._older: dict[Group, Kept] = {}  # the oldest first
        self._cut = self._short = 0

    def figures(self) -> dict[str, int]:
        """Bytes kept, current groups that were cut, and older groups that went before their time."""
        return {"bytes": self._current_bytes + self._older_bytes, "cut": self._cut, "short": self._short}

    # What follows is for Kept, which holds the lock.

    def enter(self, cameras: int) -> None:
        """So many more cameras, or fewer."""
        self._cameras += cameras
        self._all_limit = max(self._least[0], self._cameras * self._each[0])
        self._history_limit = max(self._least[1], self._cameras * self._each[1])

    def grow(self, kept: Kept, size: int) -> bool:
        """Room for so much more in a camera's current group; False when there is none."""
        if not self._fits(kept, size):
            while kept.size + size > self.camera_bytes and kept.older:
                self._give_up(kept.older[0])
            while self._current_bytes + self._older_bytes + size > self._all_limit and self._older:
                self._give_up(next(iter(self._older)))
            if not self._fits(kept, size):
                self._cut += 1
                return False
        self._current_bytes += size
        kept.size += size
        return True

    def close(self, kept: Kept, group: Group) -> None:
        """The camera's current group has become an older one."""
        group.closed = True
        self._current_bytes -= group.size
        self._older_bytes += group.size
        self._older[group] = kept
        kept.older.append(group)
        while self._older_bytes > self._history_limit:
            self._give_up(next(iter(self._older)))

    def forget(self, group: Group) -> None:
        """An older group is not needed any more."""
        kept = self._older.pop(group)
        self._older_bytes -= group.size
        kept.size -= group.size
        kept.older.remove(group)

    def forget_current(self, kept: Kept, group: Group) -> None:
        self._current_bytes -= group.size
        kept.size -= group.size

    def _fits(self, kept: Kept, size: int) -> bool:
        everything = self._current_bytes + self._older_bytes + size
        return kept.size + size <= self.camera_bytes and everything <= self._all_limit

    def _give_up(self, group: Group) -> None:
        self._short += 1
        self.forget(group)


class Kept:
    """What one connection of a camera keeps. `take_apart` turns a group's `raw` into `units`, as far as it is complete."""

    def __init__(self, memory: KeptMemory, *, take_apart: Callable[[Group], None] | None = None) -> None:
        self._memory, self._take_apart = memory, take_apart
        self._current: Group | None = None
        self._number = 0
        self._open = True
        self.older: deque[Group] = deque()
        self.size = 0
        with memory.lock:
            memory.enter(1)

    def begin(self, key: Frame, *, mark: int = 0) -> Frame:
        """A keyframe has come: the frame with the number of the group that it begins. `mark` is the source's own."""
        with self._memory.lock:
            if self._current is not None:
                self._memory.close(self, self._current)
                self._current = None
            while len(self.older) > 1 and self.older[1].key.captured_at <= key.captured_at - KEEP_BEFORE:
                self._memory.forget(self.older[0])
            self._number += 1
            key = replace(key, group=self._number)
            data = key.packets[0]
            if self._open and self._memory.grow(self, len(data)):
                unit = Unit(data, key.captured_at, keyframe=True)
                self._current = Group(key, [unit], mark, size=len(data))
            return key

    def add(self, raw: bytes) -> None:
        """More of the current group, as it came."""
        with self._memory.lock:
            group = self._growing(len(raw))
            if group is not None:
                group.raw.append(raw)

    def add_unit(self, unit: Unit) -> None:
        """The next unit of the current group."""
        with self._memory.lock:
            group = self._growing(len(unit.data))
            if group is not None:
                group.units.append(unit)

    def lose(self) -> None:
        """Something is missing from here on: the current group takes no more."""
        with self._memory.lock:
            if self._current is not None:
                self._current.whole = False

    def close(self) -> None:
        """The connection is over, and what it kept is given up. What comes later is not kept."""
        with self._memory.lock:
            if not self._open:
                return
            self._open = False
            self._memory.enter(-1)
            for group in list(self.older):
                self._memory.forget(group)
            if self._current is not None:
                self._memory.forget_current(self, self._current)
                self._current = None

    def closer(self, after: tuple[int, int] | None, *, received_at: datetime) -> Frame | None:
        """See citybrain.ports.CloserSource."""
        with self._memory.lock:
            group = self._current
            if group is None or not group.whole:
                return None
            self._open_up(group)
            number, done = after or (0, 0)
            since = done if number == group.key.group else 0
            units = group.units[since:]
        if not units:
            return None
        # Pictures may be coded in another order than they are shown: the last one shown is the one meant.
        shown_at = max(unit.captured_at for unit in units)
        packets = tuple(unit.data for unit in units)
        instants = tuple(unit.captured_at for unit in units)
        return replace(
            group.key, packets=packets, captured_at=shown_at, received_at=received_at, since=since, instants=instants
        )

    def footage(self, since: datetime, *, extradata: bytes = b"") -> Footage | None:
        """See citybrain.ports.CloserSource. `extradata` stands in where the frames bring none."""
        with self._memory.lock:
            groups = [*self.older, *([self._current] if self._current else [])]
            if not groups:
                return None
            first = max((index for index, each in enumerate(groups) if each.key.captured_at <= since), default=0)
            units: list[Unit] = []
            for group in groups[first:]:
                self._open_up(group)
                units += group.units
        return Footage(groups[0].key.codec, groups[0].key.extradata or extradata, tuple(units))

    def _growing(self, size: int) -> Group | None:
        group = self._current
        if group is None or not group.whole:
            return None
        if not self._memory.grow(self, size):
            group.whole = False
            return None
        group.size += size
        return group

    def _open_up(self, group: Group) -> None:
        if group.raw and self._take_apart is not None:
            self._take_apart(group)


@cache
def process_memory() -> KeptMemory:
    """The memory of this process: bounds hold only when everybody shares it."""
    return KeptMemory()
