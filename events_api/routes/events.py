"""Case events: by page, and as a stream that resumes where it was cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from events_api import following
from events_api.cursors import event_cursor
from events_api.following import Cursor, Following, WantedEvents, take_place
from events_api.parts import Given, Reader, who_asks
from events_api.ports import StoredEvent
from events_api.routes.cases import cloud_event
from events_api.schemas import EventPage, answers

router = APIRouter(tags=["events"])


@router.get("/events", responses=answers(EventPage, 400, 422))
def events(
    given: Given,
    _: Reader,
    wanted: WantedEvents,
    after: Annotated[Cursor, Query(description="cursor; 0 is the beginning")] = "0",
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> JSONResponse:
    """Events after a cursor, oldest first. `next` goes on from here, also when there is nothing yet."""
    cursor = event_cursor(after, given=given)
    end = given.store.cursor()
    found = given.store.events(after=cursor, limit=limit, wanted=wanted)
    seen_to = found[-1].cursor if len(found) == limit else max(cursor, end)
    return JSONResponse(
        {"items": [cloud_event(each) for each in found], "next": str(seen_to), "end": str(max(seen_to, end))}
    )


@router.get(
    "/events/stream",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}, "description": "CloudEvents; each id is a cursor"}},
)
async def stream(
    request: Request,
    given: Given,
    _: Reader,
    wanted: WantedEvents,
    after: Annotated[Cursor | None, Query(description="cursor; without one the stream begins now")] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Server-sent events. `Last-Event-ID` (or `after`) resumes without loss; a comment comes each 15 s."""
    text = last_event_id if last_event_id is not None else after
    cursor = given.feed.cursor if text is None else await asyncio.to_thread(event_cursor, text, given=given)
    place = Following(given.feed, cursor, wanted, clock=given.clock, still_allowed=lambda: who_asks(request, given))
    opened = EventStream(place, request.app.state.streams)
    take_place(request.app.state.streams, opened)
    return opened


class EventStream(Response):
    """The events of one client as server-sent events. It gives up its place among `streams` when it ends."""

    media_type = "text/event-stream"

    def __init__(self, place: Following, streams: set[object]) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._place, self._streams = place, streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if not scope.get("head"):
                async for chunk in self._chunks(gone):
                    async with asyncio.timeout(following.STALLED_S):
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except (TimeoutError, OSError):
            return
        finally:
            self._streams.discard(self)
            gone.cancel()

    async def _chunks(self, gone: asyncio.Task[None]) -> AsyncIterator[bytes]:
        yield b"retry: 1000\n\n" + _mark(self._place.cursor)
        async for batch in self._place.batches(gone):
            if batch:
                yield b"".join(_written(event) for event in batch)
            else:
                # An id without data moves the client's Last-Event-ID on past what its filter left out.
                yield b": heartbeat\n" + _mark(self._place.cursor)


def _written(event: StoredEvent) -> bytes:
    # Line ends stand between JSON's tokens only: within a string they are escaped.
    line = event.raw.replace("\n", " ").replace("\r", " ")
    return f"id: {event.cursor}\ndata: {line}\n\n".encode()


def _mark(cursor: int) -> bytes:
    return f"id: {cursor}\n\n".encode()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
