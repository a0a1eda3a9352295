"""What one worker knows of one partition: messages in, and now and then a cut: what must be durable, then told, then forgotten.

    take ──► take ──► take ──► cut ──► records durable ──► owed told ──► offsets acknowledged (when everything was cut)
                       └ dirty keys ┘

Each record is its key's whole truth, and what is read again below the partition's progress changes nothing in it. So a cut that
something urgent asks for holds only the keys that have something to tell, and everything that is due is cut in pieces, between
which the urgent goes; the partition's progress closes them. Pure but for its own memory: a lane opens nothing and waits for
nothing, so that a test may drop it at any point and build another from what was durable.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from citybrain.bus.topics import DEAD_LETTERS
from citybrain.clock import Clock, iso
from citybrain.domain.command import Command
from citybrain.errors import Unreadable
from citybrain.wire import COMMANDS, dumps, write_command
from pipeline.effects import SetAside
from pipeline.flow import Pipeline
from pipeline.runners.kafka.forwarded import read_forwarded
from pipeline.runners.kafka.records import (
    Owed,
    Record,
    check,
    key_of,
    name_of,
    owes,
    progress_key,
    read_progress,
    read_record,
    write_progress,
    write_record,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """A message as it came, and where it lies. Of a forwarded command that is its place in `commands`."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """What a lane asks to have done, in this order: records durable one after the other, then `owed` told."""

    records: Mapping[bytes, bytes]
    owed: Sequence[Owed]
    posts: Sequence[Owed] = ()
    """What endpoints are still to be told; said again and again until they have it."""


@dataclass(frozen=True, slots=True)
class Due:
    """Everything that is below `places`, to be cut piece by piece: the keys, and what comes when they are durable."""

    names: Sequence[str]
    closing: Cut
    places: Mapping[str, int]


class Lane:
    """One partition of one stage, or of the switch. `urgent`: something waits to be told, the next cut should be soon."""

    sources: ClassVar[tuple[str, ...]]

    def __init__(self, pipeline: Pipeline, stored: Mapping[bytes, bytes], *, partition: int, clock: Clock) -> None:
        """Raises Unreadable for what another version stored: better no pipeline than one that forgets."""
        self._pipeline, self._stored, self._partition, self._clock = pipeline, stored, partition, clock
        self._held: dict[str, Record] = {}
        self._names: set[str] = set()
        self._dirty: set[str] = set()
        self._telling: set[str] = set()
        self._to_trim: set[str] = set()
        self._progress = read_progress(stored.get(progress_key(partition)))
        self._moved = bool(self._progress.owed)
        for each, raw in stored.items():
            if (name := name_of(each)) is None:
                continue
            check(raw)
            self._names.add(name)
            if owes(raw):  # told before the last crash, or not: whoever hears it twice knows it
                self._tell(name)
        if self._progress.revision is None and not self._names:
            self._progress.revision = pipeline.city.revision
        self.urgent = self._moved or bool(self._telling)

    def take(self, topic: str, offset: int, key: str, value: bytes) -> None:
        """Apply one message; never raises for what the message says."""
        message = Taken(topic, self._partition, offset, key, value)
        try:
            self._take(message)
        except Unreadable as error:
            self._set_aside(SetAside("unreadable", str(error)), message)
        except Exception as error:  # a defect of ours must not stop the city: the message is kept, with its reason
            log.exception("message %s/%d/%d could not be applied", topic, self._partition, offset)
            self._set_aside(SetAside("unreadable", f"defect: {type(error).__name__}: {error}"), message)
        self._progress.next[topic] = offset + 1
        self._moved = True

    def cut(self, *, whole: bool = True) -> Cut:
        """`whole`: everything below the partition's progress is in it. Else only what is to be told, and no progress."""
        if not whole:
            return self.piece(set(self._telling))
        due = self.due()
        keys = self.piece(due.names)
        return Cut({**keys.records, **due.closing.records}, [*keys.owed, *due.closing.owed], keys.posts)

    def due(self) -> Due:
        """What a whole cut is of; what is taken from now on is due later. At least one `piece` goes before its `closing`."""
        names = sorted(self._dirty | self._to_trim)
        closing = Cut({}, [])
        if self._moved or names:  # behind the records: whoever reads it has read them
            closing = Cut({progress_key(self._partition): write_progress(self._progress)}, list(self._progress.owed))
            self._moved = False
        self.urgent = bool(self._telling)
        return Due(names, closing, dict(self._progress.next))

    def piece(self, names: Collection[str]) -> Cut:
        """Of these keys those that are due, each as it is by now."""
        names = (self._dirty | self._to_trim) & set(names)
        for name in names & self._dirty:
            self._held[name].state = self._state(name)
        records = {key_of(name): write_record(self._record(name)) for name in sorted(names)}
        records |= self._more()
        owed = sorted((each for name in sorted(names) for each in self._held[name].owed), key=lambda each: each.at)
        self._dirty -= names
        self._telling -= names
        self._to_trim -= names
        self.urgent = bool(self._telling)
        return Cut(records, [each for each in owed if not each.said], [each for each in owed if each.endpoints])

    def told(self, cut: Cut) -> None:
        """The cut is durable and its messages are in their topics; the table hears of that with the next whole cut."""
        done = {each.id for each in cut.owed}
        if not done:
            return
        for name in {name for each in cut.records if (name := name_of(each)) is not None}:
            record = self._held[name]
            if any(each.id in done for each in record.owed):
                said = [replace(each, said=True) if each.id in done else each for each in record.owed]
                record.owed = [each for each in said if each.endpoints or not each.said]
                self._to_trim.add(name)
        if any(each.id in done for each in self._progress.owed):
            self._progress.owed = [each for each in self._progress.owed if each.id not in done]
            self._moved = True

    def adopt(self, pipeline: Pipeline) -> None:
        """Judge by another configuration from the next message on."""
        self._pipeline = pipeline

    @property
    def out_of_date(self) -> bool:
        """The partition was last told of another configuration than the one that it is judged by."""
        return self._progress.revision != self._pipeline.city.revision

    @property
    def places(self) -> Mapping[str, int]:
        """The next offset of each topic of which something was taken."""
        return self._progress.next

    def set_aside(self) -> Mapping[str, int]:
        """How many messages of the partition were ever set aside, by kind."""
        return self._progress.aside

    # -- what the stages say of themselves ------------------------------------------------------------------------------

    def _take(self, message: Taken) -> None:
        raise NotImplementedError

    def _state(self, name: str) -> bytes | None:
        """The state of a key as it is stored."""
        raise NotImplementedError

    def _more(self) -> dict[bytes, bytes]:
        """Further records that go before the partition's progress."""
        return {}

    # -- for the stages -------------------------------------------------------------------------------------------------

    def _record(self, name: str) -> Record:
        if name not in self._held:
            raw = self._stored.get(key_of(name))
            self._held[name] = read_record(raw) if raw is not None else Record()
            self._names.add(name)
        return self._held[name]

    def _tell(self, name: str) -> None:
        self._record(name)
        self._dirty.add(name)
        self._telling.add(name)
        self.urgent = True

    def _command_in(self, message: Taken) -> tuple[Command, Taken] | None:
        """A forwarded command with its place, None when it was heard before."""
        mark, command = read_forwarded(message.value)
        if mark is None:
            return command, message
        if mark <= self._progress.mark:
            return None
        self._progress.mark = mark
        return command, Taken(COMMANDS, 0, mark, message.key, write_command(command))

    def _set_aside(self, aside: SetAside, message: Taken, *, name: str | None = None) -> None:
        """Owe it to the dead letters: with the key that refused it, else with the partition's progress."""
        self._progress.aside[aside.kind] = self._progress.aside.get(aside.kind, 0) + 1
        where = f"{message.topic}/{message.partition}/{message.offset}"
        log.warning("message %s set aside (%s): %s", where, aside.kind, aside.reason)
        at = self._clock.now()
        fields: dict[str, Any] = {
            "v": 1,
            "kind": aside.kind,
            "reason": aside.reason,
            "topic": message.topic,
            "partition": message.partition,
            "offset": message.offset,
            "key": message.key,
            "value": message.value.decode("utf-8", "backslashreplace"),
            "at": iso(at),
        }
        owed = Owed(where, DEAD_LETTERS, message.key, dumps(fields), at)
        if name is None:
            self._progress.owed.append(owed)
        else:
            self._record(name).owe(owed)
            self._tell(name)
