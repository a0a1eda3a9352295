"""What the dispatch system tells us of a case, and what it never took from us."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError
from starlette.responses import Response as PlainResponse

from citybrain.clock import iso
from citybrain.domain.case import CaseAction, CaseState
from citybrain.signing import verify
from citybrain.wire import CASE_EVENTS
from events_api.parts import Engineer, Given, Operator, Parts, address_of, audit
from events_api.ports import Fields
from events_api.problems import Problem
from events_api.routes.cases import check_possible, no_case, put
from events_api.schemas import PROBLEM, CallbackAnswer, CallbackRequest, DeadLetterList, answers
from events_api.security import Actor, Role

router = APIRouter(tags=["dispatch"])
_log = logging.getLogger(__name__)

_ACTIONS = {
    "accepted": None,  # the dispatch system has it: the acknowledgement of our POST has said so already
    "handling": CaseAction.HANDLE,
    "arrived": CaseAction.ARRIVE,
    "done": CaseAction.VERIFY,
    "returned": CaseAction.RETURN,
    "rejected": CaseAction.REJECT,
}
_REACHED = {
    CaseAction.HANDLE: CaseState.HANDLING,
    CaseAction.VERIFY: CaseState.VERIFYING,
    CaseAction.RETURN: CaseState.RETURNED,
}
_CATCH_UP = timedelta(seconds=3)
_REFUSED_AGAIN = timedelta(minutes=1)


@router.post(
    "/dispatch/callbacks",
    status_code=202,
    responses={202: {"model": CallbackAnswer}, **dict.fromkeys((401, 403, 404, 409, 422, 503), PROBLEM)},
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": CallbackRequest.model_json_schema()}}}},
)
async def callback(request: Request, given: Given) -> JSONResponse:
    """Signed as Standard Webhooks says, with the dispatch secret; a repeat under one webhook-id is harmless."""
    if given.dispatch_secret is None:
        raise Problem(403, "no-dispatch-secret", "callbacks need a dispatch secret, and none is configured")
    body, desk = await request.body(), Actor("dispatch", Role.PLATFORM, address=address_of(request))
    try:
        message_id = verify(given.dispatch_secret, request.headers, body, now=given.clock.now())
    except ValueError as error:
        await asyncio.to_thread(
            audit, given, desk, "dispatch.callback", "signature", outcome="refused", once_within=_REFUSED_AGAIN
        )
        raise Problem(401, "bad-signature", str(error)) from None
    said = _read(body)
    case = await _case(given, said.case)
    action = _ACTIONS[said.status]
    command = f"callback-{hashlib.sha256(message_id.encode()).hexdigest()[:32]}"
    if action is None or await asyncio.to_thread(_is_done, given, case, action, command):
        return JSONResponse({"command": None}, status_code=202)
    check_possible(case, action)
    await asyncio.to_thread(audit, given, desk, "dispatch.callback", case["id"], status=said.status, command=command)
    reason = said.note[:200] or f"{said.status} by the dispatch system"
    await asyncio.to_thread(put, given, case, action, id=command, actor="dispatch", reason=reason, note=said.note)
    return JSONResponse({"command": command}, status_code=202)


@router.get("/dispatch/dead-letters", responses=answers(DeadLetterList, 503))
def dead_letters(given: Given, _: Operator, limit: Annotated[int, Query(ge=1, le=1000)] = 200) -> JSONResponse:
    """What delivery gave up on, the newest first."""
    letters = () if given.dead_letters is None else given.dead_letters.all(limit=limit)
    items = [
        {
            "id": letter.id,
            "endpoint": letter.endpoint,
            "case": letter.case,
            "attempts": letter.attempts,
            "reason": letter.reason,
            "failed_at": iso(letter.failed_at),
        }
        for letter in letters
    ]
    return JSONResponse({"items": items})


@router.post(
    "/dispatch/dead-letters/{id:path}/resend",
    status_code=202,
    responses=dict.fromkeys((404, 503), PROBLEM),
    response_class=Response,
)
def resend(id: str, given: Given, actor: Engineer) -> PlainResponse:
    """Send it once more, under the id it always had."""
    audit(given, actor, "dead-letter.resent", id)
    if given.dead_letters is None or not given.dead_letters.resend(id):
        raise Problem(404, "no-such-dead-letter", f"there is no dead letter {id[:80]!r}")
    _log.info("%s sends dead letter %s again", actor.name, id)
    return PlainResponse(status_code=202)


def _read(body: bytes) -> CallbackRequest:
    try:
        return CallbackRequest.model_validate_json(body)
    except ValidationError as error:
        faults = [
            {"field": ".".join(map(str, each["loc"])) or "body", "in": "body", "message": each["msg"]}
            for each in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        detail = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults[:3])
        raise Problem(422, "invalid-request", detail, more={"errors": faults}) from None


async def _case(given: Parts, id: str) -> Fields:
    """The case; a desk that is quicker than our own view is waited for."""
    async with asyncio.timeout(_CATCH_UP.total_seconds()) as patience:
        try:
            while True:
                changed = given.feed.change()
                # Asked first: what the view takes in meanwhile is in it when the case is looked for.
                is_caught_up = given.feed.cursor >= await asyncio.to_thread(given.bus.end, CASE_EVENTS)
                case = await asyncio.to_thread(given.store.case, id)
                if case is not None:
                    return case
                if is_caught_up:
                    raise no_case(id)
                await changed.wait()
        except TimeoutError:
            patience.reschedule(None)
            raise Problem(503, "view-behind", "the case view is behind", headers={"Retry-After": "2"}) from None


def _is_done(given: Parts, case: Fields, action: CaseAction, command: str) -> bool:
    there = action is CaseAction.ARRIVE and case["arrived_at"] is not None
    return there or _REACHED.get(action) == case["state"] or bool(given.store.effects(command))
