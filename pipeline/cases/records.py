"""The cases of one locality as stage two keeps them, and how a fact about one of them is told."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from citybrain.clock import iso
from citybrain.domain.case import Case, CaseEvent, CaseEventType
from citybrain.domain.episode import Evidence, EvidenceKind
from pipeline.city import City
from pipeline.grouping import CaseRecord

REMEMBER = timedelta(days=30)
"""How long a closed case is known at least; longer where a scene says that what returns later recurs."""
MOST_PICTURES, MOST_CLIPS = 12, 3
_MOST_COMMANDS = 50


@dataclass(frozen=True, slots=True)
class Told:
    """A case event, and whether the dispatch system is to have it."""

    event: CaseEvent
    dispatch: bool


@dataclass(frozen=True, slots=True)
class LocalityState:
    """The cases of one locality: those open, and those closed that may recur. `counts` says what became of each episode."""

    records: Sequence[CaseRecord] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


def case_id(scene: str, place: str, began_at: datetime) -> str:
    """A case's id, derived from scene, place and the instant the episode began: 80 bits, in base 32."""
    digest = hashlib.sha256(f"{scene}|{place}|{iso(began_at)}".encode()).digest()
    return f"case-{base64.b32encode(digest[:10]).decode().lower()}"


def event_id(case: str, version: int) -> str:
    return f"{case}-{version}"


def tell(
    record: CaseRecord, case: Case, kind: CaseEventType, at: datetime, *, cause: str | None = None
) -> tuple[CaseRecord, list[Told]]:
    case = replace(case, version=record.case.version + 1)
    event = CaseEvent(event_id(case.id, case.version), kind, case, at, cause)
    return replace(record, case=case), [Told(event, record.dispatch)]


def remembering(done: Sequence[str], command: str) -> tuple[str, ...]:
    """The commands that were done, this one among them: said again, it is not done again."""
    return (*done, command)[-_MOST_COMMANDS:]


def put(state: LocalityState, index: int, record: CaseRecord) -> LocalityState:
    records = list(state.records)
    records[index] = record
    return LocalityState(records, state.counts)


def count(state: LocalityState, outcome: str) -> LocalityState:
    return LocalityState(state.records, {**state.counts, outcome: state.counts.get(outcome, 0) + 1})


def forget(state: LocalityState, at: datetime, city: City) -> LocalityState:
    """Without the cases closed so long ago that nothing is their recurrence."""
    kept = [
        record
        for record in state.records
        if record.case.state.is_open or record.present or at - (record.case.closed_at or at) < _memory(record, city)
    ]
    return LocalityState(kept, state.counts)


def _memory(record: CaseRecord, city: City) -> timedelta:
    scene = city.scenes.get(record.case.scene)
    return max(REMEMBER, scene.file.case.recurs_within) if scene else REMEMBER


def with_evidence(case: Case, more: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """The first pictures and the newest ones, should there be too many; then the clips, of which the same holds."""
    known = {each.ref for each in case.evidence}
    found = [*case.evidence, *(each for each in more if each.ref not in known)]
    pictures = [each for each in found if each.kind is EvidenceKind.PICTURE]
    # In the order of the data, not of arrival: a clip that was dropped and comes again is dropped again.
    clips = sorted((each for each in found if each.kind is EvidenceKind.CLIP), key=lambda each: each.captured_at)
    return (*_first_and_newest(pictures, 2, MOST_PICTURES), *_first_and_newest(clips, 1, MOST_CLIPS))


def _first_and_newest(found: Sequence[Evidence], first: int, most: int) -> Sequence[Evidence]:
    return [*found[:first], *found[first:][-(most - first) :]]
