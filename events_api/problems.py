"""Every error as an RFC 9457 problem document: what is wrong, where, and what would be right."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

_log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class Problem(HTTPException):
    """An answer that is an error. `slug` names the kind (docs/api.md lists them); `more` are extension members."""

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
        "type": f"/docs#{problem.slug}",
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
    async def _problem(request: Request, error: Problem) -> JSONResponse:
        return document(error, request.url.path)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        slug = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        detail = {
            404: f"nothing is at {request.url.path}",
            405: f"{request.method} is not possible here; {(error.headers or {}).get('Allow', 'another method')} is",
        }.get(error.status_code, str(error.detail))
        return document(Problem(error.status_code, slug, detail, headers=error.headers), request.url.path)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [_fault(each) for each in error.errors()]
        detail = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults[:3])
        return document(Problem(422, "invalid-request", detail, more={"errors": faults}), request.url.path)

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
