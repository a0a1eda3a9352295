"""What a camera is doing, as operators see it, and what makes it change.

    connecting ──first picture──▸ live ◂──▸ unusable      a picture came; it can, or cannot, be judged by
        │                          │ ▴          │
        │                   no look│ │picture   │
        │                          ▾ │          ▾
        └──no answer──▸ lost ◂── stale ◂────────┘         connected, but no look for a while: says why
        └──it says no─▸ refused                           wrong password, not found: a person must act

Only a decoded picture leads back to live or unusable: a connection that opens proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from citybrain.clock import iso
from citybrain.domain.detection import Detections, Finding, Looked, Usable
from ingest.reasons import chinese, reason_of, refuses
from ingest.staleness import Staleness
from ingest.worker_port import Report

BLIND_EVERY_S = 5.0
"""How often the pipeline is told that a camera sees nothing: its time goes on, and blind is not clear."""

REPEAT_STATE_S = 5.0
"""How often a state is told that does not change."""


class State(StrEnum):
    CONNECTING = "connecting"
    LIVE = "live"
    STALE = "stale"
    UNUSABLE = "unusable"
    REFUSED = "refused"
    LOST = "lost"


@dataclass(slots=True)
class CameraState:
    """One camera's state and figures. Monotonic seconds are named `…_s`; instants are for people."""

    id: str
    since_at: datetime
    state: State = State.CONNECTING
    reason: str = ""
    last_look_at: datetime | None = None
    usable: Usable | None = None
    looked: str = ""
    looks: int = 0
    overtaken: int = 0
    lost_looks: int = 0
    reconnects: int = 0
    strikes: int = 0
    unreadable: int = 0
    gate_skipped: int = 0
    gate_audited: int = 0
    gate_missed: int = 0
    findings: tuple[Finding, ...] = ()
    codec: str = ""
    through: str = ""
    """Which of our sources reads it: one may hand over to another."""

    width: int = 0
    height: int = 0
    clock_ok: bool = False
    connected: bool = False
    looked_s: float | None = field(default=None, repr=False)
    staleness: Staleness = field(default_factory=Staleness, repr=False)

    def opened(self) -> None:
        """The source gave its first packet."""
        self.connected = True

    def reopened(self, at: datetime) -> None:
        """Its address was changed: what was said of the old one says nothing of the new."""
        self.connected = False
        self._turn(State.CONNECTING, "", at)

    def failed(self, reason: str, at: datetime) -> None:
        """The source is gone."""
        self.connected = False
        self._turn(State.REFUSED if refuses(reason) else State.LOST, reason, at)

    def looked_at(self, report: Report, captured_at: datetime, at: datetime, now_s: float) -> None:
        """A worker has looked."""
        if report.error is not None:
            self.unreadable += 1
            return
        self.looks += 1
        self.last_look_at, self.looked_s = captured_at, now_s
        self.staleness.looked(now_s - max(0.0, (at - captured_at).total_seconds()), now_s)
        self.usable, self.looked = report.usable, report.looked.value
        self.findings = report.findings
        self.gate_skipped += report.looked is Looked.UNCHANGED
        self.gate_audited += report.audited
        self.gate_missed += report.missed
        self.width, self.height = report.width, report.height
        if not self.connected:
            return  # the source has gone meanwhile: its last frame shows what was
        if report.usable is Usable.OK:
            self._turn(State.LIVE, "", at)
        else:
            self._turn(State.UNUSABLE, reason_of(report.usable), at)

    def starved(self, reason: str, at: datetime) -> None:
        """The source is there, and yet no look came about for a while."""
        if self.state in (State.LIVE, State.UNUSABLE, State.STALE):
            self._turn(State.STALE, reason, at)
        elif self.state is State.CONNECTING:
            self.reason = reason

    @property
    def seen(self) -> bool:
        """Whether looks come about at present, whatever they show."""
        return self.state in (State.LIVE, State.UNUSABLE)

    @property
    def headline(self) -> tuple[object, ...]:
        """What people are told at once when it changes; the figures come with the next repetition."""
        return self.state, self.reason, self.usable, self.findings, self.codec, self.width, self.height, self.strikes

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "state": self.state.value,
            "reason": self.reason,
            "reason_zh": chinese(self.reason),
            "since": iso(self.since_at),
            "last_look_at": None if self.last_look_at is None else iso(self.last_look_at),
            "usable": "lost" if self.usable is None or not self.seen else self.usable.value,
            "looked": self.looked if self.seen else "not",
            "looks": self.looks,
            "overtaken": self.overtaken,
            "lost_looks": self.lost_looks,
            "unreadable": self.unreadable,
            "gate_skipped": self.gate_skipped,
            "gate_audited": self.gate_audited,
            "gate_missed": self.gate_missed,
            "findings": [
                {"zh": chinese(reason_of(each)), "en": reason_of(each)} for each in self.findings if self.seen
            ],
            "reconnects": self.reconnects,
            "strikes": self.strikes,
            "codec": self.codec,
            "through": self.through,
            "width": self.width,
            "height": self.height,
            "clock_ok": self.clock_ok,
        }

    def _turn(self, state: State, reason: str, at: datetime) -> None:
        if (state, reason) != (self.state, self.reason):
            self.state, self.reason, self.since_at = state, reason, at


def blind_look(
    state: CameraState,
    seq: int,
    now: datetime,
    *,
    behind: timedelta = timedelta(),
    taken_up_at: datetime | None = None,
) -> Detections:
    """A look that saw nothing, by the camera's own clock: by ours it would overtake the first looks after the recovery."""
    return Detections(
        camera=state.id,
        captured_at=now - behind,
        seq=seq,
        usable=Usable.LOST,
        looked=Looked.NOT,
        clock_ok=state.clock_ok,
        stamps={"received": now},
        taken_up_at=taken_up_at,
    )


def stale_after(look_every: timedelta) -> timedelta:
    """How long without a look before a camera's picture is called stale: five looks, at least ten seconds."""
    return max(timedelta(seconds=10), 5 * look_every)


def overloaded_after(look_every: timedelta, *, patience: timedelta) -> timedelta:
    """The same for a camera that gives pictures while nobody has time: it is no news before twice its patience."""
    return max(stale_after(look_every), 2 * patience)
