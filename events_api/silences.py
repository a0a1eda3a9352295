"""Follows the silences that people make, from the same log that the pipeline hears of them by, into the case view."""

from __future__ import annotations

import logging

from citybrain.domain.command import Silence, Silenced
from citybrain.errors import Unreadable
from citybrain.ports import Bus, Message
from citybrain.wire import COMMANDS, read_command
from events_api.ports import CaseStore

_log = logging.getLogger(__name__)

_BATCH = 2000
_MARK = b'"silenced"'  # most commands are ticks and deliveries: they need not be read


class Silences:
    """Reads `commands` from a cursor of its own."""

    def __init__(self, bus: Bus, store: CaseStore) -> None:
        self._bus, self._store = bus, store

    def step(self) -> bool:
        """Take in one batch; false when there was nothing."""
        cursor = self._store.silence_cursor()
        messages = self._bus.read([COMMANDS], after=cursor, limit=_BATCH)
        if not messages:
            return False
        found = [silence for message in messages if (silence := _read(message)) is not None]
        self._store.take_silences(found, cursor=messages[-1].offset)
        return True

    def catch_up(self) -> None:
        """Take in all there is."""
        while self.step():
            pass


def _read(message: Message) -> Silence | None:
    if _MARK not in message.value:
        return None
    try:
        command = read_command(message.value)
    except Unreadable as error:  # the pipeline sets it aside, too, and keeps it
        _log.warning("command at %d is no silence: %s", message.offset, error)
        return None
    return command.silence if isinstance(command, Silenced) else None
