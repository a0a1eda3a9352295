"""Which cameras are to look at a place again because a unit says that it is done, as the pipeline asks on the bus.

commands ──▸ look_again ──▸ looked at closely for a moment, at once; and until nobody asks any more every look at it is
                            inferred, whatever the gate says, and its picture kept, whatever it shows
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from citybrain.clock import Clock
from citybrain.domain.command import LookAgain
from citybrain.errors import BusAway, Unreadable
from citybrain.ports import Bus
from citybrain.wire import COMMANDS, read_command

log = logging.getLogger(__name__)

ASKED_FOR_S = 45.0
"""How long a question stands: somewhat longer than it takes until it is asked again."""

CLOSELY_S = 3.0
"""How long a camera is looked at closely when it is asked something new: until a picture since then is sure to be seen."""

_EVERY_S = 0.5


@dataclass(slots=True)
class _Asked:
    asked_at: datetime
    until_s: float
    closely_until_s: float


class LookingAgain:
    """The questions of all cameras; `at_once` is called with a camera that is asked something new. Monotonic seconds end in `_s`.

    What was asked before we began is not read: while there is no answer, it is asked again.
    """

    def __init__(self, bus: Bus, clock: Clock, at_once: Callable[[str], None]) -> None:
        self._bus, self._clock, self._at_once = bus, clock, at_once
        self._asked: dict[str, _Asked] = {}

    async def run(self) -> None:
        """Follow what is asked, until cancelled."""
        after: int | None = None
        while True:
            try:
                if after is None:
                    after = await asyncio.to_thread(self._bus.end, COMMANDS)
                for message in await asyncio.to_thread(self._bus.read, (COMMANDS,), after=after):
                    after = message.offset
                    self.hear(message.value)
            except BusAway as error:
                log.debug("what is asked of cameras cannot be read: %s", error)  # the bus itself has said so
            except Exception:  # the outermost loop: a disk that fails now may not later, and looking goes on meanwhile
                log.exception("could not read what is asked of cameras")
            await asyncio.sleep(_EVERY_S)

    def hear(self, command: bytes) -> None:
        """A command of the bus: most are not for cameras."""
        try:
            asked = read_command(command)
        except Unreadable:  # the pipeline sets it aside, with its reason
            return
        if not isinstance(asked, LookAgain):
            return
        now_s = self._clock.monotonic()
        before = self._asked.get(asked.camera)
        if before is not None and asked.asked_at <= before.asked_at:
            before.until_s = now_s + ASKED_FOR_S
            return
        self._asked[asked.camera] = _Asked(asked.asked_at, now_s + ASKED_FOR_S, now_s + CLOSELY_S)
        self._at_once(asked.camera)

    def wanted(self, camera: str, now_s: float) -> bool:
        """Whether a look at the camera now is to be inferred and its picture kept."""
        asked = self._asked.get(camera)
        if asked is not None and asked.until_s <= now_s:
            del self._asked[camera]
            return False
        return asked is not None

    def closely_until(self, camera: str, now_s: float) -> float | None:
        """Until when the camera is to be looked at closely for it; None when it is not."""
        asked = self._asked.get(camera)
        return asked.closely_until_s if asked is not None and asked.closely_until_s > now_s else None
