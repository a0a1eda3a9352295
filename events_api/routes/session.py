"""How a browser comes in: a key once, then a cookie that scripts cannot read and other sites cannot send."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from events_api.parts import COOKIE, Given, who_asks
from events_api.problems import Problem
from events_api.schemas import SessionRequest, Who, answers
from events_api.security import SESSION_LASTS

router = APIRouter(tags=["session"])


@router.get("/session", responses=answers(Who, 401))
def who(request: Request, given: Given) -> JSONResponse:
    """Who asks, as the audit trail will name them."""
    actor = who_asks(request, given)
    return JSONResponse({"name": actor.name, "role": actor.role.value, "unit": actor.unit, "keys": _has_keys(given)})


@router.post("/session", responses=answers(Who, 401, 422))
def come_in(request: Request, asked: SessionRequest, given: Given) -> JSONResponse:
    """Exchange a key for a session of some hours."""
    actor = given.keys.actor(asked.key) if given.keys is not None else None
    if given.keys is None or actor is None:
        raise Problem(401, "key-unknown", "this is not a key of this installation")
    answer = JSONResponse({"name": actor.name, "role": actor.role.value, "unit": actor.unit, "keys": True})
    answer.set_cookie(
        COOKIE,
        given.keys.open_session(actor),
        max_age=int(SESSION_LASTS.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


@router.delete("/session", responses=answers(Who))
def leave(request: Request, given: Given) -> JSONResponse:
    """End the session."""
    token = request.cookies.get(COOKIE)
    if token and given.keys is not None:
        given.keys.close_session(token)
    answer = JSONResponse({"name": "", "role": "", "unit": None, "keys": _has_keys(given)})
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


def _has_keys(given: Given) -> bool:
    return given.keys is not None and given.keys.any()
