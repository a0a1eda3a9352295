"""How the desk can fail on purpose, switched while it runs, so that a chaos test fails as real receivers do.

ok      answers                          hang    never answers
500     answers 500, handles nothing     drop    closes the connection without an answer
slow    answers after `delay_s`          repeat  handles the message, then answers 500: the sender must say it again
flaky   any of ok, 500, slow, drop, repeat, by chance
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from citybrain.wire import dumps

Mode = Literal["ok", "500", "slow", "hang", "drop", "repeat", "flaky"]
_FLAKY: tuple[Mode, ...] = ("ok", "500", "slow", "drop", "repeat")


class Faults(BaseModel):
    """What goes wrong from now on; `share` is the part of the requests that suffer it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode = "ok"
    delay_s: float = Field(default=3.0, ge=0, le=600)
    share: float = Field(default=1.0, ge=0, le=1)


class Switch:
    """The faults in force, and the dice."""

    def __init__(self, *, random: Random | None = None) -> None:
        self.faults = Faults()
        self._random = random or Random()

    def next(self) -> Mode:
        """What happens to the next request."""
        if self._random.random() >= self.faults.share:
            return "ok"
        return self._random.choice(_FLAKY) if self.faults.mode == "flaky" else self.faults.mode


class DroppableProtocol(H11Protocol):
    """Remembers which connection a request came by: ASGI has no word for hanging up."""

    transports: dict[tuple[str, int], asyncio.Transport] = {}  # noqa: RUF012  # shared by all connections on purpose

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        super().connection_made(transport)
        self.transports[_peer(transport)] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.transports.pop(_peer(self.transport), None)
        super().connection_lost(exc)


class FaultyDoor:
    """ASGI middleware around the one path where messages are handed in."""

    def __init__(self, app: ASGIApp, *, path: str, switch: Switch) -> None:
        self._app = app
        self._path = path
        self._switch = switch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != self._path:
            await self._app(scope, receive, send)
            return
        mode = self._switch.next()
        if mode == "slow":
            await asyncio.sleep(self._switch.faults.delay_s)
        if mode in ("ok", "slow"):
            await self._app(scope, receive, send)
        elif mode == "hang":
            await _until_they_leave(receive)
        elif mode == "drop":
            transport = DroppableProtocol.transports.get(tuple(scope["client"]))
            if transport is not None:
                transport.abort()
            await _until_they_leave(receive)
        else:
            if mode == "repeat":
                await self._app(scope, receive, _nowhere)
            await _answer_500(send)


async def _until_they_leave(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _nowhere(message: Message) -> None:
    """The answer that the sender never gets."""


async def _answer_500(send: Send) -> None:
    body = dumps({"type": "about:blank", "title": "A fault was asked for", "status": 500})
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _peer(transport: Any) -> tuple[str, int]:
    return cast("tuple[str, int]", tuple(transport.get_extra_info("peername") or ("", 0))[:2])
