"""What a camera answers when it was asked to look again: the place is clear, it is still there, or nobody can see.

    asked ──┬─ usable, inferred, a picture of it, nothing there ─────────────────────────► SEEN_GONE
            ├─ true looks since it was asked span `verify_for`, a picture of the last ──► STILL_THERE
            └─ no usable look for `max_gap` ──► UNSEEN ◄──► SEEN_AGAIN, and it waits

Whether something is there is the episode's word: until it has ended, after `clear_after`, the place is not clear.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from citybrain.domain.detection import Detections, Looked, Usable
from citybrain.domain.episode import ChangeKind

FORGET_AFTER = timedelta(minutes=5)
"""A question that nobody has asked for so long is none any more."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about one place, and what was seen there since: the first and last true look, the last usable one.

    `locality` is where the answer is wanted.
    """

    locality: str
    asked_at: datetime
    said_at: datetime
    answered: bool = False
    true_since: datetime | None = None
    true_at: datetime | None = None
    usable_at: datetime | None = None
    blind: bool = False


def ask(before: Asked | None, *, locality: str, asked_at: datetime, said_at: datetime) -> Asked:
    """The question after it was asked, or asked again."""
    if before is None or before.asked_at < asked_at:
        return Asked(locality, asked_at, said_at)
    same = before.asked_at == asked_at
    return replace(before, said_at=max(before.said_at, said_at)) if same else before


def answer(
    asked: Asked, seen: Detections, *, held: bool, is_open: bool, true: bool, max_gap: timedelta, verify_for: timedelta
) -> tuple[Asked, ChangeKind | None]:
    """The question after a look, and what is to be told. `held`: something may be there; `is_open`: it is an episode;
    `true`: it was seen to be there by this look."""
    at = seen.captured_at
    if asked.answered or at <= asked.asked_at:
        return asked, None
    if seen.usable is not Usable.OK:
        if asked.blind or is_open or at - (asked.usable_at or asked.asked_at) <= max_gap:
            return asked, None
        return replace(asked, blind=True), ChangeKind.UNSEEN
    again = asked.blind
    asked = replace(asked, usable_at=at, blind=False)
    pictured = seen.looked is Looked.INFERRED and seen.evidence is not None
    if true:
        broken = asked.true_at is None or at - asked.true_at > max_gap
        asked = replace(asked, true_at=at, true_since=at if broken else asked.true_since)
        if is_open and pictured and at - (asked.true_since or at) >= verify_for:
            return replace(asked, answered=True), ChangeKind.STILL_THERE
    elif not held and pictured:
        return replace(asked, answered=True), ChangeKind.SEEN_GONE
    return asked, ChangeKind.SEEN_AGAIN if again else None
