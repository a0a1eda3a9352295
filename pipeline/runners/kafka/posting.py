"""Posts what the partitions of this worker owe to endpoints: the table is the truth, this is the working copy.

    owed (table) ──► outbox in memory ──► sender ──┬─► taken ─────► `delivered` ─┬─► locality-commands ──► owed no more (table)
          ▲                                        └─► given up ──► `given-up` ──┘                               │
          └───────────────── `send-again` (a person) ◄── dead-letters ◄──────────────────────────────────────────┘

Who has the partition posts: there is no leader to elect. A worker that dies, or loses the partition, leaves the table, from
which the next one posts again under the same ids, in the same order.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from citybrain.bus.topics import LOCALITY_COMMANDS
from citybrain.clock import Clock
from citybrain.delivery.outbox import SCHEMA, Outbox
from citybrain.delivery.sender import Pace, Sender
from citybrain.ports import Acknowledgement, Notifier, Outgoing
from citybrain.wire import write_command
from citybrain.wire.letters import GivenUp, write_about_letter
from pipeline.runners.kafka.forwarded import write_forwarded
from pipeline.runners.kafka.records import Owed
from pipeline.runners.taken import delivered, locality_of

Say = Callable[[str, str, bytes], None]
"""Puts a message on the bus: its topic, its key, its value. Should that fail, the process must end."""


class Posting:
    """One worker's sender over everything that its partitions owe."""

    def __init__(self, notifiers: Mapping[str, Notifier], *, clock: Clock, say: Say, pace: Pace | None = None) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self._connection.executescript(SCHEMA)
        self._outbox = _Copy(self._connection, clock=clock, given_up=self._given_up)
        self._sender = Sender(self._outbox, notifiers, clock, self._delivered, pace=pace)
        self._clock, self._say = clock, say

    async def run(self, stop: asyncio.Event) -> None:
        await self._sender.run(stop)

    async def post_due(self) -> int:
        """Make the attempts that are due now and wait for their end; how many there were."""
        return await self._sender.post_due()

    def post(self, owed: Sequence[Owed]) -> None:
        """Take over what is owed; what is known already stays as it is. Call it in the loop that runs `run`."""
        with self._outbox.transaction():
            for each in owed:
                for endpoint in each.endpoints:
                    self._outbox.owe(Outgoing(each.id, endpoint, each.key, each.body), at=each.at)
        self._sender.wake()

    def forget(self) -> None:
        """The partitions are somebody else's until told otherwise. What was delivered stays known for a while."""
        self._connection.execute("DELETE FROM outbox WHERE state <> 'delivered'")

    def figures(self) -> dict[str, Any]:
        """As the embedded runner tells them, without dead letters: those lie in their topic, whoever gave them up."""
        figures = dict(self._outbox.figures())
        for counts in (figures, *figures["endpoints"].values()):
            del counts["dead"]
        return {"outbox": figures, "sender": self._sender.figures()}

    def _delivered(self, outgoing: Outgoing, ack: Acknowledgement, committed_at: datetime) -> None:
        command = delivered(outgoing, ack, committed_at)
        self._say(LOCALITY_COMMANDS, command.locality, write_forwarded(write_command(command)))

    def _given_up(self, outgoing: Outgoing, reason: str) -> None:
        locality = locality_of(outgoing)
        said = GivenUp(outgoing.id, outgoing.endpoint, locality, outgoing.attempts + 1, reason, self._clock.now())
        self._say(LOCALITY_COMMANDS, locality, write_about_letter(said))


class _Copy(Outbox):
    """The outbox in memory: what it gives up on is told, and forgotten once somebody wants it sent again."""

    def __init__(
        self, connection: sqlite3.Connection, *, clock: Clock, given_up: Callable[[Outgoing, str], None]
    ) -> None:
        super().__init__(connection, clock=clock)
        self._tell = given_up

    def owe(self, outgoing: Outgoing, *, at: datetime) -> None:
        """Owed since then: what was settled before is owed anew."""
        self._connection.execute(
            "DELETE FROM outbox WHERE endpoint = ? AND id = ? AND state <> 'waiting' AND settled_at < ?",
            (outgoing.endpoint, outgoing.id, at.timestamp()),
        )
        self.put(outgoing, at=at)

    def bury(self, outgoing: Outgoing, reason: str) -> None:
        super().bury(outgoing, reason)
        self._tell(outgoing, reason)
