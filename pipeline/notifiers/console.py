"""Tells whoever watches the terminal about a case: one JSON line an event, for trying things out."""

from __future__ import annotations

import sys
from typing import TextIO

from citybrain.clock import Clock, SystemClock
from citybrain.configuration import Section
from citybrain.errors import Unreadable
from citybrain.ports import Acknowledgement, Outgoing
from citybrain.wire import dumps, loads


class Config(Section):
    """Nothing to set."""


class Console:
    """A Notifier. It acknowledges without a number of its own."""

    def __init__(self, out: TextIO, *, clock: Clock) -> None:
        self._out = out
        self._clock = clock

    async def notify(self, outgoing: Outgoing) -> Acknowledgement:
        posted_at = self._clock.now()
        self._out.write(_line(outgoing.body) + "\n")
        self._out.flush()
        return Acknowledgement(posted_at, self._clock.now())

    async def close(self) -> None:
        """The terminal stays open: it is not ours."""


def build(config: Config, *, clock: Clock | None = None, out: TextIO | None = None) -> Console:  # noqa: ARG001  # the socket's form
    return Console(out or sys.stdout, clock=clock or SystemClock())


def _line(body: bytes) -> str:
    try:
        return dumps(loads(body)).decode()
    except Unreadable:
        return dumps({"unreadable": body.decode(errors="replace")}).decode()
