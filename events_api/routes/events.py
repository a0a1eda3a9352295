"""Case events: by page, and as a stream that resumes where it was cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import StringConstraints
from starlette.types import Receive, Scope, Send

from citybrain.domain.case import CaseEventType
from events_api.cursors import event_cursor
from events_api.feed import Feed
from events_api.parts import Given, Reader, who_asks
from events_api.ports import StoredEvent
from events_api.problems import Problem
from events_api.routes.cases import cloud_event
from events_api.schemas import EventPage, answers

router = APIRouter(tags=["events"])

HEARTBEAT_S = 15.0
STALLED_S = 20.0  # a client that takes nothing for so long is let go; it resumes by cursor
MAX_STREAMS = 500
_PAGE = 200

_Cursor = Annotated[str, StringConstraints(max_length=40)]
_Scenes = Annotated[list[str], Query(max_length=50)]
_Types = Annotated[list[CaseEventType], Query()]


@router.get("/events", responses=answers(EventPage, 400, 422))
def events(
    given: Given,
    _: Reader,
    after: Annotated[_Cursor, Query(description="cursor; 0 is the beginning")] = "0",
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    scene: _Scenes = [],  # noqa: B006 - FastAPI reads the default, nobody writes it
    type: _Types = [],  # noqa: B006
) -> JSONResponse:
    """Events after a cursor, oldest first. `next` goes on from here, also when there is nothing yet."""
    cursor = event_cursor(after, given=given)
    end = given.store.cursor()
    found = given.store.events(after=cursor, limit=limit, scenes=scene, types=[each.value for each in type])
    seen_to = found[-1].cursor if len(found) == limit else max(cursor, end)
    return JSONResponse(
        {"items": [cloud_event(each) for each in found], "next": str(seen_to), "end": str(max(seen_to, end))}
    )


@router.get(
    "/events/stream",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}, "description": "CloudEvents; each id is a cursor"}},
)
async def stream(  # noqa: PLR0917 - FastAPI calls it, by name
    request: Request,
    given: Given,
    _: Reader,
    after: Annotated[_Cursor | None, Query(description="cursor; without one the stream begins now")] = None,
    scene: _Scenes = [],  # noqa: B006
    type: _Types = [],  # noqa: B006
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Server-sent events. `Last-Event-ID` (or `after`) resumes without loss; a comment comes each 15 s."""
    text = last_event_id if last_event_id is not None else after
    cursor = given.feed.cursor if text is None else await asyncio.to_thread(event_cursor, text, given=given)
    open_streams: set[EventStream] = request.app.state.streams
    if len(open_streams) >= MAX_STREAMS:
        raise Problem(503, "too-many-streams", f"{MAX_STREAMS} streams are open", headers={"Retry-After": "5"})
    return EventStream(
        given.feed,
        cursor,
        scenes=tuple(scene),
        types=tuple(each.value for each in type),
        register=open_streams,
        still_allowed=lambda: who_asks(request, given),
    )


class EventStream(Response):
    """Pulls events for one client by its own cursor: nothing is queued for it, and nobody waits for it."""

    media_type = "text/event-stream"

    def __init__(
        self,
        feed: Feed,
        cursor: int,
        *,
        scenes: tuple[str, ...],
        types: tuple[str, ...],
        register: set[EventStream],
        still_allowed: Callable[[], object],
    ) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._feed = feed
        self._cursor = cursor
        self._scenes = scenes
        self._types = types
        self._register = register
        self._still_allowed = still_allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope.get("head"):
            await send({"type": "http.response.body", "body": b""})
            return
        self._register.add(self)
        gone = asyncio.create_task(_disconnected(receive))
        try:
            async for chunk in self._chunks(gone):
                async with asyncio.timeout(STALLED_S):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except (TimeoutError, OSError):
            return
        finally:
            self._register.discard(self)
            gone.cancel()

    async def _chunks(self, gone: asyncio.Task[None]) -> AsyncIterator[bytes]:
        yield b"retry: 1000\n\n" + _mark(self._cursor)
        while not (self._feed.closing or gone.done()):
            changed = self._feed.change()
            found, seen_to = await self._feed.after(self._cursor, limit=_PAGE, scenes=self._scenes, types=self._types)
            self._cursor = seen_to
            if found:
                yield b"".join(_written(event) for event in found)
            elif not await _either(changed, gone):
                try:
                    self._still_allowed()
                except Problem:
                    return  # its key or session is gone
                # An id without data moves the client's Last-Event-ID on past what its filter left out.
                yield b": heartbeat\n" + _mark(self._cursor)


def _written(event: StoredEvent) -> bytes:
    # Line ends stand between JSON's tokens only: within a string they are escaped.
    line = event.raw.replace("\n", " ").replace("\r", " ")
    return f"id: {event.cursor}\ndata: {line}\n\n".encode()


def _mark(cursor: int) -> bytes:
    return f"id: {cursor}\n\n".encode()


async def _either(changed: asyncio.Event, gone: asyncio.Task[None]) -> bool:
    """Wait until something changed or the client went; false when a heartbeat is due."""
    waiting = asyncio.create_task(changed.wait())
    try:
        done, _ = await asyncio.wait({waiting, gone}, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    return bool(done)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
