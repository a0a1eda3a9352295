"""What a table holds: of each key its whole truth in one value, of each partition how far it is, and what both still owe.

a key        {"v":1,"owed":[…],"next":{…},"heard":{…}} \n <the state as pipeline.state writes it>
a partition  {"v":1,"owed":[…],"next":{…},"mark":17,"revision":"…","aside":{…}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from citybrain.clock import instant, iso
from citybrain.errors import Unreadable
from citybrain.wire import dumps
from pipeline.state import VERSION as STATE_VERSION

VERSION = 1
_KEY = b"key/"


@dataclass(frozen=True, slots=True)
class Owed:
    """One message that follows from the state and must reach others: a topic first, then each endpoint by itself."""

    id: str
    topic: str
    key: str
    body: bytes
    at: datetime
    endpoints: tuple[str, ...] = ()
    said: bool = False
    """It is in its topic; only endpoints are missing."""
    partition: int | None = None
    """None: the one that its key belongs to."""

    def delivered_to(self, endpoint: str) -> Owed:
        return replace(self, endpoints=tuple(each for each in self.endpoints if each != endpoint))


@dataclass(slots=True)
class Record:
    """What is known of one key. `next` are the offsets that follow the last applied ones; `heard` is, for each camera,
    the instant and number of the last change taken from it.
    """

    state: bytes | None = None
    owed: list[Owed] = field(default_factory=list)
    next: dict[str, int] = field(default_factory=dict)
    heard: dict[str, tuple[str, int]] = field(default_factory=dict)

    def owe(self, owed: Owed) -> None:
        """Behind all that it owes already: what is told of one key keeps its order, whatever the clock does."""
        last = self.owed[-1].at if self.owed else owed.at
        self.owed.append(owed if owed.at >= last else replace(owed, at=last))


@dataclass(slots=True)
class Progress:
    """Where a partition stands: the offsets below which everything is durable, the last command that the switch gave it,
    the configuration it was last told of, how many messages it set aside; and what of that it still owes.
    """

    next: dict[str, int] = field(default_factory=dict)
    mark: int = -1
    revision: str | None = None
    aside: dict[str, int] = field(default_factory=dict)
    owed: list[Owed] = field(default_factory=list)


def write_record(record: Record) -> bytes:
    header = {
        "v": VERSION,
        "owed": [_owed(each) for each in record.owed],
        "next": record.next,
        "heard": record.heard,
    }
    return dumps(header) + b"\n" + (record.state or b"")


def read_record(raw: bytes) -> Record:
    """Raises Unreadable for what another version wrote."""
    header, _, state = raw.partition(b"\n")
    fields = _loads(header)
    return Record(
        state=state or None,
        owed=[_read_owed(each) for each in fields["owed"]],
        next=fields["next"],
        heard={camera: (at, n) for camera, (at, n) in fields["heard"].items()},
    )


def check(raw: bytes) -> None:
    """Raises Unreadable unless this version can read the record and the state in it."""
    header, _, state = raw.partition(b"\n")
    for what, each, version in (("record", header, VERSION), ("state", state, STATE_VERSION)):
        if each and not each.startswith(b'{"v":%d,' % version):
            raise Unreadable(f"a stored {what} begins with {each[:20]!r}, expected version {version}; replay the log")


def owes(raw: bytes) -> bool:
    """Whether the record has something to tell, without reading all of it."""
    return not raw.startswith(b'{"v":1,"owed":[],')


def write_progress(progress: Progress) -> bytes:
    return dumps(
        {
            "v": VERSION,
            "owed": [_owed(each) for each in progress.owed],
            "next": progress.next,
            "mark": progress.mark,
            "revision": progress.revision,
            "aside": progress.aside,
        }
    )


def read_progress(raw: bytes | None) -> Progress:
    """Raises Unreadable for what another version wrote."""
    if raw is None:
        return Progress()
    fields = _loads(raw)
    owed = [_read_owed(each) for each in fields["owed"]]
    return Progress(fields["next"], fields["mark"], fields["revision"], fields["aside"], owed)


def key_of(key: str) -> bytes:
    """A key's name in its table."""
    return _KEY + key.encode()


def name_of(key: bytes) -> str | None:
    """The key behind a name in the table; None for what is no key's record."""
    return key.removeprefix(_KEY).decode() if key.startswith(_KEY) else None


def progress_key(partition: int) -> bytes:
    """Where a partition keeps how far it is. Numbered: a worker's tables in memory share one room."""
    return b"progress/%d" % partition


def silences_key(partition: int) -> bytes:
    """Where a partition of stage two keeps its copy of what is silenced."""
    return b"silences/%d" % partition


def _loads(raw: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(raw)
    if fields.get("v") != VERSION:
        raise Unreadable(f"a stored record has version {fields.get('v')!r}, expected {VERSION}; replay the log")
    return fields


def _owed(each: Owed) -> dict[str, Any]:
    return {
        "id": each.id,
        "topic": each.topic,
        "key": each.key,
        "body": each.body.decode(),
        "at": iso(each.at),
        "endpoints": each.endpoints,
        "said": each.said,
        "partition": each.partition,
    }


def _read_owed(fields: Mapping[str, Any]) -> Owed:
    return Owed(
        fields["id"],
        fields["topic"],
        fields["key"],
        fields["body"].encode(),
        instant(fields["at"]),
        tuple(fields["endpoints"]),
        fields["said"],
        fields["partition"],
    )
