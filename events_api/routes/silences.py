"""Silences (静默): for a time nobody is told of what matches. Who made it, until when, and what it held back."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Header, Query
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from citybrain.clock import iso
from citybrain.configuration import duration
from citybrain.domain.command import Silence, Silenced
from citybrain.wire import COMMANDS, silence_fields, write_command
from events_api.limits import Limited
from events_api.parts import Given, Operator, Parts, Viewer, audit, limit
from events_api.ports import KeptSilence
from events_api.problems import Problem
from events_api.schemas import PROBLEM, Answer, Instant, answers
from events_api.security import Actor, Role

router = APIRouter(tags=["silences"])

OPERATORS_LONGEST = timedelta(hours=24)
"""Longer ones are made by engineers: nobody on shift then may know of them."""
LONGEST, AHEAD = timedelta(days=92), timedelta(days=366)
_KEY = "silences"  # they concern the whole city: one key keeps them in order
_EXAMPLE: dict[str, Any] = {
    "scene": "stall_spillover",
    "grid_cell": "530111001",
    "for": "6h",
    "reason": "Lantern fair, agreed with the street office",
}


class SilenceRequest(BaseModel):
    """What is to be silent. What is left out of scene, camera and grid_cell does not restrict."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    scene: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    camera: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    grid_cell: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,15}$")] | None = Field(
        default=None, description="the code of an area or a cell, or its beginning"
    )
    since: AwareDatetime | None = Field(default=None, description="without it, or if it has gone by: from now on")
    until: AwareDatetime | None = Field(default=None, description="this or `for`")
    for_: Annotated[str, StringConstraints(pattern=r"^([0-9]{1,6}[smhd]){1,4}$")] | None = Field(
        default=None, alias="for", description="how long from `since` on, such as 90m or 6h"
    )
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if (self.until is None) == (self.for_ is None):
            raise ValueError("say either until or for")
        if self.for_ is not None:
            duration(self.for_)  # ten years are more than it takes; ValueError says so
        return self


class ShownSilence(Answer):
    id: str = Field(examples=["silence-3f9a1c0b7d2e4f68"], description="what `silenced` of a case names")
    state: Literal["pending", "active", "expired"]
    since: Instant
    until: Instant
    author: str
    reason: str
    scene: str | None
    camera: str | None
    grid_cell: str | None
    configured: bool = Field(description="it stands in routes.yaml and is ended there")
    held: int = Field(description="how many cases it has held back")
    holding: int = Field(description="how many of them are open and still told to nobody")


class SilenceList(Answer):
    items: list[ShownSilence] = Field(
        description="those in force, those to come, those that are over; of each the newest first"
    )


class SilencesQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    state: list[Literal["pending", "active", "expired"]] = []
    limit: int = Field(default=200, ge=1, le=1000)


@router.get("/silences", responses=answers(SilenceList, 422))
def silences(query: Annotated[SilencesQuery, Query()], given: Given, _: Viewer) -> JSONResponse:
    """Those that people made and those of routes.yaml."""
    now, made = given.clock.now(), _made(given)
    counts = given.store.silenced()
    found = [_shown(each, now) for each in made.values()]
    found += [
        _shown(KeptSilence(each, *counts.get(each.id, (0, 0))), now, configured=True)
        for each in given.registry.silences
    ]
    wanted = [each for each in found if not query.state or each["state"] in query.state]
    wanted.sort(key=lambda each: str(each["since"]), reverse=True)
    wanted.sort(key=lambda each: _ORDER.index(each["state"]))
    return JSONResponse({"items": wanted[: query.limit]})


@router.post(
    "/silences",
    status_code=201,
    responses={200: {"model": ShownSilence}, 201: {"model": ShownSilence}, **dict.fromkeys((422, 503), PROBLEM)},
)
async def silence(
    asked: SilenceRequest,
    given: Given,
    actor: Operator,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=256)] = None,
) -> JSONResponse:
    """Make one. An engineer is needed for more than a day, for what is limited to no scene, camera or area, and for a
    critical scene in the whole city."""
    limit(given, actor, Limited.ACTION)
    now = given.clock.now()
    made = _silence(asked, given, actor, now, key=idempotency_key)
    known = await asyncio.to_thread(_made, given)
    if made.id in known:  # the same key once more
        return JSONResponse(_shown(known[made.id], now))
    _check_role(made, given, actor)
    await asyncio.to_thread(_put, given, actor, made, now, "silence.made")
    return JSONResponse(_shown(KeptSilence(made), now), status_code=201)


@router.delete("/silences/{id}", responses=answers(ShownSilence, 404, 409, 503))
async def end(id: str, given: Given, actor: Operator) -> JSONResponse:
    """End one now; one that is to come never begins. What it held back and is still there is told at once."""
    limit(given, actor, Limited.ACTION)
    if id in _configured(given):
        raise Problem(409, "silence-configured", "it stands in routes.yaml: take it out there")
    kept = (await asyncio.to_thread(_made, given)).get(id)
    if kept is None:
        raise Problem(404, "no-such-silence", f"there is no silence {id[:80]!r}")
    now = given.clock.now()
    if _is_over(kept.silence, now):
        raise Problem(409, "silence-over", f"it was over at {iso(kept.silence.until)}")
    ended = replace(kept.silence, until=max(now, kept.silence.since))
    await asyncio.to_thread(_put, given, actor, ended, now, "silence.ended")
    return JSONResponse(_shown(replace(kept, silence=ended), now))


_ORDER = ("active", "pending", "expired")


def _silence(asked: SilenceRequest, given: Parts, actor: Actor, now: datetime, *, key: str | None) -> Silence:
    """What is asked for. Raises Problem 422."""
    since = now if asked.since is None else max(now, asked.since)
    if since - now > AHEAD:
        raise _invalid("since", f"a silence begins within {AHEAD.days} days")
    until = since + duration(asked.for_) if asked.for_ is not None else asked.until or since
    if until <= since:
        raise _invalid("until", "it ends before it begins, or has ended already")
    if until - since > LONGEST:
        raise _invalid("until", f"a silence lasts at most {LONGEST.days} days; put a longer one into routes.yaml")
    if asked.scene is not None and asked.scene not in {each.id for each in given.scenes}:
        raise _invalid("scene", f"there is no scene {asked.scene[:80]!r}")
    if asked.camera is not None and asked.camera not in given.cameras:
        raise _invalid("camera", f"there is no camera {asked.camera[:80]!r}")
    id = secrets.token_hex(8)
    if key is not None:
        id = hashlib.sha256(f"{actor.name}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return Silence(
        id=f"silence-{id}",
        since=since.astimezone(UTC),
        until=until.astimezone(UTC),
        author=actor.name,
        reason=asked.reason,
        scene=asked.scene,
        camera=asked.camera,
        grid_cell=asked.grid_cell,
    )


def _check_role(made: Silence, given: Parts, actor: Actor) -> None:
    """Raises Problem 403 for what an operator alone may not answer for."""
    critical = {each.id for each in given.scenes if each.severity == "critical"}
    anywhere = made.camera is None and made.grid_cell is None
    why = ""
    if anywhere and made.scene is None:
        why = "a silence of everything"
    elif anywhere and made.scene in critical:
        why = "a silence of a critical scene in the whole city"
    elif made.until - made.since > OPERATORS_LONGEST:
        why = f"a silence of more than {OPERATORS_LONGEST // timedelta(hours=1)} hours"
    if why and not actor.role.covers(Role.ENGINEER):
        raise Problem(403, "role-too-small", f"{why} needs the role engineer, the key has {actor.role}")


def _put(given: Parts, actor: Actor, silence: Silence, now: datetime, what: str) -> None:
    """Note it, ask it of the pipeline, and see it ourselves."""
    audit(
        given,
        actor,
        what,
        silence.id,
        scene=silence.scene,
        camera=silence.camera,
        grid_cell=silence.grid_cell,
        until=iso(silence.until),
        reason=silence.reason,
    )
    command = Silenced(f"{silence.id}-{iso(silence.until)}", silence, now)
    given.bus.publish(COMMANDS, _KEY, write_command(command))


def _made(given: Parts) -> dict[str, KeptSilence]:
    """Those that people made, as of the log's end: whoever made one finds it."""
    given.silences.catch_up()
    return {each.silence.id: each for each in given.store.silences()}


def _configured(given: Parts) -> dict[str, Silence]:
    return {each.id: each for each in given.registry.silences}


def _shown(kept: KeptSilence, now: datetime, *, configured: bool = False) -> dict[str, Any]:
    silence = kept.silence
    return {
        **silence_fields(silence),
        "state": "expired" if _is_over(silence, now) else "pending" if now < silence.since else "active",
        "configured": configured,
        "held": kept.held,
        "holding": kept.holding,
    }


def _is_over(silence: Silence, now: datetime) -> bool:
    return silence.until <= max(now, silence.since)  # one that was ended before it began has no length


def _invalid(field: str, message: str) -> Problem:
    fault = {"field": field, "in": "body", "message": message}
    return Problem(422, "invalid-request", f"{field}: {message}", more={"errors": [fault]})
