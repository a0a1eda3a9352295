"""What every route has at hand, and the question who asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Request

from citybrain.clock import Clock
from citybrain.domain.camera import Camera
from citybrain.ports import Bus, EvidenceStore, HotStore
from events_api.camera_overview import CameraOverview
from events_api.feed import Feed
from events_api.ports import CaseStore, DeadLetters, SceneInfo
from events_api.problems import Problem
from events_api.projector import Projector
from events_api.registry import Registry
from events_api.security import Actor, Keys, Role

COOKIE = "citybrain_session"


@dataclass(frozen=True, slots=True)
class Parts:
    """The API's ports and its own moving parts, made once by `create_app`."""

    bus: Bus
    store: CaseStore
    hot: HotStore
    evidence: EvidenceStore
    registry: Registry
    overview: CameraOverview
    keys: Keys | None
    clock: Clock
    dead_letters: DeadLetters | None
    dispatch_secret: str | None
    figures: Callable[[], Mapping[str, float]]
    projector: Projector
    feed: Feed

    @property
    def cameras(self) -> Mapping[str, Camera]:
        return self.registry.cameras

    @property
    def scenes(self) -> Sequence[SceneInfo]:
        return self.registry.scenes


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
