"""A reference dispatch desk: takes signed case events, knows repeats, gives each case its number, and calls back.

python -m citybrain.demo.desk --port 9100 --data desk.db --secret whsec_… --callback http://127.0.0.1:8000

POST /events       the CloudEvent; answers {"external_id", "repeat"}
GET  /cases        what it was told, newest first      GET  /deliveries  each message and how often it came
GET  /faults       how it fails on purpose             PUT  /faults      {"mode", "delay_s", "share"}
GET  /healthz      it is there                         GET  /            the same for people
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.requests import ClientDisconnect

from citybrain import signing
from citybrain.clock import Clock, SystemClock
from citybrain.configuration import duration
from citybrain.delivery.sender import Sender
from citybrain.demo.desk_book import CALLBACK, STATUSES, Book, Step
from citybrain.demo.desk_faults import DroppableProtocol, Faults, FaultyDoor, Switch
from citybrain.demo.desk_page import page
from citybrain.errors import Unreadable
from pipeline.notifiers import webhook

EVENTS = "/events"
CALLBACKS = "/v1/dispatch/callbacks"
SECRET_VARIABLE = "CITYBRAIN_DISPATCH_SECRET"  # noqa: S105  # the variable's name

_MOST_BYTES = 1024 * 1024
DEFAULT_COURSE = (Step("accepted", timedelta(seconds=2)),)


@dataclass(frozen=True, slots=True)
class Options:
    """`callback` is citybrain's address, None keeps the desk silent; port 0 takes a free one."""

    data: Path
    secret: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 0
    callback: str | None = None
    course: Sequence[Step] = DEFAULT_COURSE


def create_app(book: Book, *, secret: str, clock: Clock, switch: Switch, callback: str | None = None) -> FastAPI:
    """The desk's HTTP face around its book; calls back while it runs, when there is someone to call."""

    @contextlib.asynccontextmanager
    async def while_open(_: FastAPI) -> AsyncIterator[None]:
        if callback is None:
            yield
        else:
            async with _calling_back(book, secret=secret, clock=clock, address=callback):
                yield

    app = FastAPI(title="citybrain dispatch desk", lifespan=while_open, docs_url=None, redoc_url=None)
    app.add_middleware(FaultyDoor, path=EVENTS, switch=switch)
    app.include_router(_shown(book, switch))

    @app.post(EVENTS)
    async def receive(request: Request) -> JSONResponse:
        try:
            body = await _body(request)
        except ClientDisconnect:
            return _problem(400, "The message broke off")
        if body is None:
            return _problem(413, f"At most {_MOST_BYTES} bytes are taken")
        try:
            message_id = signing.verify(secret, request.headers, body, now=clock.now())
        except ValueError as error:
            return _problem(401, str(error))
        try:
            receipt = book.receive(message_id, body)
        except Unreadable as error:
            return _problem(400, str(error))
        return JSONResponse({"external_id": receipt.external_id, "repeat": receipt.repeat})

    return app


def _shown(book: Book, switch: Switch) -> APIRouter:
    router = APIRouter()

    @router.get("/cases")
    async def cases() -> dict[str, Any]:
        found = book.cases()
        return {"count": len(found), "cases": found}

    @router.get("/deliveries")
    async def deliveries() -> dict[str, Any]:
        found = book.deliveries()
        return {"count": len(found), "deliveries": found}

    @router.get("/faults")
    async def faults() -> Faults:
        return switch.faults

    @router.put("/faults")
    async def set_faults(wanted: Faults) -> Faults:
        switch.faults = wanted
        return wanted

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/", response_class=HTMLResponse)
    async def people() -> str:
        return page(book.cases(), fault=switch.faults.mode)

    return router


@contextlib.asynccontextmanager
async def _calling_back(book: Book, *, secret: str, clock: Clock, address: str) -> AsyncIterator[None]:
    """Tell citybrain what the desk does with its cases: signed, in order for each case, until it is taken."""
    config = webhook.Config.model_validate(
        {
            "url": _callbacks_of(address),
            "secret": secret,
            "content_type": "application/json",
            "allow": ("loopback", "private"),  # whoever runs the desk gave the address
        }
    )
    notifier = webhook.build(config, clock=clock)
    sender = Sender(
        book.outbox, {CALLBACK: notifier}, clock, lambda outgoing, _ack, _committed: book.called_back(outgoing.body)
    )
    stop = asyncio.Event()
    calls = asyncio.create_task(sender.run(stop))
    try:
        yield
    finally:
        stop.set()
        await calls
        await notifier.close()


class Desk:
    """A desk bound to its port. `await serve()` runs it until `stop()`; `url` is where messages are posted."""

    def __init__(self, options: Options, *, clock: Clock | None = None, switch: Switch | None = None) -> None:
        clock = clock or SystemClock()
        signing.check_secret(options.secret)
        self._socket = socket.create_server((options.host, options.port), backlog=512)
        self.address = f"http://{options.host}:{self._socket.getsockname()[1]}"
        self.url = self.address + EVENTS
        self.switch = switch or Switch()
        self.book = Book(options.data, clock=clock, course=options.course if options.callback else ())
        app = create_app(self.book, secret=options.secret, clock=clock, switch=self.switch, callback=options.callback)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app, http=DroppableProtocol, ws="none", log_level="warning", timeout_graceful_shutdown=2, lifespan="on"
            )
        )

    async def serve(self) -> None:
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            self._socket.close()
            self.book.close()

    def stop(self) -> None:
        self._server.should_exit = True


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    desk = Desk(options)
    print(f"dispatch desk: {desk.address}", flush=True)
    asyncio.run(desk.serve())
    return 0


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m citybrain.demo.desk", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9100, help="0 takes a free one and prints it")
    parser.add_argument("--data", type=Path, required=True, help="the SQLite file that the desk remembers in")
    parser.add_argument(
        "--secret", default=os.environ.get(SECRET_VARIABLE, ""), help=f"or the variable {SECRET_VARIABLE}"
    )
    parser.add_argument("--callback", help="citybrain's address, such as http://127.0.0.1:8000")
    parser.add_argument(
        "--course",
        type=_step,
        nargs="*",
        default=list(DEFAULT_COURSE),
        metavar="[UNIT:]STATUS=AFTER",
        help="what it says of a case and when, of one unit's if named; default accepted=2s",
    )
    given = parser.parse_args(arguments)
    try:
        signing.check_secret(given.secret)
    except ValueError as error:
        parser.error(f"--secret: {error}")
    return Options(**vars(given))


def _step(text: str) -> Step:
    said, _, after = text.partition("=")
    unit, _, status = said.rpartition(":")
    if status not in STATUSES:
        raise argparse.ArgumentTypeError(f"expected {', '.join(STATUSES)}, got {status!r}")
    try:
        return Step(status, duration(after), unit)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _callbacks_of(address: str) -> str:
    address = address.rstrip("/")
    return address if address.endswith(CALLBACKS) else address + CALLBACKS


async def _body(request: Request) -> bytes | None:
    """The request's body; None when it is larger than anything a case needs."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            return None
    return body


def _problem(status: int, title: str) -> JSONResponse:
    """RFC 9457."""
    return JSONResponse(
        {"type": "about:blank", "title": title, "status": status}, status, media_type="application/problem+json"
    )


if __name__ == "__main__":
    sys.exit(main())
