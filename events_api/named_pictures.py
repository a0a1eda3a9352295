"""Pictures that a request names by reference, as evidence: they must be there, and each fault names its field."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from citybrain.domain.episode import Evidence
from citybrain.errors import Unreadable
from citybrain.ports import EvidenceStore
from events_api.problems import Problem

_PICTURE = re.compile(r"([^/]+)/(\d{8}/\d{6}\.\d{3})Z-[0-9a-f]{16}\.jpg")


def named_pictures(store: EvidenceStore, refs: Sequence[str], *, role: str) -> tuple[Evidence, ...]:
    """The pictures as evidence with this role. Raises Problem 422 for a reference that no picture has."""
    return tuple(_named(store, ref, f"evidence.{index}", role) for index, ref in enumerate(dict.fromkeys(refs)))


def _named(store: EvidenceStore, ref: str, field: str, role: str) -> Evidence:
    none = invalid(field, f"there is no picture {ref[:80]!r}; POST /v1/photos gives one")
    match = _PICTURE.fullmatch(ref)
    if match is None:
        raise none
    try:
        store.get(ref)
        at = datetime.strptime(match[2], "%Y%m%d/%H%M%S.%f").replace(tzinfo=UTC)
    except (KeyError, ValueError, Unreadable):
        raise none from None
    return Evidence(ref, match[1], at, role)


def invalid(field: str, message: str) -> Problem:
    """One field that is not as expected, found by more than its form."""
    fault = {"field": field, "in": "body", "message": message}
    return Problem(422, "invalid-request", f"{field}: {message}", more={"errors": [fault]})
