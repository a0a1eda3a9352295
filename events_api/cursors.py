"""How a place in the events and a place in a list of cases are written for a client, and read back with suspicion."""

from __future__ import annotations

import base64
import json

from citybrain.clock import instant, iso
from citybrain.wire import CASE_EVENTS
from events_api.parts import Parts
from events_api.ports import Fields, PageKey
from events_api.problems import Problem


def event_cursor(text: str, *, given: Parts) -> int:
    """The offset behind an events cursor. Raises Problem 400 for what this log never gave out."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise Problem(400, "bad-cursor", f"expected a cursor that this API gave, got {text[:40]!r}")
    cursor = int(text)
    if cursor > given.feed.cursor and cursor > given.bus.end(CASE_EVENTS):
        raise Problem(
            400,
            "cursor-from-the-future",
            f"cursor {cursor} is ahead of the last event, {given.feed.cursor}: another log?",
        )
    return cursor


def page_cursor(last: Fields) -> str:
    """Where the page that ends with this case goes on."""
    return base64.urlsafe_b64encode(json.dumps([last["filed_at"], last["id"]]).encode()).decode().rstrip("=")


def page_key(text: str) -> PageKey:
    """The place behind a page cursor. Raises Problem 400 for anything else."""
    try:
        filed_at, id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return iso(instant(filed_at)), str(id)
    except (ValueError, TypeError):
        raise Problem(400, "bad-cursor", f"expected a `next` that this API gave, got {text[:40]!r}") from None


def camera_cursor(last: tuple[int, str], *, order: str) -> str:
    """Where the page of cameras that ends with this one goes on."""
    return base64.urlsafe_b64encode(json.dumps([order, *last]).encode()).decode().rstrip("=")


def camera_place(text: str, *, order: str) -> tuple[int, str]:
    """The place behind a cursor of cameras. Raises Problem 400 for anything else, one of another order included."""
    try:
        was, urgency, id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if was == order and isinstance(urgency, int):
            return urgency, str(id)
    except (ValueError, TypeError):
        pass
    raise Problem(400, "bad-cursor", f"expected a `next` that this API gave in this order, got {text[:40]!r}")
