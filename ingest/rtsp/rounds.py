"""Reads all streams of a process in rounds, so that one read takes several packets: no task or timer for each camera.

Waking up for every packet costs more than the packet. Here a stream is read each READ_EVERY_S, when the kernel has
gathered what came meanwhile: that is the most by which reading delays a picture. Among MANY streams it is twice that, for
two thirds of the cost. Datagrams, for which the kernel keeps little room, are read in every slot of a round.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

READ_EVERY_S, READ_MANY_EVERY_S = 0.1, 0.2
MANY = 256
SCRATCH_BYTES = 512 * 1024
_SLOTS = 5


class Reader(Protocol):
    """A stream that is read in rounds. `turn` must not block and not raise."""

    def turn(self, scratch: bytearray, view: memoryview, now_s: float) -> None: ...


class Rounds:
    """The rounds of one event loop; they go on while there is somebody to read. `scratch` is everybody's in turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._slots: list[set[Reader]] = [set() for _ in range(_SLOTS)]
        self._always: set[Reader] = set()
        self._scratch = bytearray(SCRATCH_BYTES)
        self._view = memoryview(self._scratch)
        self._slot = 0
        self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def join(self, reader: Reader, *, every_slot: bool = False) -> None:
        (self._always if every_slot else min(self._slots, key=len)).add(reader)
        if self._timer is None:
            self._due_s = self.loop.time()
            self._timer = self.loop.call_later(0, self._go)

    def leave(self, reader: Reader) -> None:
        self._always.discard(reader)
        for slot in self._slots:
            slot.discard(reader)

    def _go(self) -> None:
        self._timer = None
        now_s = self.loop.time()
        for reader in (*self._slots[self._slot], *self._always):
            reader.turn(self._scratch, self._view, now_s)
        self._slot = (self._slot + 1) % _SLOTS
        count = len(self._always) + sum(map(len, self._slots))
        if count:
            every_s = READ_EVERY_S if count < MANY else READ_MANY_EVERY_S
            # A loop that is late takes the next slot at once, and does not try to catch up with those it missed.
            self._due_s = max(self._due_s + every_s / _SLOTS, self.loop.time())
            self._timer = self.loop.call_at(self._due_s, self._go)


_ROUNDS: list[Rounds] = []


def rounds() -> Rounds:
    """The rounds of the running loop: one for all its streams, or they would not be rounds."""
    loop = asyncio.get_running_loop()
    if not _ROUNDS or _ROUNDS[0].loop is not loop:
        _ROUNDS[:] = [Rounds(loop)]  # a process has one loop; tests have one after the other
    return _ROUNDS[0]
