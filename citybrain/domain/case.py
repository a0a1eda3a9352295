"""A case (案件): what people do about one problem; its states, the actions they can take, and the facts told about it.

filed ──► dispatched ──► handling ──► verifying ──► closed
  │            │          │  │  ▲          │           │
  │            ├──────────┘  │  └─ still there         │
  │            ▼             └──► deferred             │
  │        returned ──► assigned anew: dispatched      │
  └──► rejected ────────── reopen ◄────────────────────┘
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from citybrain.domain.camera import Text
from citybrain.domain.episode import Evidence
from citybrain.domain.geometry import Point


class CaseState(StrEnum):
    FILED = "filed"
    DISPATCHED = "dispatched"
    HANDLING = "handling"
    VERIFYING = "verifying"
    DEFERRED = "deferred"
    RETURNED = "returned"
    CLOSED = "closed"
    REJECTED = "rejected"

    @property
    def is_open(self) -> bool:
        return self not in (CaseState.CLOSED, CaseState.REJECTED)


class CaseAction(StrEnum):
    """What someone can do about a case.

    `handle`: the unit takes it (接单). `arrive`: its person is there. `verify`: it says that it is done. `return`: it is not
    its to handle (回退). `assign`: another unit is to. `extend`: more time (延期). `defer`: not now (挂账). `merge`: it is the
    problem of another case. `undo`: takes back the last confirm, reject or merge while nothing has followed.
    """

    CONFIRM = "confirm"
    REJECT = "reject"
    HANDLE = "handle"
    ARRIVE = "arrive"
    VERIFY = "verify"
    RETURN = "return"
    ASSIGN = "assign"
    EXTEND = "extend"
    CLOSE = "close"
    REOPEN = "reopen"
    ESCALATE = "escalate"
    DEFER = "defer"
    MERGE = "merge"
    UNDO = "undo"


_OPEN = frozenset(state for state in CaseState if state.is_open)
_S = CaseState
ALLOWED: Mapping[CaseAction, frozenset[CaseState]] = {
    CaseAction.CONFIRM: _OPEN,
    CaseAction.REJECT: _OPEN,
    CaseAction.HANDLE: frozenset({_S.FILED, _S.DISPATCHED, _S.VERIFYING, _S.DEFERRED, _S.RETURNED}),
    CaseAction.ARRIVE: frozenset({_S.FILED, _S.DISPATCHED, _S.HANDLING}),
    CaseAction.VERIFY: frozenset({_S.FILED, _S.DISPATCHED, _S.HANDLING}),
    CaseAction.RETURN: frozenset({_S.FILED, _S.DISPATCHED, _S.HANDLING, _S.DEFERRED}),
    CaseAction.ASSIGN: _OPEN,
    CaseAction.EXTEND: _OPEN,
    CaseAction.CLOSE: _OPEN,
    CaseAction.REOPEN: frozenset({_S.CLOSED, _S.REJECTED}),
    CaseAction.ESCALATE: _OPEN,
    CaseAction.DEFER: _OPEN - {_S.DEFERRED},
    CaseAction.MERGE: _OPEN,
    CaseAction.UNDO: frozenset(CaseState),
}
"""From which states an action is possible; `undo` besides only while there is something to undo."""


def allowed_actions(state: CaseState, *, undoable: str | None = None) -> tuple[CaseAction, ...]:
    """The actions people can take on a case in this state, in the order they are usually offered."""
    return tuple(
        action for action in CaseAction if state in ALLOWED[action] and (undoable or action is not CaseAction.UNDO)
    )


class CaseEventType(StrEnum):
    FILED = "citybrain.case.filed"
    MERGED = "citybrain.case.merged"
    DISPATCHED = "citybrain.case.dispatched"
    STATUS = "citybrain.case.status"
    CLEARED = "citybrain.case.cleared"
    VERIFIED = "citybrain.case.verified"
    ESCALATED = "citybrain.case.escalated"
    CLOSED = "citybrain.case.closed"
    REJECTED = "citybrain.case.rejected"
    REOPENED = "citybrain.case.reopened"


class Light(StrEnum):
    """How much of the time allowed is used: green below 80 %, yellow to 100 %, red beyond."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


STAMPS = ("captured", "received", "decoded", "inferred", "confirmed", "filed", "posted", "acknowledged")
"""The stations between a frame and the desk, in order. All are instants of the confirming look's way."""


class Origin(StrEnum):
    """Who found it: a camera, or who reported it."""

    CAMERA = "camera"
    HOTLINE = "hotline"
    INSPECTOR = "inspector"
    SENSOR = "sensor"


@dataclass(frozen=True, slots=True)
class Report:
    """What someone or something else than a camera said of the problem: `words` as given, `reference` their own number."""

    id: str
    origin: Origin
    at: datetime
    words: str = ""
    reference: str | None = None
    location: Point | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One problem at one place. `latency_s` is posted − captured of the confirming look, None until posted.

    `cameras` is empty, and `zone` too, while only reports tell of it. `accepted_at`: the unit took it. `arrived_at`: its person
    was there. `done_at`: it said that it is done. `verified_at`: a camera saw that it is. `warn_at`: four fifths of the
    time allowed. `escalation` counts the levels of the area tree told so far, `escalated_to` is the last of them. `silenced`
    is the id of the silence for which nobody was told. `undoable` names the action that undo would take back now.

    `present` says whether the thing was there at the last usable look, `unseen_since` since when nobody could look.
    `judged` is what an operator said of it: `confirmed`, `rejected` or None.
    """

    id: str
    scene: str
    code: str
    title: Text
    severity: str
    state: CaseState
    cameras: tuple[str, ...]
    zone: str
    place: str
    locality: str
    began_at: datetime
    confirmed_at: datetime
    filed_at: datetime
    label: str
    confidence: float
    observed_s: float
    assumed_s: float
    unseen_s: float
    grid_cell: str | None = None
    location: Point | None = None
    posted_at: datetime | None = None
    due_at: datetime | None = None
    cleared_at: datetime | None = None
    closed_at: datetime | None = None
    unseen_since: datetime | None = None
    present: bool = True
    judged: str | None = None
    light: Light = Light.GREEN
    stamps: Mapping[str, datetime] = field(default_factory=dict)
    latency_s: float | None = None
    evidence: tuple[Evidence, ...] = ()
    unit: str | None = None
    external_id: str | None = None
    reason: str = ""
    note: str = ""
    actor: str = ""
    recurrence_of: str | None = None
    merged_into: str | None = None
    origin: Origin = Origin.CAMERA
    reports: tuple[Report, ...] = ()
    warn_at: datetime | None = None
    accepted_at: datetime | None = None
    arrived_at: datetime | None = None
    done_at: datetime | None = None
    verified_at: datetime | None = None
    escalation: int = 0
    escalated_to: str | None = None
    silenced: str | None = None
    undoable: str | None = None
    trial: bool = False
    model: str | None = None
    config: str | None = None
    version: int = 0
    """Counts the case's events: the n-th event carries version n."""


@dataclass(frozen=True, slots=True)
class CaseEvent:
    """A fact about a case, with the case after it. `id` is derived from case and version, so that saying it twice is harmless.

    `cause` is the id of the command that brought it about, if one did.
    """

    id: str
    type: CaseEventType
    case: Case
    at: datetime
    cause: str | None = None
