"""Every error as an RFC 9457 problem document: what is wrong, where, and what would be right."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError, ValidationException, WebSocketRequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from citybrain.errors import BusAway, DatabaseAway, EvidenceAway

_log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


KINDS: Mapping[str, str] = {
    "audit-unavailable": "It cannot be noted who does this, and what cannot be noted is not done.",
    "bad-cursor": "The cursor is none that this API gave.",
    "bad-signature": "The Standard Webhooks headers do not fit the body, the secret or the hour.",
    "body-too-large": "The body is larger than `limit` bytes.",
    "bus-away": "No message broker answers, so what was asked may not be done; ask again, with the same Idempotency-Key.",
    "busy": "As much of this is being made for others as can be at once; try again in a moment.",
    "cursor-from-the-future": "The cursor is ahead of the last event: it belongs to another log. Start again from 0.",
    "database-away": "The database does not answer; ask again in a moment, with the same Idempotency-Key.",
    "evidence-away": "The evidence storage does not answer, or has not got this picture or clip yet; ask again in a moment.",
    "forbidden-address": "The URL leads, or its name resolves, to an address that is not public and not allowed.",
    "foreign-origin": "A page of another site tried to act here.",
    "hot-away": "What is hot cannot be written now (Redis does not answer), so this cannot be said to whoever looks; try again.",
    "idempotency-key-reused": "The Idempotency-Key was used for another action on the case.",
    "impossible-action": "The case's state does not allow the action; `allowed` names those that it does.",
    "internal-error": "The server failed; its log says why.",
    "invalid-request": "A parameter or field is not as expected; `errors` names each field.",
    "key-needed": "This needs a key, and none or a wrong one was given.",
    "key-unknown": "This is not a key of this installation.",
    "no-dispatch-secret": "Callbacks are verified, and no secret is configured to verify them with.",
    "no-photo": "The body is no photograph that can be taken: JPEG or PNG, of bounded size, undamaged.",
    "no-picture": "The camera has no picture yet.",
    "no-rehearsal": "This installation keeps no looks that could be judged again.",
    "not-found": "Nothing has an address with such a character in it.",
    "no-room": "There is no room for pictures now; it can be sent again later.",
    "no-such-camera": "No camera has this id.",
    "name-taken": "There is another subscription of this name.",
    "no-such-case": "No case has this id.",
    "no-such-dead-letter": "No dead letter has this id.",
    "no-such-delivery": "Nothing that was delivered or is dead has this event's id; a replay from a cursor may help.",
    "no-such-picture": "No picture or clip has this reference.",
    "no-such-subscription": "No subscription has this id, or it belongs to another key.",
    "no-such-silence": "Nobody made a silence of this id.",
    "no-such-report": "No case has a report of this id.",
    "not-maskable": "It cannot be masked, so only the original could be shown: ask for it with `unmasked=1` and a reason.",
    "not-ready": "New cases might not be shown; `reasons` says why.",
    "picture-altered": "The picture or clip no longer fits its hash and is not shown.",
    "picture-gone": "A case names this picture or clip, but it is no longer kept.",
    "range-beyond-end": "The range asked for lies beyond the end.",
    "rehearsal-busy": "Another preview is running; one at a time.",
    "rehearsal-too-long": "The preview did not come to an end in time.",
    "revision-needed": "What is replaced must be named with If-Match.",
    "role-too-small": "The key's role does not allow this.",
    "too-many-requests": "Too many requests of the kind `limit`; `Retry-After` says when the next one may come.",
    "silence-configured": "The silence stands in routes.yaml, and is ended there.",
    "silence-over": "The silence was over already.",
    "subscription-paused": "The subscription is paused; resume it first.",
    "too-many-streams": "No more streams can be opened now.",
    "too-many-subscriptions": "There are as many subscriptions as there may be.",
    "unknown-host": "The Host header names another server: a sign of DNS rebinding.",
    "view-behind": "The case view has not caught up yet; try again in a moment.",
    "zones-changed": "The camera's entry was changed meanwhile; `revision` is what it is now.",
    "zones-not-writable": "The file of this camera cannot be written from here; the detail says why.",
    "zones-refused": "With these zones the configuration would have faults: `faults` names them, and nothing is written.",
}
"""Every kind of problem; `type` refers to its place in /docs. What HTTP itself says well enough is about:blank."""


class Problem(HTTPException):
    """An answer that is an error. `slug` is one of KINDS; `more` are extension members."""

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers) if headers else None)
        self.slug = slug
        self.more = more or {}


def document(problem: Problem, instance: str) -> JSONResponse:
    """The problem as a response. `type` is a relative reference into the API's own documentation."""
    written = {
        "type": f"/docs#{problem.slug}" if problem.slug in KINDS else "about:blank",
        "title": problem.slug.replace("-", " "),
        "status": problem.status_code,
        "detail": problem.detail,
        "instance": instance,
        **problem.more,
    }
    headers = {"cache-control": "no-store", **(problem.headers or {})}
    return JSONResponse(written, status_code=problem.status_code, headers=headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error of the app with a problem document."""

    @app.exception_handler(Problem)
    async def _problem(request: HTTPConnection, error: Problem) -> JSONResponse:
        return document(error, request.url.path)  # to one who wanted to open a socket: instead of that

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        slug = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        detail = {
            404: f"nothing is at {request.url.path}",
            405: f"{request.method} is not possible here; {(error.headers or {}).get('Allow', 'another method')} is",
        }.get(error.status_code, str(error.detail))
        return document(Problem(error.status_code, slug, detail, headers=error.headers), request.url.path)

    @app.exception_handler(RequestValidationError)
    @app.exception_handler(WebSocketRequestValidationError)
    async def _invalid(request: HTTPConnection, error: ValidationException) -> JSONResponse:
        faults = [_fault(each) for each in error.errors()]
        detail = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults[:3])
        return document(Problem(422, "invalid-request", detail, more={"errors": faults}), request.url.path)

    @app.exception_handler(BusAway)
    async def _bus_away(request: HTTPConnection, error: BusAway) -> JSONResponse:
        _log.warning("%s could not be done: %s", request.url.path, error)  # it names the broker: not for the caller
        detail = "no message broker answers; the same request may be made again"
        return document(Problem(503, "bus-away", detail, headers={"Retry-After": "2"}), request.url.path)

    @app.exception_handler(DatabaseAway)
    async def _database_away(request: HTTPConnection, error: DatabaseAway) -> JSONResponse:
        _log.warning("%s could not be answered: %s", request.url.path, error)
        detail = "the database does not answer; the same request may be made again"
        return document(Problem(503, "database-away", detail, headers={"Retry-After": "2"}), request.url.path)

    @app.exception_handler(DataError)
    async def _not_kept(request: HTTPConnection, error: DataError) -> JSONResponse:
        """What text of PostgreSQL's cannot hold, NUL above all; no schema of ours forbids it everywhere."""
        _log.info("%s has what no database keeps: %s", request.url.path, type(error.orig).__name__)
        return document(Problem(422, "invalid-request", "a character that no text has (NUL)"), request.url.path)

    @app.exception_handler(EvidenceAway)
    async def _evidence_away(request: HTTPConnection, error: EvidenceAway) -> JSONResponse:
        _log.warning("%s could not be answered: %s", request.url.path, error)
        detail = "the evidence storage does not answer, or has not got this yet; the same request may be made again"
        return document(Problem(503, "evidence-away", detail, headers={"Retry-After": "2"}), request.url.path)

    @app.exception_handler(Exception)
    async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
        # What went wrong goes to the log, not to the caller: it may name paths or addresses.
        _log.error("%s %s failed: %s", request.method, request.url.path, type(error).__name__)
        return document(Problem(500, "internal-error", "the server failed; its log says why"), request.url.path)


def _fault(each: Mapping[str, Any]) -> dict[str, Any]:
    where: Sequence[Any] = each.get("loc", ())
    # The first part says query, path, header or body; the value itself is left out, it may be anything.
    return {
        "field": ".".join(str(part) for part in where[1:]) or str(where[0] if where else "body"),
        "in": str(where[0]) if where else "body",
        "message": str(each.get("msg", "invalid")),
    }
