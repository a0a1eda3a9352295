"""How a browser comes in: a key once, then a cookie that scripts cannot read and other sites cannot send."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from events_api.limits import Limited
from events_api.parts import COOKIE, Given, address_of, audit, has_keys, limit_logins, who_asks
from events_api.problems import Problem
from events_api.schemas import SessionRequest, Who, answers
from events_api.security import SESSION_LASTS, Actor, Role

router = APIRouter(tags=["session"])


@router.get("/session", responses=answers(Who, 401))
def who(request: Request, given: Given) -> JSONResponse:
    """Who asks, as the audit trail will name them."""
    actor = who_asks(request, given)
    return JSONResponse({"name": actor.name, "role": actor.role.value, "unit": actor.unit, "keys": has_keys(given)})


@router.post("/session", responses=answers(Who, 401, 422, 429))
def come_in(request: Request, asked: SessionRequest, given: Given) -> JSONResponse:
    """Exchange a key for a session of some hours. Wrong keys are noted, and after some of them one is told to wait."""
    address = address_of(request)
    limit_logins(given, address)
    actor = given.keys.actor(asked.key) if given.keys is not None else None
    if given.keys is None or actor is None:
        audit(given, Actor("", Role.VIEWER, address=address), "login", "session", outcome="refused")
        raise Problem(401, "key-unknown", "this is not a key of this installation")
    given.limits.give_back(Limited.LOGIN, address)
    audit(given, replace(actor, address=address), "login", "session")
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
def leave(
    request: Request,
    given: Given,
    *,
    everywhere: Annotated[bool, Query(description="end every session of this key, not this one alone")] = False,
) -> JSONResponse:
    """End the session, or all sessions of its key."""
    token = request.cookies.get(COOKIE)
    actor = given.keys.session(token) if token and given.keys is not None else None
    if token and actor is not None and given.keys is not None:
        audit(given, replace(actor, address=address_of(request)), "logout", "everywhere" if everywhere else "session")
        if everywhere:
            given.keys.close_sessions(actor.name)
        else:
            given.keys.close_session(token)
    answer = JSONResponse({"name": "", "role": "", "unit": None, "keys": has_keys(given)})
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer
