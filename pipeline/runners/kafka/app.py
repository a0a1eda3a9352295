"""The Faust app and its topics, made by a function: importing this starts nothing and speaks to nobody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import faust
from faust.types import EventT
from yarl import URL

from citybrain.bus.address import LINGER_MS, KafkaAddress
from citybrain.bus.topics import CAMERAS_TABLE, LOCALITIES_TABLE, PIPELINE, SWITCH_TABLE
from pipeline.runners.kafka.camera_lane import CameraLane
from pipeline.runners.kafka.locality_lane import LocalityLane
from pipeline.runners.kafka.places import Began, Places, transport
from pipeline.runners.kafka.switch_lane import SwitchLane
from pipeline.runners.kafka.table import RecordTable

SOURCES: Mapping[str, Sequence[str]] = {
    CAMERAS_TABLE: CameraLane.sources,
    LOCALITIES_TABLE: LocalityLane.sources,
    SWITCH_TABLE: SwitchLane.sources,
}
"""What each stage reads, by the name of its table."""
_OFFSETS_EVERY_S = 1.0  # the group's offsets are for those who look from outside: here the tables say where it goes on
Take = Callable[[str, EventT[Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Tuning:
    """How a worker keeps time. `commit_every` bounds what a crash makes it read again; what is told never waits for it."""

    store: str = "rocksdb"
    standbys: int = 1
    session: timedelta = timedelta(seconds=6)
    heartbeat: timedelta = timedelta(seconds=1)
    commit_every: timedelta = timedelta(seconds=4)
    tick_every: timedelta = timedelta(seconds=10)
    beat_every: timedelta = timedelta(seconds=1)
    sweep_every: timedelta = timedelta(minutes=1)
    stuck_after: timedelta = timedelta(seconds=30)
    most_held: int = 5000
    """Messages of one partition that may wait for their commit before reading pauses."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The app and its tables, by the stage that owns them."""

    app: faust.App
    tables: dict[str, RecordTable]


def create_app(address: KafkaAddress, *, data: Path, tuning: Tuning, take: Take, places: Places, began: Began) -> Parts:
    """An app that hands every message to `take` with its stage's table name, and acknowledges nothing by itself.

    `places` says where each partition goes on, `began` hears where it did.
    """
    data.mkdir(parents=True, exist_ok=True)
    app = faust.App(
        address.topic(PIPELINE),
        broker=[URL(f"kafka://{each}") for each in address.brokers],
        broker_credentials=_credentials(address),
        datadir=str(data),
        store="rocksdb://" if tuning.store == "rocksdb" else "memory://",
        processing_guarantee="at_least_once",
        broker_session_timeout=tuning.session.total_seconds(),
        broker_heartbeat_interval=tuning.heartbeat.total_seconds(),
        broker_commit_interval=_OFFSETS_EVERY_S,
        consumer_auto_offset_reset="earliest",
        table_standby_replicas=tuning.standbys,
        stream_wait_empty=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        producer_linger=0 if address.plain else LINGER_MS / 1000,
        producer_max_batch_size=1 if address.plain else 16_384,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    placed = transport(app.conf.broker_consumer, app, places, began, address)
    app.transport = app.producer_transport = placed

    def topic(*names: str) -> Any:
        raw = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
        return app.topic(*(address.topic(name) for name in names), **raw)

    def table(name: str) -> RecordTable:
        made = RecordTable(app, name=name, key_type=bytes, value_type=bytes)
        app.tables.add(made)
        return made

    def stage(name: str) -> RecordTable:
        async def work(stream: Any) -> None:
            async for event in stream.noack().events():
                await take(name, event)

        app.agent(topic(*SOURCES[name]), name=name)(work)
        return table(name)

    return Parts(app, {name: stage(name) for name in SOURCES})


def _credentials(address: KafkaAddress) -> Any:
    """As Faust wants to be told who we are; None where brokers ask nobody."""
    context = None if address.tls is None else address.tls.context()
    if address.login is not None:
        login = address.login
        return faust.SASLCredentials(
            username=login.user, password=login.password, mechanism=login.mechanism, ssl_context=context
        )
    return None if context is None else faust.SSLCredentials(context)
