"""What stands before every route: bodies of bounded size, hosts and origins that are ours, HEAD, careful headers."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from events_api.problems import Problem, document

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
SIGNED_PATHS = frozenset({"/v1/dispatch/callbacks"})  # their callers are no browsers and prove themselves by signature

LARGER_BODIES: Mapping[str, int] = {"/v1/photos": 4 * 1024 * 1024}

_HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self'; "
        "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(self)",
}


def is_loopback(host: str) -> bool:
    """Whether an address to bind to is reached from this machine alone."""
    return host.strip("[]") in _LOOPBACK or host.startswith("127.")


class Guard:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, *, loopback: bool, max_body: int) -> None:
        self._app = app
        self._loopback = loopback
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] in ("http", "websocket") else Headers()
        if scope["type"] == "websocket" and (problem := self._socket_refusal(headers)) is not None:
            await document(problem, scope["path"])(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = LARGER_BODIES.get(scope["path"], self._max_body)
        problem = self._refusal(scope, headers, limit)
        head = scope["method"] == "HEAD"
        answer = _Answer(send, head=head)
        if problem is not None:
            await document(problem, scope["path"])(scope, receive, answer)
            return
        if head:
            scope = {**scope, "method": "GET", "head": True}
        await self._app(scope, _Body(receive, limit), answer)

    def _refusal(self, scope: Scope, headers: Headers, limit: int) -> Problem | None:
        host = headers.get("host", "")
        if (unknown := self._unknown_host(host)) is not None:
            return unknown
        if "\0" in scope["path"]:
            return Problem(404, "not-found", "nothing is named so")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limit:
            return _too_large(limit)
        if scope["method"] not in _SAFE and scope["path"] not in SIGNED_PATHS and _is_foreign(headers, host):
            return Problem(403, "foreign-origin", "a page of another site may not act here")
        return None

    def _socket_refusal(self, headers: Headers) -> Problem | None:
        """To open a socket is to read with whatever session the browser holds: from our own page only."""
        host = headers.get("host", "")
        if _is_foreign(headers, host):
            return Problem(403, "foreign-origin", "a page of another site may not open a socket here")
        return self._unknown_host(host)

    def _unknown_host(self, host: str) -> Problem | None:
        if self._loopback and _name(host) not in _LOOPBACK:
            # A page of another site may point its own name at 127.0.0.1 (DNS rebinding); its Host header tells.
            return Problem(421, "unknown-host", f"this server answers to localhost and 127.0.0.1, not to {host!r}")
        return None


class _Body:
    """Counts what arrives, for bodies that do not say how long they are."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._left = limit
        self._limit = limit

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise _too_large(self._limit)
        return message


class _Answer:
    """Adds the headers that every answer carries, and leaves out the body of an answer to HEAD."""

    def __init__(self, send: Send, *, head: bool) -> None:
        self._send = send
        self._head = head

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
        elif self._head and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)


def is_of_another_site(headers: Headers) -> bool:
    """Whether a browser says that a page of another site asks: for what is noted or dear although it changes nothing."""
    return headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}


def _is_foreign(headers: Headers, host: str) -> bool:
    if is_of_another_site(headers):
        return True
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != host.lower()


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _too_large(limit: int) -> Problem:
    return Problem(413, "body-too-large", f"a body may have {limit} bytes", more={"limit": limit})
