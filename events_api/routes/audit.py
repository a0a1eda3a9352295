"""The audit trail: who did what, when, from where and with what outcome."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from events_api.audit import Entry, Sought
from events_api.parts import Engineer, Given
from events_api.schemas import Answer, Instant, answers

router = APIRouter(tags=["audit"])

_Word = Annotated[str, StringConstraints(max_length=500)]


class AuditEntry(Answer):
    n: int = Field(description="its place in the trail; without a gap", examples=[4711])
    at: Instant
    actor: str = Field(description="the key's name", examples=["li.na"])
    role: str = Field(examples=["operator"])
    address: str = Field(description="where the request came from", examples=["10.20.0.7"])
    what: str = Field(examples=["case.action"])
    on: str = Field(description="what it was done to", examples=["case-qfs5hyhgwz5nmdnp"])
    outcome: str = Field(examples=["done"], description="done, or refused")
    more: dict[str, str] = Field(examples=[{"action": "reject", "reason": "glare"}])
    hash: str = Field(description="SHA-256 of the last entry's hash and of this entry")


class AuditPage(Answer):
    items: list[AuditEntry]
    next: int | None = Field(description="`before` of the next page; null at the end")


class AuditQuery(BaseModel):
    """Filters; what is left out does not restrict."""

    model_config = ConfigDict(extra="forbid")

    actor: _Word = ""
    what: _Word = Field(default="", description="a word or its beginning: `key.`")
    on: _Word = ""
    outcome: _Word = ""
    address: _Word = ""
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    limit: int = Field(default=100, ge=1, le=1000)
    before: int | None = Field(default=None, ge=1, le=2**53, description="`next` of a page")


@router.get("/audit", responses=answers(AuditPage, 401, 403, 422))
def trail(query: Annotated[AuditQuery, Query()], given: Given, _: Engineer) -> JSONResponse:
    """The newest first. Its chain is checked by `citybrain audit verify`."""
    sought = Sought(
        actor=query.actor,
        what=query.what,
        on=query.on,
        outcome=query.outcome,
        address=query.address,
        since=query.since,
        until=query.until,
    )
    found = given.trail.entries(sought, limit=query.limit + 1, before=query.before)
    page = found[: query.limit]
    more = len(found) > len(page)
    return JSONResponse({"items": [_shown(each) for each in page], "next": page[-1].n if more else None})


def _shown(entry: Entry) -> dict[str, object]:
    return {
        "n": entry.n,
        "at": entry.at,
        "actor": entry.actor,
        "role": entry.role,
        "address": entry.address,
        "what": entry.what,
        "on": entry.on,
        "outcome": entry.outcome,
        "more": dict(entry.more),
        "hash": entry.hash,
    }
