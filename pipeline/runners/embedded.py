"""One process, one SQLite file: message log, offsets, state and outbox are committed together or not at all.

    log: detections, commands ──► step ──► ┌ states ┐
                                           │ case-events (log) │  one transaction
                                           │ outbox ┘ offset   │
    outbox ──► sender ──► delivered + command `delivered` (log), one transaction

Killed at any instruction, it goes on after the last commit: a message is applied wholly or will be, an event is never said
under a second id, and what was posted but not yet marked is posted again under the same id.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from citybrain.bus.local import append, connect, read
from citybrain.clock import Clock, iso
from citybrain.delivery.outbox import SCHEMA as OUTBOX
from citybrain.delivery.outbox import Outbox
from citybrain.delivery.sender import Sender
from citybrain.domain.case import CaseEvent
from citybrain.domain.command import Configured, Tick
from citybrain.errors import CityBrainError
from citybrain.evidence.claims import Claims
from citybrain.evidence.seals import Seals
from citybrain.evidence.signer import Signer
from citybrain.ports import Acknowledgement, EvidenceStore, HotStore, Message, Notifier, Outgoing
from citybrain.wire import CASE_EVENTS, COMMANDS, DETECTIONS, dumps, write_case_event, write_command
from pipeline.effects import Effects, SetAside
from pipeline.flow import Pipeline
from pipeline.runners.figures import Sums, flat
from pipeline.runners.memory import HeldStates, advance
from pipeline.runners.taken import delivered
from pipeline.state import (
    read_camera,
    read_locality,
    read_silences,
    write_camera,
    write_locality,
    write_silences,
)

log = logging.getLogger(__name__)

SCHEMA = """
CREATE TABLE IF NOT EXISTS state (kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, key));
CREATE TABLE IF NOT EXISTS offsets (reader TEXT PRIMARY KEY, offset INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS set_aside (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    offset INTEGER NOT NULL,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    at REAL NOT NULL
);
"""
READER = "pipeline"
_APPLIED = "applied"
"""The key of commands that the pipeline gave itself."""
_BATCH = 500
_SLOWEST_BEAT = timedelta(seconds=5)
_OWED_EVERY = timedelta(seconds=1)
_IDLE = 0.02  # s; asking whether anyone has written costs some microseconds


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What is kept, and how often the clock is told. `keep_detections` is what `record` and `diff` can look back on."""

    tick_every: timedelta = timedelta(seconds=10)
    beat_every: timedelta = timedelta(seconds=1)
    sweep_every: timedelta = timedelta(minutes=1)
    keep_detections: timedelta = timedelta(hours=6)
    keep_evidence: timedelta = timedelta(hours=6)
    """Pictures that no case claimed; must be longer than the longest hold."""


class Embedded:
    """The pipeline of one machine. One thread, one asyncio loop, one connection."""

    def __init__(
        self,
        database: Path,
        pipeline: Pipeline,
        *,
        clock: Clock,
        notifiers: Mapping[str, Notifier],
        evidence: EvidenceStore | None = None,
        hot: HotStore | None = None,
        upkeep: Upkeep | None = None,
        signer: Signer | None = None,
    ) -> None:
        self._connection = connect(database, durable=True)
        self._connection.executescript(SCHEMA + OUTBOX)
        self._pipeline, self._clock, self._evidence, self._hot = pipeline, clock, evidence, hot
        self._claims: Claims | None = None
        if evidence is not None:
            seals = Seals(self._connection, signer, evidence) if signer is not None else None
            self._claims = Claims(evidence, seals, folder=database.with_name("claims"), clock=clock)
        self._sweeping: threading.Thread | None = None
        self._upkeep = upkeep or Upkeep()
        self._endpoints = tuple(notifiers)
        self.outbox = Outbox(self._connection, clock=clock)
        self._sender = Sender(self.outbox, notifiers, clock, self._delivered)
        self._states = self._stored_states()
        self._set_aside = dict(self._connection.execute(_COUNT_SET_ASIDE).fetchall())
        self._applied = 0
        self._next: dict[str, datetime] = {}
        self._judge_by(pipeline)

    async def run(self, stop: asyncio.Event) -> None:
        """Apply what comes and post what is due, until told to stop."""
        sending = asyncio.create_task(self._sender.run(stop))
        applied_to: tuple[int, int] | None = None
        while not stop.is_set():
            self._keep_up(self._clock.now())
            mark = self.outbox.mark()  # before reading: what is written meanwhile changes it and is read next time
            if mark == applied_to:
                await asyncio.sleep(_IDLE)
                continue
            while self.catch_up():  # noqa: ASYNC110  # the sender has its turn; there is nothing to wait for
                await asyncio.sleep(0)
            applied_to = mark
        await sending

    def adopt(self, pipeline: Pipeline, *, upkeep: Upkeep | None = None) -> None:
        """Judge by another configuration from the next message on. Call it in the loop that runs `run`."""
        self._upkeep = upkeep or self._upkeep
        self._judge_by(pipeline)

    def catch_up(self, limit: int = _BATCH) -> int:
        """Apply the next messages of the log in one transaction; how many there were."""
        messages = read(self._connection, (DETECTIONS, COMMANDS), after=self._offset(), limit=limit)
        if not messages:
            return 0
        changed = Effects()
        try:
            with self.outbox.transaction():
                for message in messages:
                    self._apply(message, changed)
                self._store(changed)
                self._connection.execute(
                    "INSERT INTO offsets VALUES (?, ?) ON CONFLICT (reader) DO UPDATE SET offset = excluded.offset",
                    (READER, messages[-1].offset),
                )
        except BaseException:
            self._states = self._stored_states()  # what is held must be what is stored
            raise
        self._applied += len(messages)
        return len(messages)

    def figures(self) -> dict[str, Any]:
        """What the pipeline counts: the ledger and its balance, cases, looks, messages set aside, lag, the outbox."""
        sums = Sums(self._pipeline.city.scenes)
        for key in self._pipeline.city.cameras:
            sums.camera(self._states.camera(key))
        for key in self._states.localities():
            sums.locality(self._states.locality(key))
        end = self._connection.execute("SELECT max(offset) FROM log WHERE topic <> ?", (CASE_EVENTS,)).fetchone()[0]
        return {
            "applied": self._applied,
            "lag": max(0, (end or 0) - self._offset()),
            **sums.figures(),
            "set_aside": self._set_aside,
            "outbox": dict(self.outbox.figures()),
            "sender": self._sender.figures(),
            "claims_owed": self._claims.owed if self._claims is not None else 0,
        }

    def close(self) -> None:
        self._connection.close()

    # -- one message ------------------------------------------------------------------------------------------------

    def _apply(self, message: Message, changed: Effects) -> None:
        if message.topic == COMMANDS and message.key == _APPLIED:
            return  # in the commit that put it there: what was refused then must not be done now
        for effects in self._steps(message):
            self._follow(message, effects, changed)

    def _steps(self, message: Message) -> Iterator[Effects]:
        try:
            steps = advance(self._pipeline, message.topic, message.value, self._states)
            while (effects := next(steps, None)) is not None:
                yield effects
        except Exception as error:  # a defect of ours must not stop the city: the message is kept, with its reason
            log.exception("message %d of %s could not be applied", message.offset, message.topic)
            yield Effects(set_aside=[SetAside("unreadable", f"defect: {type(error).__name__}: {error}")])

    def _follow(self, message: Message, effects: Effects, changed: Effects) -> None:
        changed.cameras |= effects.cameras
        changed.localities |= effects.localities
        changed.silences = changed.silences if effects.silences is None else effects.silences
        for told in effects.told:
            self._claim(told.event)
            body = write_case_event(told.event)
            append(self._connection, CASE_EVENTS, told.event.case.id, body, at=self._clock.now())
            if told.dispatch:
                for endpoint in self._endpoints:
                    outgoing = Outgoing(told.event.id, endpoint, told.event.case.id, body)
                    self.outbox.put(outgoing, at=self._clock.now())
        for ask in effects.asks:  # for ingest, which reads there what it is asked; here it is applied
            append(self._connection, COMMANDS, _APPLIED, write_command(ask), at=self._clock.now())
        for aside in effects.set_aside:
            self._keep_aside(message, aside)

    def _claim(self, event: CaseEvent) -> None:
        """Keep the pictures a case shows, before it is told, and seal them in its commit: both are harmless when repeated."""
        if self._claims is not None:
            self._claims.claim(event)

    def _keep_aside(self, message: Message, aside: SetAside) -> None:
        self._set_aside[aside.kind] = self._set_aside.get(aside.kind, 0) + 1
        log.warning("message %d of %s set aside (%s): %s", message.offset, message.topic, aside.kind, aside.reason)
        self._connection.execute(
            "INSERT INTO set_aside (offset, topic, key, value, kind, reason, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                message.offset,
                message.topic,
                message.key,
                message.value,
                aside.kind,
                aside.reason,
                self._clock.now().timestamp(),
            ),
        )

    def _delivered(self, outgoing: Outgoing, ack: Acknowledgement, committed_at: datetime) -> None:
        """The dispatch system has it: say so to the pipeline, in the transaction that marks it delivered."""
        command = delivered(outgoing, ack, committed_at)
        append(self._connection, COMMANDS, command.locality, write_command(command), at=self._clock.now())

    def _judge_by(self, pipeline: Pipeline) -> None:
        """A configuration that differs from the last one, in this life or the one before, is said in the log: once."""
        self._pipeline = pipeline
        revision = pipeline.city.revision
        stored = self._stored(*_REVISION)
        if stored == revision.encode():
            return
        now = self._clock.now()
        with self.outbox.transaction():
            if stored is not None or list(self._states.known_cameras()):
                command = Configured(f"configured-{revision}-{int(now.timestamp())}", now, revision)
                append(self._connection, COMMANDS, "configured", write_command(command), at=now)
            self._connection.execute(_PUT_STATE, (*_REVISION, revision.encode()))

    # -- what is stored ---------------------------------------------------------------------------------------------

    def _store(self, changed: Effects) -> None:
        rows = [("camera", key, write_camera(state)) for key, state in changed.cameras.items()]
        rows += [("locality", key, write_locality(state)) for key, state in changed.localities.items()]
        if changed.silences is not None:
            rows.append((*_SILENCES, write_silences(changed.silences)))
        self._connection.executemany(_PUT_STATE, rows)

    def _stored_states(self) -> HeldStates:
        return HeldStates(
            load_camera=lambda key: read_camera(raw) if (raw := self._stored("camera", key)) else None,
            load_locality=lambda key: read_locality(raw) if (raw := self._stored("locality", key)) else None,
            cameras=self._keys("camera"),
            localities=self._keys("locality"),
            silences=read_silences(raw) if (raw := self._stored(*_SILENCES)) else None,
        )

    def _keys(self, kind: str) -> list[str]:
        rows: Iterable[tuple[str]] = self._connection.execute("SELECT key FROM state WHERE kind = ?", (kind,))
        return [key for (key,) in rows]

    def _stored(self, kind: str, key: str) -> bytes | None:
        row = self._connection.execute("SELECT value FROM state WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        return bytes(row[0]) if row else None

    def _offset(self) -> int:
        row = self._connection.execute("SELECT offset FROM offsets WHERE reader = ?", (READER,)).fetchone()
        return int(row[0]) if row else 0

    # -- upkeep -----------------------------------------------------------------------------------------------------

    def _keep_up(self, now: datetime) -> None:
        if self._is_time("tick", now, self._upkeep.tick_every) and self._any_open():
            value = write_command(Tick(f"tick-{int(now.timestamp())}", now))
            with self.outbox.transaction():
                append(self._connection, COMMANDS, "tick", value, at=now)
        if self._hot is not None and self._is_time("beat", now, self._upkeep.beat_every):
            began_s = self._clock.monotonic()
            beat = {"at": iso(now), "pid": os.getpid(), "figures": flat(self.figures())}
            # Summing over thousands of cameras takes a while: never more than a twentieth of the time.
            took = timedelta(seconds=self._clock.monotonic() - began_s)
            every = max(self._upkeep.beat_every, min(_SLOWEST_BEAT, took * 20))
            self._next["beat"] = now + every
            self._hot.put("heartbeat/pipeline/0", dumps(beat), ttl=every * 10)
        if self._claims is not None and self._claims.owed and self._is_time("claims", now, _OWED_EVERY):
            self._claims.settle(self.outbox.transaction)
        if self._is_time("sweep", now, self._upkeep.sweep_every):
            self._sweep(now)

    def _sweep(self, now: datetime) -> None:
        applied, old = self._offset(), (now - self._upkeep.keep_detections).timestamp()
        with self.outbox.transaction():
            self._connection.execute(
                "DELETE FROM log WHERE topic = ? AND offset <= ? AND logged_at < ?", (DETECTIONS, applied, old)
            )
        if self._sweeping is None or not self._sweeping.is_alive():  # among a million files it takes a while: not here
            before = now - self._upkeep.keep_evidence
            self._sweeping = threading.Thread(target=self._sweep_evidence, args=(before,), name="sweep", daemon=True)
            self._sweeping.start()

    def _sweep_evidence(self, before: datetime) -> None:
        try:
            if self._evidence is not None:
                self._evidence.sweep(before=before)
        except (CityBrainError, OSError) as error:
            log.warning("evidence was not swept: %s", error)

    def _any_open(self) -> bool:
        return any(
            record.case.state.is_open
            for key in self._states.localities()
            for record in self._states.locality(key).records
        )

    def _is_time(self, what: str, now: datetime, every: timedelta) -> bool:
        if now < self._next.get(what, now):
            return False
        self._next[what] = now + every
        return True


_REVISION = ("configuration", "revision")
_SILENCES = ("city", "silences")
_PUT_STATE = "INSERT INTO state VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value"
_COUNT_SET_ASIDE = "SELECT kind, count(*) FROM set_aside GROUP BY kind"


def set_aside(connection: sqlite3.Connection, *, limit: int = 100) -> Sequence[Mapping[str, Any]]:
    """The messages set aside, newest first, with their reasons."""
    rows = connection.execute(
        "SELECT n, offset, topic, key, kind, reason, at FROM set_aside ORDER BY n DESC LIMIT ?", (limit,)
    )
    names = ("n", "offset", "topic", "key", "kind", "reason", "at")
    return [dict(zip(names, row, strict=True)) for row in rows]


def with_hold(upkeep: Upkeep, longest_hold: timedelta) -> Upkeep:
    """Keep unclaimed pictures an hour longer than the longest hold, so that a case can show how it began."""
    return replace(upkeep, keep_evidence=max(upkeep.keep_evidence, longest_hold + timedelta(hours=1)))
