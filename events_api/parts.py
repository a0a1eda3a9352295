"""What every route has at hand, and the question who asks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import Depends, Request

from citybrain.clock import Clock, instant
from citybrain.domain.camera import Camera
from citybrain.ports import Bus, EvidenceStore, HotStore
from events_api.feed import Feed
from events_api.ports import CaseStore, DeadLetters, SceneInfo
from events_api.problems import Problem
from events_api.projector import Projector
from events_api.security import Actor, Keys, Role

COOKIE = "citybrain_session"
FRESH = timedelta(seconds=15)  # how old a role's last heartbeat may be; they come at least each 5 s


@dataclass(frozen=True, slots=True)
class Parts:
    """The API's ports and its own moving parts, made once by `create_app`."""

    bus: Bus
    store: CaseStore
    hot: HotStore
    evidence: EvidenceStore
    cameras: Mapping[str, Camera]
    scenes: Sequence[SceneInfo]
    keys: Keys | None
    clock: Clock
    dead_letters: DeadLetters | None
    dispatch_secret: str | None
    figures: Callable[[], Mapping[str, float]]
    projector: Projector
    feed: Feed


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A process's last sign of life: `name` is role and number."""

    name: str
    role: str
    at: datetime
    figures: Mapping[str, float]


def parts(request: Request) -> Parts:
    found: Parts = request.app.state.parts
    return found


Given = Annotated[Parts, Depends(parts)]


def who_asks(request: Request, given: Parts) -> Actor:
    """The asker, by bearer key or session. Without any keys it is whoever sits at this machine. Raises Problem 401."""
    if given.keys is None or not given.keys.any():
        name = unquote(request.headers.get("x-operator", ""))[:64].strip()
        return Actor(name if name.isprintable() and name else "operator", Role.ENGINEER)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and (actor := given.keys.actor(token.strip())):
        return actor
    cookie = request.cookies.get(COOKIE)
    if not scheme and cookie and (actor := given.keys.session(cookie)):
        return actor
    raise Problem(
        401,
        "key-needed",
        "this needs a key: Authorization: Bearer …, or a session from POST /v1/session",
        headers={"WWW-Authenticate": 'Bearer realm="citybrain"'},
    )


def needs(*roles: Role) -> Callable[..., Actor]:
    """A dependency that lets in whose role covers any of these."""

    def asker(request: Request, given: Given) -> Actor:
        actor = who_asks(request, given)
        if not any(actor.role.covers(role) for role in roles):
            raise Problem(403, "role-too-small", f"this needs the role {' or '.join(roles)}, the key has {actor.role}")
        return actor

    return asker


Viewer = Annotated[Actor, Depends(needs(Role.VIEWER))]
Reader = Annotated[Actor, Depends(needs(Role.VIEWER, Role.PLATFORM))]
Operator = Annotated[Actor, Depends(needs(Role.OPERATOR))]
Engineer = Annotated[Actor, Depends(needs(Role.ENGINEER))]


def heartbeats(hot: HotStore) -> list[Heartbeat]:
    """Every process that reports, as far as its report can be read."""
    found = []
    for key, value in hot.scan("heartbeat/"):
        fields = hot_fields(value)
        role = key.split("/")[1]
        figures = fields.get("figures")
        try:
            at = instant(str(fields.get("at")))
        except ValueError:
            continue
        numbers = {
            str(name): float(figure)
            for name, figure in (figures if isinstance(figures, dict) else {}).items()
            if isinstance(figure, int | float)
        }
        found.append(Heartbeat(key.removeprefix("heartbeat/"), role, at, numbers))
    return found


def is_fresh(role: str, beats: Sequence[Heartbeat], now: datetime) -> bool | None:
    """Whether any process of the role has reported lately; None when none ever has."""
    of_role = [beat.at for beat in beats if beat.role == role]
    return None if not of_role else now - max(of_role) <= FRESH


def hot_fields(value: bytes | None) -> dict[str, Any]:
    """What is hot may be lost or torn: then it says nothing."""
    if value is None:
        return {}
    try:
        fields = json.loads(value)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}
