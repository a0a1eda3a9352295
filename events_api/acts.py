"""An action as it was asked for: whether it says all that it needs, and the command that it becomes."""

from __future__ import annotations

import hashlib
from datetime import datetime

from citybrain.clock import iso
from citybrain.domain.case import CaseAction, CaseState
from citybrain.domain.command import Act
from events_api.named_pictures import invalid, named_pictures
from events_api.parts import Parts
from events_api.ports import Fields
from events_api.problems import Problem
from events_api.schemas import ActionRequest

_NEEDED = {
    CaseAction.REJECT: "reason",
    CaseAction.RETURN: "reason",
    CaseAction.ASSIGN: "unit",
    CaseAction.EXTEND: "until",
    CaseAction.MERGE: "into",
}


def check_complete(asked: ActionRequest) -> None:
    """Raises Problem 422 naming what the action needs and was not told."""
    needed = _NEEDED.get(asked.action)
    if needed is not None and not getattr(asked, needed):
        raise invalid(needed, f"to {asked.action.value} needs {'an' if needed == 'until' else 'a'} {needed}")


def command(given: Parts, case: Fields, asked: ActionRequest, *, id: str, actor: str) -> Act:
    """What is put on the bus. Raises Problem 422 for a time or a case that it cannot be done with, or a picture not there."""
    now = given.clock.now()
    into_locality = _into(given, case, asked.into or "") if asked.action is CaseAction.MERGE else None
    if asked.until is not None:
        _check_until(case, asked.action, asked.until, now)
    return Act(
        id=id,
        case=case["id"],
        locality=case["locality"],
        action=asked.action,
        actor=actor,
        at=now,
        reason=asked.reason,
        note=asked.note,
        unit=asked.unit,
        until=asked.until,
        into=asked.into,
        into_locality=into_locality,
        evidence=named_pictures(given.evidence, asked.evidence, role="field"),
    )


def digest_of(asked: ActionRequest) -> str:
    """The same for what is asked twice in the same words."""
    until = "" if asked.until is None else iso(asked.until)
    more = [asked.unit or "", until, asked.into or "", *asked.evidence]
    # An action that says no more than its reason keeps the digest that it always had: keys given out before stay good.
    said = [asked.action.value, asked.reason, asked.note, *(more if any(more) else ())]
    return hashlib.sha256("\0".join(said).encode("utf-8", "surrogatepass")).hexdigest()[:20]


def _check_until(case: Fields, action: CaseAction, until: datetime, now: datetime) -> None:
    if action in (CaseAction.EXTEND, CaseAction.DEFER) and until <= now:
        raise invalid("until", "expected a time that is to come")
    due_at = case.get("due_at")
    if action is CaseAction.EXTEND and due_at and until <= datetime.fromisoformat(due_at):
        raise invalid("until", f"expected a time after {due_at}, when it is due now")


def _into(given: Parts, case: Fields, into: str) -> str:
    """Where the case that this one is made part of lies."""
    other = given.store.case(into)
    if other is None or into == case["id"]:
        raise invalid("into", f"there is no other case {into[:80]!r}")
    if other["scene"] != case["scene"]:
        raise invalid("into", f"a case of {case['scene']} is no part of one of {other['scene']}")
    if not CaseState(other["state"]).is_open:
        raise Problem(409, "impossible-action", f"the case to merge it into is {other['state']}")
    return str(other["locality"])
