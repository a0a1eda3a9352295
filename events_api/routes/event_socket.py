"""Case events by WebSocket: the same events, filters and cursors as the stream of server-sent events.

connect ──► key in the header, or session from our own page ──► {"cursor"}  {"cursor", "event"} …  {"cursor"} each 15 s
   │
   └─ neither ──► first message {"key": …} within ten seconds ──► the same
                    └─ none, or a wrong one ──► closed with 4401
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query, WebSocket
from starlette.websockets import WebSocketDisconnect

from events_api import following
from events_api.cursors import event_cursor
from events_api.following import Cursor, Following, WantedEvents, take_place
from events_api.parts import COOKIE, Given, Parts, address_of, has_keys, limit_logins, who_asks
from events_api.problems import Problem
from events_api.security import Actor, Role

router = APIRouter(tags=["events"])

FIRST_MESSAGE_S = 10.0
KEY_NEEDED, ROLE_TOO_SMALL, GOING_AWAY, TRY_AGAIN_LATER = 4401, 4403, 1001, 1013
"""How the server closes: the first two are ours (RFC 6455 leaves 4000 and on to applications), the others are the RFC's."""

_ROLES = (Role.VIEWER, Role.PLATFORM)
_Check = Callable[[], object]


class _Closed(Exception):
    """The socket is to be closed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(reason)


@router.websocket("/events/ws")
async def websocket(
    socket: WebSocket,
    given: Given,
    wanted: WantedEvents,
    after: Annotated[Cursor | None, Query(description="cursor; without one the events begin now")] = None,
) -> None:
    """Events as messages `{cursor, event}`; `{cursor}` alone moves the cursor past what the filter left out."""
    still_allowed = await asyncio.to_thread(_by_header, socket, given)
    cursor = given.feed.cursor if after is None else await asyncio.to_thread(event_cursor, after, given=given)
    streams: set[object] = socket.app.state.streams
    take_place(streams, socket)
    try:
        await socket.accept()
        if still_allowed is None:
            still_allowed = await _by_first_message(socket, given)
        place = Following(given.feed, cursor, wanted, clock=given.clock, still_allowed=still_allowed)
        await _hand_on(socket, place)
        ended = (GOING_AWAY, "resume by cursor") if given.feed.closing else (KEY_NEEDED, "the key is no longer good")
        await socket.close(*ended)
    except _Closed as closed:
        await socket.close(closed.code, closed.reason)
    except (TimeoutError, OSError, WebSocketDisconnect):
        return  # it takes nothing, or is gone: it resumes by cursor
    finally:
        streams.discard(socket)


async def _hand_on(socket: WebSocket, place: Following) -> None:
    gone = asyncio.create_task(_disconnected(socket))
    try:
        await _send(socket, f'{{"cursor":"{place.cursor}"}}')
        async for batch in place.batches(gone):
            said = [f'{{"cursor":"{event.cursor}","event":{event.raw}}}' for event in batch]
            await _send(socket, *(said or [f'{{"cursor":"{place.cursor}"}}']))
        if gone.done():
            raise WebSocketDisconnect
    finally:
        gone.cancel()


async def _send(socket: WebSocket, *messages: str) -> None:
    async with asyncio.timeout(following.STALLED_S):
        for text in messages:
            await socket.send_text(text)


async def _disconnected(socket: WebSocket) -> None:
    """Read on, whatever it says, until it goes."""
    with suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await socket.receive_text()


def _by_header(socket: WebSocket, given: Parts) -> _Check | None:
    """How to ask again whether the asker is allowed; None when it has yet to say who it is. Raises Problem 401, 403."""
    if has_keys(given) and "authorization" not in socket.headers:
        if COOKIE not in socket.cookies:
            return None
        if "origin" not in socket.headers:
            # Browsers always say which page opens a socket; the guard has compared it with our own address.
            raise Problem(403, "foreign-origin", "a session opens a socket from our own page only")

    def ask() -> None:
        _may_read(who_asks(socket, given))

    ask()
    return ask


async def _by_first_message(socket: WebSocket, given: Parts) -> _Check:
    """As `_by_header`, of a client that cannot send headers: a browser's script of another application, say."""
    try:
        async with asyncio.timeout(FIRST_MESSAGE_S):
            said = json.loads(await socket.receive_text())
    except (TimeoutError, ValueError, KeyError):
        raise _Closed(KEY_NEEDED, 'expected a first message {"key": …}') from None
    key = said.get("key") if isinstance(said, dict) else None
    if not isinstance(key, str):
        raise _Closed(KEY_NEEDED, 'expected a first message {"key": …}')

    def ask() -> None:
        actor = given.keys.actor(key) if given.keys is not None else None
        if actor is None:
            raise Problem(401, "key-unknown", "this is not a key of this installation")
        _may_read(actor)

    try:
        await asyncio.to_thread(ask)
    except Problem as problem:
        await asyncio.to_thread(_count_wrong_key, socket, given)
        raise _Closed(ROLE_TOO_SMALL if problem.status_code == 403 else KEY_NEEDED, str(problem.detail)) from None
    return ask


def _count_wrong_key(socket: WebSocket, given: Parts) -> None:
    try:
        limit_logins(given, address_of(socket))
    except Problem as problem:
        raise _Closed(TRY_AGAIN_LATER, str(problem.detail)) from None


def _may_read(actor: Actor) -> None:
    if not any(actor.role.covers(role) for role in _ROLES):
        raise Problem(403, "role-too-small", f"this needs the role viewer or platform, the key has {actor.role}")
