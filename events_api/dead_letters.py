"""The dead letters of a city of many machines, read from their topic; one that is to be sent again goes to whoever has its case."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from citybrain.bus.topics import DEAD_LETTERS, LOCALITY_COMMANDS
from citybrain.clock import Clock
from citybrain.errors import Unreadable
from citybrain.ports import Bus
from citybrain.wire.letters import Letter, SendAgain, SentAgain, read_dead_letter, write_about_letter
from events_api.ports import DeadLetter

_log = logging.getLogger(__name__)

_BATCH = 2000


class LoggedDeadLetters:
    """Follows `dead-letters` from its beginning whenever somebody asks. Each of its methods raises BusAway."""

    def __init__(self, bus: Bus, *, clock: Clock) -> None:
        self._bus, self._clock = bus, clock
        self._guard = threading.Lock()
        self._cursor = 0
        self._letters: dict[tuple[str, str], Letter] = {}

    def all(self, *, limit: int) -> Sequence[DeadLetter]:
        with self._guard:
            self._catch_up()
            newest = sorted(self._letters.values(), key=lambda each: each.at, reverse=True)[:limit]
        return [
            DeadLetter(each.event, each.endpoint, each.case, each.attempts, each.reason, each.at) for each in newest
        ]

    def count(self) -> int:
        with self._guard:
            self._catch_up()
            return len(self._letters)

    def resend(self, id: str) -> bool:
        with self._guard:
            self._catch_up()
            found = [letter for (event, _), letter in self._letters.items() if event == id]
            for letter in found:
                said = write_about_letter(SendAgain(letter, self._clock.now()))
                self._bus.publish(LOCALITY_COMMANDS, letter.locality, said)
                del self._letters[
                    letter.event, letter.endpoint
                ]  # nobody need press twice until the pipeline has heard it
        return bool(found)

    def _catch_up(self) -> None:
        while messages := self._bus.read([DEAD_LETTERS], after=self._cursor, limit=_BATCH):
            for message in messages:
                try:
                    self._hear(read_dead_letter(message.value))
                except Unreadable as error:
                    _log.warning("dead letter at %d cannot be read: %s", message.offset, error)
            self._cursor = messages[-1].offset

    def _hear(self, said: Letter | SentAgain | None) -> None:
        if isinstance(said, Letter):
            self._letters[said.event, said.endpoint] = said
        elif said is not None:
            self._letters.pop((said.event, said.endpoint), None)
