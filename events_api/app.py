"""The events API and the wall, put together from the ports that it is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI

from citybrain.clock import Clock, SystemClock
from citybrain.database import Database
from citybrain.domain.camera import Camera
from citybrain.errors import UsageError
from citybrain.evidence.regions import Masking
from citybrain.evidence.seals import Seal
from citybrain.evidence.signer import Signer
from citybrain.map_layer import MapFile
from citybrain.ports import Bus, EvidenceStore, HotStore, Nudges
from events_api import problems
from events_api.audit import AuditTrail
from events_api.camera_history import CameraHistory
from events_api.camera_overview import CameraOverview
from events_api.drawing import Rehearsal, ZoneFiles
from events_api.examples import add_examples
from events_api.feed import Feed, Noticing
from events_api.guard import Guard, is_loopback
from events_api.limits import Limits
from events_api.open_cases import OpenCases
from events_api.parts import Parts
from events_api.personal import Reporters
from events_api.pictures import Pictures
from events_api.ports import CaseStore, DeadLetters, SceneInfo
from events_api.projector import Projector
from events_api.registry import Registry
from events_api.routes import (
    areas,
    bundles,
    camera_table,
    cases,
    configuration,
    dispatch,
    event_socket,
    events,
    health,
    live,
    overview,
    page,
    performance,
    photos,
    reports,
    sensors,
    session,
    silences,
    zones,
)
from events_api.routes import audit as audit_routes
from events_api.routes import cameras as camera_routes
from events_api.routes import evidence as evidence_routes
from events_api.routes import map as map_routes
from events_api.routes import subscriptions as subscription_routes
from events_api.routes import views as view_routes
from events_api.security import Keys
from events_api.shown_evidence import ShownEvidence
from events_api.silences import Silences
from events_api.subscriptions.deliverer import Deliverer
from events_api.subscriptions.shares import AllShares, Shares
from events_api.subscriptions.store import Subscriptions
from events_api.subscriptions.telling import Terms
from events_api.vitals import Vitals

_MAX_BODY = 64 * 1024


def create_app(
    *,
    bus: Bus,
    store: CaseStore,
    subscriptions: Subscriptions,
    hot: HotStore,
    evidence: EvidenceStore,
    cameras: Iterable[Camera],
    scenes: Iterable[SceneInfo],
    keys: Keys | None = None,
    clock: Clock | None = None,
    dead_letters: DeadLetters | None = None,
    dispatch_secret: str | None = None,
    figures: Callable[[], Mapping[str, float]] = dict,
    trail: AuditTrail | None = None,
    limits: Limits | None = None,
    zone_files: ZoneFiles | None = None,
    rehearsal: Rehearsal | None = None,
    map_file: MapFile | None = None,
    signer: Signer | None = None,
    seals: Callable[[str], Sequence[Seal]] = lambda _: (),
    masking: Masking | None = None,
    reporters: Reporters | None = None,
    webhooks: Terms | None = None,
    shares: Shares | None = None,
    nudges: Nudges | None = None,
    name: str = "0",
    host: str = "127.0.0.1",
) -> FastAPI:
    """The ASGI application for a server on `host`; its lifespan runs the projector and the deliverer. The caller closes the ports.

    `shares`: which subscribers this replica tells while others tell theirs; without, all of them.
    Without `masking` evidence is shown as it is; without `signer` what is exported is signed with a key that nobody keeps.
    `nudges` carries word to other replicas of the same view; without it they notice in a fraction of a second. `name` tells
    their heartbeats apart.
    `app.state.parts.registry` holds the cameras and scenes, and adopts others while the application runs.

    Raises UsageError for an address that others reach while there are no keys.
    """
    if not is_loopback(host) and (keys is None or not keys.any()):
        raise UsageError(f"{host} is reached by others: make a key first (citybrain keys add NAME --role operator)")
    feed, registry, history = Feed(store), Registry(cameras, scenes), CameraHistory()
    noticing = Noticing(feed, nudges)
    registry.adopt(registry.cameras.values(), registry.scenes, masking=masking)
    following = Silences(bus, store)
    parts = Parts(
        bus=bus,
        store=store,
        hot=hot,
        evidence=evidence,
        registry=registry,
        overview=CameraOverview(registry, hot, clock or SystemClock(), noticed=history.note),
        history=history,
        pictures=Pictures(hot, clock or SystemClock()),
        open_cases=OpenCases(store),
        map=map_file or MapFile(None),
        reporters=reporters or Reporters(Database.memory()),
        keys=keys,
        clock=clock or SystemClock(),
        dead_letters=dead_letters,
        dispatch_secret=dispatch_secret,
        figures=figures,
        projector=Projector(bus, store, announce=noticing.tell, beside=following.step),
        feed=feed,
        subscriptions=subscriptions,
        webhooks=webhooks or Terms(),
        shares=shares or AllShares(),
        silences=following,
        trail=trail or AuditTrail(Database.memory(), clock=clock or SystemClock()),
        limits=limits or Limits(clock or SystemClock()),
        shown=ShownEvidence(evidence, lambda: registry.masking),
        signer=signer or Signer.passing(),
        seals=seals,
        vitals=Vitals(hot, evidence, clock or SystemClock()),
        zone_files=zone_files,
        rehearsal=rehearsal,
    )
    app = FastAPI(
        title="citybrain",
        summary="Governance cases of a city, and the events that make them.",
        version="1",
        docs_url=None,  # /docs is a page of our own: FastAPI's loads its scripts from elsewhere
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.openapi = partial(_openapi, app)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    app.state.parts = parts
    app.state.noticing = noticing
    app.state.name = name
    app.state.streams = set()
    app.state.live = set()
    problems.install(app)
    app.add_middleware(Guard, loopback=is_loopback(host), max_body=_MAX_BODY)
    app.include_router(_v1())
    app.include_router(health.router)
    app.include_router(page.router)
    app.mount("/wall", page.WallFiles(), name="wall")
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is not None:  # made once, and kept by FastAPI
        return app.openapi_schema
    document = FastAPI.openapi(app)
    add_examples(document)
    document["x-problems"] = dict(problems.KINDS)
    return document


def _v1() -> APIRouter:
    router = APIRouter(prefix="/v1")
    for module in (
        audit_routes,
        bundles,  # before cases, whose ids take every path
        cases,
        events,
        event_socket,
        subscription_routes,
        zones,  # before cameras, whose ids take every path
        live,
        camera_table,
        camera_routes,
        map_routes,
        view_routes,
        overview,
        performance,
        areas,
        silences,
        configuration,
        evidence_routes,
        photos,
        reports,
        sensors,
        dispatch,
        session,
    ):
        router.include_router(module.router)
    return router


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    parts: Parts = app.state.parts
    parts.feed.start()
    app.state.noticing.start()
    parts.projector.start()
    deliverer = Deliverer(
        parts.subscriptions,
        parts.bus,
        clock=parts.clock,
        keys=parts.keys,
        hot=parts.hot,
        terms=parts.webhooks,
        shares=parts.shares,
        name=app.state.name,
    )
    deliverer.start()
    try:
        yield
    finally:
        await asyncio.to_thread(deliverer.stop)
        parts.feed.close()
        parts.projector.stop()
        app.state.noticing.stop()
