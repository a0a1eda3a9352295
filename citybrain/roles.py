"""The processes of one machine: network, pipeline and API, each built from the configuration and a data folder."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import uvloop
from pydantic import SecretStr

from citybrain import reading
from citybrain.assembly import Configuration
from citybrain.bus.address import KafkaAddress
from citybrain.bus.local import connect
from citybrain.clock import Clock, SystemClock
from citybrain.database import Database
from citybrain.delivery.outbox import SCHEMA as OUTBOX
from citybrain.delivery.outbox import Outbox
from citybrain.deployment import Deployment
from citybrain.map_layer import MapFile
from citybrain.piping import run_worker
from citybrain.ports import Notifier, Nudges
from citybrain.rehearsing import LogRehearsal
from citybrain.running import run_until_told
from citybrain.watching import Watching, follow_beside, following
from citybrain.zone_files import ConfiguredZones
from events_api.app import create_app
from events_api.audit import AuditTrail
from events_api.dead_letters import LoggedDeadLetters
from events_api.personal import Reporters
from events_api.ports import DeadLetter
from events_api.registry import Registry
from events_api.server import Server
from events_api.store.choice import open_cases, open_keys
from events_api.subscriptions.shares import SqlShares
from events_api.subscriptions.store import Subscriptions
from events_api.subscriptions.telling import Terms
from pipeline.notifiers import webhook
from pipeline.runners.embedded import Embedded, Upkeep, with_hold

log = logging.getLogger(__name__)

DISPATCH = "dispatch"


def run_pipeline(config: Path, city: Deployment, *, dispatch: str | None, member: str | None = None) -> None:
    """The pipeline and its sender, until told to stop: all of it, or with a bus the part that this worker is given."""
    notifiers: Mapping[str, Notifier] = {DISPATCH: _desk(dispatch, city)} if dispatch else {}
    if city.bus is not None:
        run_worker(config, city, city.bus, notifiers=notifiers, member=member)
        return
    clock, hot, data = SystemClock(), city.open_hot(), city.data
    watching = Watching(config, role="pipeline", clock=clock, hot=hot, accepted=data.accepted, read=reading.apart)
    embedded = Embedded(
        data.database,
        watching.current.pipeline(),
        clock=clock,
        notifiers=notifiers,
        evidence=city.open_evidence(),
        hot=hot,
        upkeep=with_hold(Upkeep(), watching.current.longest_hold),
        signer=city.signer(),
    )
    stop = asyncio.Event()

    async def adopt(configuration: Configuration) -> None:
        embedded.adopt(configuration.pipeline(), upkeep=with_hold(Upkeep(), configuration.longest_hold))

    async def work() -> None:
        async with following(watching, adopt, stop):
            await embedded.run(stop)

    run_until_told(work(), stop)
    embedded.close()


def run_api(config: Path, city: Deployment, *, host: str, port: int, webhooks_to: Sequence[str] = ()) -> None:
    """The events API and the wall, until told to stop. `webhooks_to`: where subscribers' URLs may lead beside public addresses."""
    clock, hot, evidence, data = SystemClock(), city.open_hot(), city.open_evidence(), city.data
    bus, log_of_looks = city.open_bus(), data.database if city.bus is None else KafkaAddress.parse(city.bus)
    name = "0" if city.database is None else f"{socket.gethostname()}-{os.getpid()}"
    watching = Watching(config, role="api", clock=clock, hot=hot, accepted=data.accepted, read=reading.apart, name=name)
    shared = city.open_database(role="api")
    # Whoever tells subscribers waits for no disk: what a power cut takes is judged and told again.
    telling = city.open_database(role="api, telling", durable=False) or Database.file(data.subscriptions, durable=False)
    app = create_app(
        bus=bus,
        store=open_cases(shared, data.view),
        subscriptions=Subscriptions(shared or Database.file(data.subscriptions), clock=clock, telling=telling),
        shares=None if shared is None else SqlShares(telling, clock=clock),
        webhooks=Terms(allow=tuple(webhooks_to)),
        hot=hot,
        nudges=hot if isinstance(hot, Nudges) else None,
        evidence=evidence,
        cameras=watching.current.views.values(),
        scenes=watching.current.scene_infos(),
        keys=open_keys(shared, data.keys, clock=clock),
        clock=clock,
        dead_letters=OutboxDeadLetters(data.database, clock)
        if city.bus is None
        else LoggedDeadLetters(bus, clock=clock),
        dispatch_secret=city.dispatch_secret(),
        map_file=MapFile(config),
        zone_files=ConfiguredZones(config, before=data.zones_before, clock=clock),
        rehearsal=LogRehearsal(log_of_looks, lambda: watching.current, clock=clock),
        reporters=Reporters(shared or Database.file(data.reporters)),
        trail=AuditTrail(shared or Database.file(data.audit), clock=clock),
        signer=city.signer(),
        seals=city.seals_of(evidence),
        masking=watching.current.masking,
        name=name,
        host=host,
    )
    server, registry = Server(app, host=host, port=port), app.state.parts.registry
    _adopt(registry, watching.current)
    stop = follow_beside(watching, partial(_adopt, registry))
    uvloop.install()
    server.run()
    stop.set()
    if not server.started:
        sys.exit(1)


def _adopt(registry: Registry, configuration: Configuration) -> None:
    registry.adopt(
        configuration.views.values(),
        configuration.scene_infos(),
        masking=configuration.masking,
        areas=configuration.areas.districts,
        silences=configuration.routes.kept_silent,
        timezone=configuration.routes.timezone,
    )


class OutboxDeadLetters:
    """The outbox's dead letters as the API shows them."""

    def __init__(self, database: Path, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def all(self, *, limit: int) -> Sequence[DeadLetter]:
        with self._open() as connection:
            return [
                DeadLetter(each.id, each.endpoint, each.case, each.attempts, each.reason, each.due_at)
                for each in Outbox(connection, clock=self._clock).dead(limit)
            ]

    def count(self) -> int:
        with self._open() as connection:
            return int(Outbox(connection, clock=self._clock).figures()["dead"])

    def resend(self, id: str) -> bool:
        with self._open() as connection:
            return Outbox(connection, clock=self._clock).resend(id) > 0

    def _open(self) -> _Closing:
        return _Closing(self._database)


class _Closing:
    """A connection for one request: the API has several threads and asks seldom."""

    def __init__(self, database: Path) -> None:
        self._connection = connect(database, durable=True)
        self._connection.executescript(OUTBOX)

    def __enter__(self) -> sqlite3.Connection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _desk(url: str, city: Deployment) -> Notifier:
    """The dispatch system that the operator named: its address may be anywhere, loopback included."""
    secret = SecretStr(city.dispatch_secret())
    config = webhook.Config(
        url=url,
        secret=secret,
        timeout=timedelta(seconds=10),
        allow=("loopback", "private", "link-local"),
    )
    return webhook.build(config)
