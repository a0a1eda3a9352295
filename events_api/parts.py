"""What every route has at hand, the question who asks, how often they may, and the note of what they do.

A route that changes something, or shows what is hidden, calls `audit(given, actor, "silence.made", id, scene=…)` before it does
so: what cannot be noted is not done. `what` is one of docs/safety.md's words (a test compares them), `on` what it is done to, the
rest is said in words, never with a secret among them. It waits for the disk: async routes call it by `asyncio.to_thread`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends
from starlette.requests import HTTPConnection

from citybrain.clock import Clock
from citybrain.domain.camera import Camera
from citybrain.evidence.seals import Seal
from citybrain.evidence.signer import Signer
from citybrain.map_layer import MapFile
from citybrain.ports import Bus, EvidenceStore, HotStore
from events_api.audit import AuditTrail, NotNoted
from events_api.camera_history import CameraHistory
from events_api.camera_overview import CameraOverview
from events_api.drawing import Rehearsal, ZoneFiles
from events_api.feed import Feed
from events_api.limits import Limited, Limits
from events_api.open_cases import OpenCases
from events_api.personal import Reporters
from events_api.pictures import Pictures
from events_api.ports import CaseStore, DeadLetters, SceneInfo
from events_api.problems import Problem
from events_api.projector import Projector
from events_api.registry import Registry
from events_api.security import Actor, Keys, Role
from events_api.shown_evidence import ShownEvidence
from events_api.silences import Silences
from events_api.subscriptions.shares import Shares
from events_api.subscriptions.store import Subscriptions
from events_api.subscriptions.telling import Terms
from events_api.vitals import Vitals

COOKIE = "citybrain_session"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_WRONG_KEY_AGAIN = timedelta(minutes=1)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """The API's ports and its own moving parts, made once by `create_app`."""

    bus: Bus
    store: CaseStore
    hot: HotStore
    evidence: EvidenceStore
    registry: Registry
    overview: CameraOverview
    history: CameraHistory
    pictures: Pictures
    open_cases: OpenCases
    map: MapFile
    reporters: Reporters
    keys: Keys | None
    clock: Clock
    dead_letters: DeadLetters | None
    dispatch_secret: str | None
    figures: Callable[[], Mapping[str, float]]
    projector: Projector
    feed: Feed
    subscriptions: Subscriptions
    webhooks: Terms
    shares: Shares
    silences: Silences
    trail: AuditTrail
    limits: Limits
    shown: ShownEvidence
    signer: Signer
    seals: Callable[[str], Sequence[Seal]]
    vitals: Vitals
    zone_files: ZoneFiles | None = None
    rehearsal: Rehearsal | None = None

    @property
    def cameras(self) -> Mapping[str, Camera]:
        return self.registry.cameras

    @property
    def scenes(self) -> Sequence[SceneInfo]:
        return self.registry.scenes


def parts(request: HTTPConnection) -> Parts:
    found: Parts = request.app.state.parts
    return found


Given = Annotated[Parts, Depends(parts)]


def audit(
    given: Parts,
    actor: Actor,
    what: str,
    on: str,
    *,
    outcome: str = "done",
    once_within: timedelta | None = None,
    **more: str | None,
) -> None:
    """Note what this actor is about to do, or was refused. Raises Problem 503 when it cannot be noted: then do nothing.

    `once_within`: not again what was noted within that time, for what a browser asks for in many parts.
    """
    try:
        given.trail.append(
            actor=actor.name,
            role=actor.role.value,
            address=actor.address,
            what=what,
            on=on,
            outcome=outcome,
            more={name: value for name, value in more.items() if value},
            once_within=once_within,
        )
    except NotNoted as error:
        _log.error("%s", error)
        raise Problem(
            503, "audit-unavailable", "it cannot be noted who does this", headers={"Retry-After": "5"}
        ) from None


def limit(given: Parts, actor: Actor, kind: Limited) -> None:
    """Count one such request of this actor. Raises Problem 429. Without keys nobody can be told apart, and nobody is limited."""
    if has_keys(given):
        _within(given, kind, actor.name)


def limit_logins(given: Parts, address: str) -> None:
    """Count one login from this address, whether it will be right or wrong. Raises Problem 429."""
    _within(given, Limited.LOGIN, address)


def has_keys(given: Parts) -> bool:
    """Whether this installation has keys at all."""
    return given.keys is not None and given.keys.any()


def may_unmask(given: Parts, actor: Actor, *, reason: str) -> None:
    """Whether this actor may see originals, for this reason. Raises Problem 403, 422, 429."""
    if not actor.role.covers(Role.OPERATOR):
        raise Problem(403, "role-too-small", f"to see originals needs the role operator, the key has {actor.role}")
    if not reason.strip():
        fault = {"field": "reason", "in": "query", "message": "to see the original needs a reason"}
        raise Problem(422, "invalid-request", "reason: to see the original needs a reason", more={"errors": [fault]})
    limit(given, actor, Limited.UNMASK)


def address_of(request: HTTPConnection) -> str:
    """Where the asker sits: behind a proxy of this machine what that proxy says, else the address that connected."""
    return request.client.host if request.client else ""


def who_asks(request: HTTPConnection, given: Parts) -> Actor:
    """The asker, by bearer key or session. Without any keys it is whoever sits at this machine. Raises Problem 401, 429."""
    address = address_of(request)
    if given.keys is None or not given.keys.any():
        name = unquote(request.headers.get("x-operator", ""))[:64].strip()
        return Actor(name if name.isprintable() and name else "operator", Role.ENGINEER, address=address)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and (actor := given.keys.actor(token.strip())):
        return replace(actor, address=address)
    cookie = request.cookies.get(COOKIE)
    if not scheme and cookie and (actor := given.keys.session(cookie)):
        return replace(actor, address=address)
    if scheme:
        _note_wrong_key(given, address)
    raise Problem(
        401,
        "key-needed",
        "this needs a key: Authorization: Bearer …, or a session from POST /v1/session",
        headers={"WWW-Authenticate": 'Bearer realm="citybrain"'},
    )


def needs(*roles: Role) -> Callable[..., Actor]:
    """A dependency that lets in whose role covers any of these."""

    def asker(request: HTTPConnection, given: Given) -> Actor:
        actor = who_asks(request, given)
        if not any(actor.role.covers(role) for role in roles):
            if request.scope.get("method", "GET") not in _SAFE:
                path = f"{request.scope['method']} {request.url.path}"
                audit(given, actor, "access", path, outcome="refused", once_within=_WRONG_KEY_AGAIN)
            raise Problem(403, "role-too-small", f"this needs the role {' or '.join(roles)}, the key has {actor.role}")
        return actor

    return asker


def _note_wrong_key(given: Parts, address: str) -> None:
    """Who tries keys is noted, once a minute for each address, and soon told to wait."""
    nobody = Actor("", Role.VIEWER, address=address)
    audit(given, nobody, "access", "key", outcome="refused", once_within=_WRONG_KEY_AGAIN)
    _within(given, Limited.LOGIN, address)


def _within(given: Parts, kind: Limited, who: str) -> None:
    wait_s = given.limits.wait_s(kind, who)
    if wait_s:
        raise Problem(
            429,
            "too-many-requests",
            f"too many requests of this kind ({kind}); try again in {math.ceil(wait_s)} s",
            headers={"Retry-After": str(math.ceil(wait_s))},
            more={"limit": kind.value},
        )


Viewer = Annotated[Actor, Depends(needs(Role.VIEWER))]
Reader = Annotated[Actor, Depends(needs(Role.VIEWER, Role.PLATFORM))]
CaseReader = Annotated[Actor, Depends(needs(Role.VIEWER, Role.PLATFORM, Role.FIELD))]
CaseViewer = Annotated[Actor, Depends(needs(Role.VIEWER, Role.FIELD))]
OnTheSpot = Annotated[Actor, Depends(needs(Role.OPERATOR, Role.FIELD))]
Exporter = Annotated[Actor, Depends(needs(Role.OPERATOR, Role.PLATFORM))]
Operator = Annotated[Actor, Depends(needs(Role.OPERATOR))]
Engineer = Annotated[Actor, Depends(needs(Role.ENGINEER))]
