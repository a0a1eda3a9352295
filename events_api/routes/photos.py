"""Photographs taken on the spot: stored as evidence, to be named by the action or the report that they belong to."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, Field

from citybrain.clock import iso
from citybrain.errors import Transient, Unreadable
from citybrain.evidence.photo import Photo, photo
from events_api.limits import Limited
from events_api.parts import Given, Parts, audit, limit, needs
from events_api.problems import Problem
from events_api.schemas import PROBLEM, Answer, Instant
from events_api.security import Actor, Role

router = APIRouter(tags=["evidence"])

SOURCE = "field"
"""What stands where a picture's reference names its camera."""
OLDEST = timedelta(hours=5)
"""Pictures that no case claims are swept after six hours, by the instant in their reference."""
_AHEAD = timedelta(minutes=2)
_AT_ONCE = threading.Semaphore(2)  # one of 25 megapixels takes 75 MB while it is decoded
_TYPES = ("image/jpeg", "image/png")
_BODY = {
    "requestBody": {
        "required": True,
        "content": {each: {"schema": {"type": "string", "format": "binary", "maxLength": 4194304}} for each in _TYPES},
    }
}


Photographing = Annotated[Actor, Depends(needs(Role.OPERATOR, Role.FIELD, Role.PLATFORM))]
"""Who acts, and the hotline's platform, whose reports come with pictures."""


class StoredPhoto(Answer):
    """A photograph as it is kept: without whatever its file said beside the pixels."""

    ref: str = Field(
        examples=["field/20261121/080000.000Z-0123456789abcdef.jpg"], description="for an action's `evidence`"
    )
    sha256: str
    captured_at: Instant
    width: int
    height: int
    bytes: int


_ANSWERS: dict[int | str, dict[str, Any]] = {
    201: {"model": StoredPhoto},
    **dict.fromkeys((413, 415, 422, 429, 507), PROBLEM),
}


@router.post("/photos", status_code=201, responses=_ANSWERS, openapi_extra=_BODY)
async def take(
    request: Request,
    given: Given,
    actor: Photographing,
    captured_at: Annotated[
        AwareDatetime | None, Query(description="by the phone's clock; of the last five hours, or the arrival counts")
    ] = None,
) -> JSONResponse:
    """Keep a photograph (JPEG or PNG, 4 MiB, 25 megapixels). It stays as long as a case that names it, else some hours."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in _TYPES:
        raise Problem(415, "no-photo", f"expected {' or '.join(_TYPES)}")
    await asyncio.to_thread(limit, given, actor, Limited.ACTION)
    content = await request.body()
    try:
        made = await asyncio.to_thread(_decoded, content)
    except Unreadable as error:
        raise Problem(422, "no-photo", f"expected {error}") from None
    at = _instant(captured_at, given.clock.now())
    try:
        ref = await asyncio.to_thread(_put, given, actor, at, made)
    except Transient:
        raise Problem(507, "no-room", "there is no room for pictures now; it can be sent again later") from None
    answer = {
        "ref": ref,
        "sha256": hashlib.sha256(made.jpeg).hexdigest(),
        "captured_at": iso(at),
        "width": made.width,
        "height": made.height,
        "bytes": len(made.jpeg),
    }
    return JSONResponse(answer, status_code=201)


def _decoded(content: bytes) -> Photo:
    with _AT_ONCE:
        return photo(content)


def _put(given: Parts, actor: Actor, at: datetime, made: Photo) -> str:
    audit(given, actor, "photo.sent", hashlib.sha256(made.jpeg).hexdigest())
    return given.evidence.put(SOURCE, at, made.jpeg)


def _instant(said: datetime | None, now: datetime) -> datetime:
    """When it was taken, as far as a phone's clock can be believed."""
    at = now if said is None or said > now + _AHEAD or said < now - OLDEST else min(said, now)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
