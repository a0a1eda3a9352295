"""Cases: the list, one, what happened to it, and what people do about it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from citybrain.domain.case import CaseAction, CaseState, allowed_actions
from citybrain.domain.command import Act
from citybrain.wire import COMMANDS, write_command
from events_api.acts import check_complete, command, digest_of
from events_api.cursors import page_cursor, page_key
from events_api.limits import Limited
from events_api.parts import CaseReader, CaseViewer, Given, OnTheSpot, Parts, audit, limit
from events_api.ports import Fields, StoredEvent, Wanted
from events_api.problems import Problem
from events_api.schemas import ActionAnswer, ActionRequest, CasePage, ShownCase, Timeline, answers
from events_api.security import Actor

router = APIRouter(tags=["cases"])

EFFECT_WITHIN = timedelta(seconds=3)
FIELD_ACTIONS = frozenset({CaseAction.HANDLE, CaseAction.ARRIVE, CaseAction.VERIFY, CaseAction.RETURN})
"""What the person whom a unit sends can do about a case."""
_Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class CasesQuery(BaseModel):
    """Filters; what is left out does not restrict. A name that is not one of these is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")

    scene: list[_Name] = []
    state: list[CaseState] = []
    camera: list[_Name] = []
    severity: list[_Name] = []
    unit: list[_Name] = []
    grid_cell: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{1,40}$")] | None = Field(
        default=None, description="code or its beginning: 530111001 is a street with all its cells"
    )
    since: AwareDatetime | None = Field(default=None, description="filed at or after")
    until: AwareDatetime | None = Field(default=None, description="filed before")
    open: bool | None = None
    judged: Literal["confirmed", "rejected", "none"] | None = None
    silence: _Name | None = Field(default=None, description="the id of a silence: the cases that it has held back")
    q: Annotated[str, StringConstraints(max_length=200)] = Field(default="", description="words that must all appear")
    limit: int = Field(default=50, ge=1, le=200)
    cursor: Annotated[str, StringConstraints(max_length=500)] | None = Field(
        default=None, description="`next` of a page"
    )


@router.get("/cases", responses=answers(CasePage, 400, 422))
def cases(query: Annotated[CasesQuery, Query()], given: Given, actor: CaseReader) -> JSONResponse:
    """The newest first. A field key sees its unit's cases."""
    as_of = given.store.cursor()  # before the cases: whoever streams from here sees an event twice rather than never
    wanted = Wanted(
        scenes=tuple(query.scene),
        states=tuple(state.value for state in query.state),
        cameras=tuple(query.camera),
        severities=tuple(query.severity),
        units=tuple(query.unit) if actor.unit is None else (actor.unit,),
        grid_cell=query.grid_cell,
        since=query.since,
        until=query.until,
        open=query.open,
        judged=query.judged,
        words=tuple(query.q.split()[:10]),
        silence=query.silence,
    )
    after = None if query.cursor is None else page_key(query.cursor)
    found = given.store.cases(wanted, limit=query.limit + 1, after=after)
    page = found[: query.limit]
    more = len(found) > len(page)
    return JSONResponse(
        {"items": [shown(case) for case in page], "next": page_cursor(page[-1]) if more else None, "as_of": str(as_of)}
    )


@router.get("/cases/{id:path}/timeline", responses=answers(Timeline, 404))
def timeline(id: str, given: Given, actor: CaseViewer) -> JSONResponse:
    """Everything that happened to one case, oldest first."""
    _seen_by(actor, id, given.store.case(id))
    events = given.store.timeline(id)
    return JSONResponse({"items": [cloud_event(event) for event in events]})


@router.post(
    "/cases/{id:path}/actions",
    responses=answers(ActionAnswer, 404, 409, 422, 429, 503) | {202: {"model": ActionAnswer}},
)
async def act(
    id: str,
    asked: ActionRequest,
    given: Given,
    actor: OnTheSpot,
    idempotency_key: Annotated[str | None, Header(max_length=256)] = None,
) -> JSONResponse:
    """Confirm, reject, … 200 when it has taken effect, 202 when that takes longer than three seconds."""
    limit(given, actor, Limited.ACTION)
    case = _seen_by(actor, id, await asyncio.to_thread(given.store.case, id))
    if actor.unit is not None and asked.action not in FIELD_ACTIONS:
        may = ", ".join(each.value for each in CaseAction if each in FIELD_ACTIONS)
        raise Problem(403, "role-too-small", f"a field key may {may}, not {asked.action.value}")
    check_complete(asked)
    command_id, repeated = await asyncio.to_thread(_command_id, given, case, asked, actor.name, idempotency_key)
    if repeated is None:
        check_possible(case, asked.action)
        said = await asyncio.to_thread(command, given, case, asked, id=command_id, actor=actor.name)
        await asyncio.to_thread(
            audit, given, actor, "case.action", id, action=asked.action.value, reason=asked.reason, command=command_id
        )
        await asyncio.to_thread(_publish, given, said)
        repeated = await given.feed.effect(command_id, within=EFFECT_WITHIN)
    after = await asyncio.to_thread(given.store.case, id) or case
    answer = {"command": command_id, "applied": repeated is not None, "case": shown(after)}
    return JSONResponse(answer, status_code=202 if repeated is None else 200)


@router.get("/cases/{id:path}", responses=answers(ShownCase, 404))
def case(id: str, given: Given, actor: CaseReader) -> JSONResponse:
    """One case."""
    return JSONResponse(shown(_seen_by(actor, id, given.store.case(id))))


def shown(case: Fields) -> dict[str, Any]:
    """A case as the API shows it."""
    possible = allowed_actions(CaseState(case["state"]), undoable=case.get("undoable"))
    return {**case, "allowed": [action.value for action in possible]}


def cloud_event(event: StoredEvent) -> dict[str, Any]:
    """An event with its cursor, as an extension attribute."""
    return {**json.loads(event.raw), "cursor": str(event.cursor)}


def _seen_by(actor: Actor, id: str, case: Fields | None) -> Fields:
    """The case, when there is one that this actor may see. Raises Problem 404."""
    if case is None or (actor.unit is not None and case["unit"] != actor.unit):
        raise no_case(id)
    return case


def no_case(id: str) -> Problem:
    return Problem(404, "no-such-case", f"there is no case {id[:80]!r}")


def check_possible(case: Fields, action: CaseAction) -> None:
    """Raises Problem 409, naming what is possible instead."""
    state = CaseState(case["state"])
    possible = allowed_actions(state, undoable=case.get("undoable"))
    if action not in possible:
        allowed = [each.value for each in possible]
        raise Problem(
            409,
            "impossible-action",
            f"{action.value} is not possible while a case is {state.value}; possible are {', '.join(allowed)}",
            more={"allowed": allowed, "state": state.value},
        )


def put(given: Parts, case: Fields, action: CaseAction, *, id: str, actor: str, reason: str, note: str) -> None:
    """Put an action on the bus, in order with everything else about its locality."""
    at, locality = given.clock.now(), case["locality"]
    _publish(given, Act(id, case["id"], locality, action, actor, at, reason=reason, note=note))


def _publish(given: Parts, act: Act) -> None:
    given.bus.publish(COMMANDS, act.locality, write_command(act))


def _command_id(
    given: Parts, case: Fields, asked: ActionRequest, actor: str, key: str | None
) -> tuple[str, StoredEvent | None]:
    """The id of the command that this request is, and its effect when it was asked before.

    With an Idempotency-Key the first half stands for the key, the second for what is asked: the same key for something
    else is refused. Without one, the same action of one person on one version of the case is one command.
    """
    said = digest_of(asked)
    if key is None:
        return f"act-{_digest(actor, case['id'], str(case['version']))}-{said}", None
    mine = f"act-{_digest(actor, case['id'], 'key', key)}-"
    done = given.store.effects(mine)
    for event in done:
        if event.cause == mine + said:
            return mine + said, event
    if done:
        raise Problem(422, "idempotency-key-reused", "this Idempotency-Key was used for another action on this case")
    return mine + said, None


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:20]
