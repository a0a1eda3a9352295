"""One client's way along the events: pulled by its own cursor, so that nothing is queued for it and nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated

from fastapi import Depends, Query
from pydantic import StringConstraints

from citybrain.clock import Clock
from citybrain.domain.case import CaseEventType
from citybrain.errors import Transient
from events_api.feed import Feed
from events_api.ports import EventFilter, StoredEvent
from events_api.problems import Problem

HEARTBEAT_S = 15.0
ALLOWED_EVERY_S = 5.0  # how often it is asked whether the client's key or session is still good
STALLED_S = 20.0  # a client that takes nothing for so long is let go; it resumes by cursor
AGAIN_S = 1.0  # between two tries while the view does not answer
MAX_STREAMS = 500
_PAGE = 100

Cursor = Annotated[str, StringConstraints(max_length=40)]
_Names = Annotated[list[str], Query(max_length=50)]
_Cell = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{1,40}$")]


def _wanted(
    scene: _Names = [],  # noqa: B006 - FastAPI reads the default, nobody writes it
    type: Annotated[list[CaseEventType], Query()] = [],  # noqa: B006
    severity: _Names = [],  # noqa: B006
    grid_cell: Annotated[
        list[_Cell], Query(max_length=50, description="code or its beginning: 530111001 is a street with all its cells")
    ] = [],  # noqa: B006
    area: Annotated[list[_Cell], Query(max_length=50, description="code of an area")] = [],  # noqa: B006
) -> EventFilter:
    return EventFilter(
        scenes=tuple(scene),
        types=tuple(each.value for each in type),
        severities=tuple(severity),
        grid_cells=tuple(grid_cell),
        areas=tuple(area),
    )


WantedEvents = Annotated[EventFilter, Depends(_wanted)]
"""The filter of a request for events: each parameter may be given several times."""


def take_place(streams: set[object], stream: object) -> None:
    """Count one more open stream. Raises Problem 503 when there are as many as the server can hold."""
    if len(streams) >= MAX_STREAMS:
        raise Problem(503, "too-many-streams", f"{MAX_STREAMS} streams are open", headers={"Retry-After": "5"})
    streams.add(stream)


class Following:
    """Where one client is. `still_allowed` raises Problem once it is not."""

    def __init__(
        self, feed: Feed, cursor: int, wanted: EventFilter, *, clock: Clock, still_allowed: Callable[[], object]
    ) -> None:
        self.cursor = cursor
        self._feed, self._wanted, self._clock, self._still_allowed = feed, wanted, clock, still_allowed

    async def batches(self, gone: asyncio.Task[None]) -> AsyncIterator[list[StoredEvent]]:
        """Events as they come; an empty batch is a heartbeat, at which `cursor` has moved on past what the filter left out.

        Ends when the client is `gone`, when the feed closes, and within seconds once the client is no longer allowed.
        """
        heard_s = asked_s = self._clock.monotonic()
        while not (self._feed.closing or gone.done()):
            changed, at_most_s = self._feed.change(), HEARTBEAT_S
            try:
                found, seen_to = await self._feed.after(self.cursor, limit=_PAGE, wanted=self._wanted)
            except Transient:  # further back than memory goes, and the view does not answer: it stays where it is
                found, seen_to, at_most_s = [], self.cursor, AGAIN_S
            now_s = self._clock.monotonic()
            if now_s - asked_s >= min(ALLOWED_EVERY_S, HEARTBEAT_S):
                asked_s = now_s
                if not await asyncio.to_thread(self._is_allowed):
                    return
            self.cursor = seen_to
            if found or now_s - heard_s >= HEARTBEAT_S:
                heard_s = now_s
                yield found
            else:
                until_s = min(asked_s + ALLOWED_EVERY_S, heard_s + HEARTBEAT_S, now_s + at_most_s)
                await _first_of(changed, gone, within_s=until_s - now_s)

    def _is_allowed(self) -> bool:
        try:
            self._still_allowed()
        except Problem:
            return False
        except Transient:  # nobody can say now; asked again in a moment
            return True
        return True


async def _first_of(changed: asyncio.Event, gone: asyncio.Task[None], *, within_s: float) -> None:
    waiting = asyncio.create_task(changed.wait())
    try:
        await asyncio.wait({waiting, gone}, timeout=max(within_s, 0.0), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
