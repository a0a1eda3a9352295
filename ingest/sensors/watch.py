"""All sensors of a city: their messages become reports, each once, and nobody has to ask why one is silent.

broker ──► message ──► reading ──crossing──► book: standing + pending, one transaction ──► bus ──► pending struck off
               │            └─ no crossing ─► heard, nothing to tell
               └─ not readable, or retained ─► counted
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from citybrain.clock import Clock, iso
from citybrain.domain.case import Origin, Report
from citybrain.domain.command import Reported
from citybrain.errors import BusAway, Unreadable
from citybrain.ports import Bus, HotStore
from citybrain.wire import COMMANDS, dumps, read_command, write_command
from ingest.backoff import Backoff
from ingest.sensors.book import Book, Standing
from ingest.sensors.config import Broker, Sensor
from ingest.sensors.listening import Conversation
from ingest.sensors.readings import is_on, matches, reading_of

TELL_EVERY = timedelta(seconds=5)
TELL_TTL = timedelta(days=1)
KEEP_EVERY = timedelta(seconds=30)
"""How often it is written down when each sensor was heard; what it told is written at once."""
_BEAT_TTL = timedelta(seconds=60)
_IDLE_S = 0.2

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Placed:
    """A sensor, and where its cases are kept."""

    sensor: Sensor
    locality: str
    grid_cell: str | None


@dataclass(frozen=True, slots=True)
class SensorPlan:
    """What is to be listened to; without a broker: nothing."""

    broker: Broker | None = None
    sensors: Sequence[Placed] = ()


Listening = dict[str, list[Placed]]
"""Sensors by topic; those whose topic has a `+` in it are under that."""


@dataclass(slots=True)
class _Counts:
    readings: int = 0
    retained: int = 0
    unreadable: int = 0
    late: int = 0
    crossings: int = 0
    reconnects: int = 0


class Sensors:
    """Listens until told to stop. `adopt` may be called from another thread; everything else is of one."""

    def __init__(self, plan: SensorPlan, *, book: Book, bus: Bus, hot: HotStore, clock: Clock) -> None:
        self._plan, self._book, self._bus, self._hot, self._clock = plan, book, bus, hot, clock
        self._standings = book.standings()
        self._heard: set[tuple[str, str]] = set()
        self._unreadable: dict[str, tuple[int, str]] = {}
        self._counts = _Counts()
        self._next_plan: SensorPlan | None = None
        self._conversation: Conversation | None = None
        self._reason = ""
        self._next: dict[str, float] = {}
        self._listening: Listening = {}
        self._take_up(plan)

    def adopt(self, plan: SensorPlan) -> None:
        """Go on by another plan, soon; the same one changes nothing."""
        self._next_plan = None if plan == self._plan else plan

    def run(self, stop: threading.Event) -> None:
        """Connect, listen, and connect again when that ends."""
        backoff = Backoff()
        while not stop.is_set():
            self._adopt_next()
            if self._plan.broker is None:
                self.keep_up()
                stop.wait(_IDLE_S)
                continue
            try:
                self._listen(self._plan.broker, stop, backoff)
            except Exception:  # the outermost loop of listening: the message comes again after a pause
                log.exception("a message could not be dealt with; it stays with the broker")
                self._reason = "a message could not be dealt with"
            if self._next_plan is None and not stop.is_set():
                self._pause(backoff.wait(), stop)
        self._keep()

    def _listen(self, broker: Broker, stop: threading.Event, backoff: Backoff) -> None:
        topics = [each.sensor.topic for each in self._plan.sensors]
        conversation = Conversation(broker, topics, client=self._book.client(), handle=self.take)
        self._conversation = conversation
        try:
            if conversation.open():
                was_connected = False
                while conversation.step():
                    if conversation.connected and not was_connected:
                        was_connected = True
                        backoff.reset()
                        log.info("connected to %s, listening to %d topics", broker.masked_url, len(set(topics)))
                        self._reason = ""
                    self.keep_up()
                    if stop.is_set() or self._next_plan is not None:
                        conversation.close()
                        return
            self._lost(broker, conversation.reason)
        finally:
            conversation.drop()

    def _lost(self, broker: Broker, reason: str) -> None:
        self._counts.reconnects += 1
        if reason != self._reason:  # once, and not at each try
            log.warning("no connection to %s: %s", broker.masked_url, reason)
        self._reason = reason

    def _pause(self, wait_s: float, stop: threading.Event) -> None:
        until = self._clock.monotonic() + wait_s
        while self._clock.monotonic() < until and self._next_plan is None and not stop.wait(_IDLE_S):
            self.keep_up()

    # -- one message ------------------------------------------------------------------------------------------------

    def take(self, topic: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001  # as paho's callback gives it
        """Deal with a message: when this returns, what it means is written down."""
        for placed, member in self._of(topic):
            sensor = placed.sensor
            if retained:
                # What the broker kept is some earlier reading: when it was taken nobody knows, and it is no news.
                self._counts.retained += 1
                continue
            try:
                reading = reading_of(payload, sensor)
            except Unreadable as error:
                self._counts.unreadable += 1
                count, _ = self._unreadable.get(sensor.id, (0, ""))
                self._unreadable[sensor.id] = count + 1, str(error)
                if count == 0:  # each once: a sensor that speaks another dialect does so for ever
                    log.warning("%s: %s on topic %s", sensor.id, error, topic)
                continue
            self._counts.readings += 1
            self._read(placed, topic, member, reading.value, reading.at)
        self.tell_pending()

    def _read(self, placed: Placed, topic: str, member: str, value: float, taken_at: datetime | None) -> None:
        sensor, now = placed.sensor, self._clock.now()
        key = sensor.id, topic
        before = self._standings.get(key, Standing())
        at = now if taken_at is None else min(taken_at, now)
        if taken_at is not None and before.at is not None and at <= before.at:
            self._counts.late += 1  # told before, or overtaken by a newer one
            return
        on = is_on(value, sensor, before=before.on)
        after = replace(before, on=on, value=value, at=at, heard_at=now)
        if on == before.on:
            self._standings[key] = after
            self._heard.add(key)
            return
        if on:
            command: Reported | None = _begun(placed, topic, member, value, at=at, now=now)
            after = replace(after, told=write_command(command)) if command else after
        else:
            command, after = _ended(before.told, at=now), replace(after, told=None)
        self._book.put({key: after}, tell=[(command.locality, write_command(command))] if command else [])
        self._standings[key] = after
        self._counts.crossings += 1
        log.info("%s is %s: %g", sensor.id, "on" if on else "off", value)

    def tell_pending(self) -> None:
        """Put on the bus what is written down and was not told yet. Told twice is harmless: its id is the same."""
        for pending in self._book.pending():
            try:
                self._bus.publish(COMMANDS, pending.key, pending.value)
            except BusAway as error:  # it stays written down
                log.warning("nobody can be told of a sensor yet: %s", error)
                return
            self._book.told(pending)

    def _of(self, topic: str) -> Iterator[tuple[Placed, str]]:
        """The sensors whose topic it is, and what it has in place of their `+`. Most say their topic in full."""
        for placed in (*self._listening.get(topic, ()), *self._listening.get("+", ())):
            member = matches(topic, placed.sensor)
            if member is not None:
                yield placed, member

    def _take_up(self, plan: SensorPlan) -> None:
        self._plan, self._listening = plan, {}
        for placed in plan.sensors:
            topic = placed.sensor.topic
            self._listening.setdefault("+" if "+" in topic else topic, []).append(placed)

    # -- how they are -----------------------------------------------------------------------------------------------

    def keep_up(self) -> None:
        """What is due: the figures, each sensor's state, and when each was heard."""
        if self._is_time("keep", KEEP_EVERY):
            self._keep()
        if self._is_time("tell", TELL_EVERY):
            self.tell_pending()
            states = [self._state(placed) for placed in self._plan.sensors]
            for state in states:
                self._hot.put(f"sensor/{state['id']}", dumps(state), ttl=TELL_TTL)
            self._hot.put("heartbeat/sensors/0", self.heartbeat(states), ttl=_BEAT_TTL)

    def heartbeat(self, states: Sequence[Mapping[str, Any]]) -> bytes:
        counts = self._counts
        figures = {
            "configured": len(states),
            "on": sum(each["on"] for each in states),
            "silent": sum(each["silent_since"] is not None for each in states),
            "connected": int(self._conversation is not None and self._conversation.connected),
            "pending": len(self._book.pending()),
            **{name: getattr(counts, name) for name in _Counts.__slots__},
        }
        return dumps({"at": iso(self._clock.now()), "pid": os.getpid(), "figures": figures})

    def _state(self, placed: Placed) -> dict[str, Any]:
        sensor, now = placed.sensor, self._clock.now()
        mine = [each for (id, _), each in self._standings.items() if id == sensor.id]
        newest = max(
            (each for each in mine if each.heard_at), key=lambda each: each.heard_at or now, default=Standing()
        )
        due_at = None if newest.heard_at is None else newest.heard_at + sensor.silent_after
        unreadable, why = self._unreadable.get(sensor.id, (0, ""))
        return {
            "id": sensor.id,
            "at": iso(now),
            "name": sensor.name.as_dict(),
            "kind": sensor.kind,
            "scene": sensor.scene,
            "topic": sensor.topic,
            "location": None if sensor.location is None else [sensor.location.lon, sensor.location.lat],
            "grid_cell": placed.grid_cell,
            "on": any(each.on for each in mine),
            "value": newest.value,
            "heard_at": None if newest.heard_at is None else iso(newest.heard_at),
            "silent_since": iso(newest.heard_at) if newest.heard_at and due_at and now >= due_at else None,
            "unreadable": unreadable,
            "reason": why,
            "connected": self._conversation is not None and self._conversation.connected,
            "broker": self._reason,
        }

    def _keep(self) -> None:
        self._book.put({key: self._standings[key] for key in self._heard if key in self._standings})
        self._heard.clear()

    def _adopt_next(self) -> None:
        plan, self._next_plan = self._next_plan, None
        if plan is None:
            return
        known = {placed.sensor.id for placed in plan.sensors}
        for id in {id for id, _ in self._standings} - known:
            # Its case, if it has one, waits for people: nobody can tell any more that it is over.
            log.info("%s is no longer configured", id)
            self._book.forget(id)
            self._hot.put(f"sensor/{id}", b"", ttl=timedelta())
        self._standings = {key: each for key, each in self._standings.items() if key[0] in known}
        self._heard.clear()
        self._take_up(plan)

    def _is_time(self, what: str, every: timedelta) -> bool:
        now_s = self._clock.monotonic()
        if now_s < self._next.get(what, now_s):
            return False
        self._next[what] = now_s + every.total_seconds()
        return True


def _begun(placed: Placed, topic: str, member: str, value: float, *, at: datetime, now: datetime) -> Reported:
    """The report of a crossing; its id is derived from sensor, topic and instant."""
    sensor, id = placed.sensor, _id(placed.sensor.id, topic, at)
    location = None if sensor.location is None else (sensor.location.lon, sensor.location.lat)
    words = f"{sensor.name.zh}：{value:g} / {sensor.name.en}: {value:g}"
    return Reported(
        id=id,
        scene=sensor.scene,
        locality=placed.locality,
        place=f"sensor/{sensor.id}/{member}" if member else f"sensor/{sensor.id}",
        location=location,
        grid_cell=placed.grid_cell,
        report=Report(id, Origin.SENSOR, at, words, sensor.id, location),
        actor=f"sensor {sensor.id}",
        at=now,
        label="sensor" if sensor.kind == "any" else sensor.kind,
    )


def _ended(told: bytes | None, *, at: datetime) -> Reported | None:
    """That it is over, said of the report that was made, wherever the configuration may put the sensor now."""
    command = None if told is None else read_command(told)
    if not isinstance(command, Reported):
        return None
    return replace(command, id=f"{command.id}-over", at=at, ended=True)


def _id(sensor: str, topic: str, at: datetime) -> str:
    digest = hashlib.sha256(f"{sensor}\0{topic}\0{iso(at)}".encode()).hexdigest()[:20]
    return f"report-{digest}"
