"""What a locality asks of others because of what became of it: cameras to look again, another case to take one in.

It follows from the difference between before and after alone, whatever brought it about.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from citybrain.domain.command import Absorb, LookAgain
from pipeline.cases.records import LocalityState, event_id
from pipeline.cases.verification import questions, seen_at
from pipeline.grouping import CaseRecord


def asks(before: LocalityState, after: LocalityState, at: datetime) -> Iterator[Absorb | LookAgain]:
    """The commands that follow, each with an id derived from the fact that it follows from."""
    known = {record.case.id: record for record in before.records}
    for record in after.records:
        was = known.get(record.case.id)
        if was is None or was is record:
            continue
        if record.verification and (
            was.verification is None or was.verification.said_at != record.verification.said_at
        ):
            yield from questions(record)
        if was.case.merged_into != record.case.merged_into:
            yield from _merges(was, record, at)


def _merges(was: CaseRecord, now: CaseRecord, at: datetime) -> Iterator[Absorb]:
    for record, undone in ((was, True), (now, False)):
        into, locality = record.case.merged_into, record.into_locality
        if into is not None and locality is not None:
            yield Absorb(
                id=f"{'unabsorb' if undone else 'absorb'}-{event_id(now.case.id, now.case.version)}",
                case=into,
                locality=locality,
                other=now.case,
                actor=now.case.actor,
                at=at,
                places=seen_at(now),
                undone=undone,
            )
