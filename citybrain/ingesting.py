"""The process that looks at cameras: all of its folder's, or its part of a city's that many processes share."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from citybrain import assembly, reading
from citybrain.assembly import Configuration
from citybrain.briefing import plan_of
from citybrain.clock import Clock, SystemClock
from citybrain.deployment import Deployment
from citybrain.evidence.choice import waiting_of
from citybrain.ports import Bus, HotStore
from citybrain.running import run_until_told
from citybrain.sharing import Sharing
from citybrain.watching import Watching, adopted_by, following
from ingest.clips import Clips
from ingest.network import Network
from ingest.open_files import allow_connections
from ingest.workers import WorkerPool, python

log = logging.getLogger(__name__)

_PIPELINE_FIRST = timedelta(seconds=20)


def run_ingest(config: Path, city: Deployment, *, workers: int | None = None, member: str | None = None) -> None:
    """The network process and its workers, until told to stop. `member`: the name that it keeps in the group over restarts."""
    ingest = _Ingest(config, city, workers=workers, name=_name(city, member))
    stop = asyncio.Event()
    run_until_told(ingest.alone(stop) if city.bus is None else ingest.shared(city.bus, stop, member=member), stop)


def _name(city: Deployment, member: str | None) -> str:
    """What its states and heartbeats are told under: of one machine's only ingest, `0`."""
    return member or ("0" if city.bus is None else f"{socket.gethostname()}-{os.getpid()}")


class _Ingest:
    """One network process, built."""

    def __init__(self, config: Path, city: Deployment, *, workers: int | None, name: str) -> None:
        self.name = name
        self.clock: Clock = SystemClock()
        self.hot: HotStore = city.open_hot()
        self.bus: Bus = city.open_bus()
        self.watching = self._watching(config, city, name)
        data = str(city.data.path)
        command = python("citybrain.worker", "--data", data, "--fd", "{fd}", "--worker", "{worker}")
        self.pool = WorkerPool(command, count=workers)
        self._evidence = city.open_evidence()
        self.clips = Clips(evidence=self._evidence, bus=self.bus, clock=self.clock)
        self._sharing: Sharing | None = None
        self.network = Network(
            plan_of(self.watching.current),
            workers=self.pool,
            bus=self.bus,
            hot=self.hot,
            clock=self.clock,
            clips=self.clips,
            name=name,
            beside=self._beside,
        )
        allow_connections(len(self.network.states()))

    def _watching(self, config: Path, city: Deployment, name: str) -> Watching:
        told: dict[str, Any] = {"role": "ingest", "clock": self.clock, "hot": self.hot}
        if city.bus is None:
            return Watching(config, accepted=city.data.accepted, read=reading.apart, **told)
        return Watching(
            config,
            accepted=city.data.accepted.with_stem("accepted-ingest"),  # it knows no cameras: of no use to others
            read_first=partial(assembly.read, cameras=False),
            read=partial(reading.apart, cameras=False),
            name=name,
            **told,
        )

    async def alone(self, stop: asyncio.Event) -> None:
        """Look at the folder's cameras."""

        async def adopt(configuration: Configuration) -> None:
            plan = await asyncio.to_thread(plan_of, configuration)
            await self._after_the_pipeline(configuration)
            changed = self.network.reconcile(plan)
            log.info(
                "cameras: %d added, %d changed (%d opened anew), %d removed",
                *map(len, (changed.added, changed.changed, changed.reopened, changed.removed)),
            )

        async with self._working(adopt, stop):
            await self.network.run(stop)

    async def shared(self, bus: str, stop: asyncio.Event, *, member: str | None) -> None:
        """Look at this process's part of the cameras that were published."""
        sharing = self._sharing = Sharing(
            bus,
            self.network,
            self.pool,
            configuration=self.watching.current,
            hot=self.hot,
            clock=self.clock,
            name=self.name,
            member=member,
        )
        end = asyncio.Event()

        async def adopt(configuration: Configuration) -> None:
            await self._after_the_pipeline(configuration)
            sharing.adopt(configuration)

        async with self._working(adopt, stop), asyncio.TaskGroup() as tasks:
            tasks.create_task(self.network.run(end))
            try:
                await sharing.run(stop)
            finally:
                end.set()

    def _beside(self) -> Mapping[str, Any]:
        spooled = {f"evidence.{name}": figure for name, figure in waiting_of(self._evidence).items()}
        if self._sharing is None:
            return spooled
        bus = {f"bus.{name}": figure for name, figure in self.bus.figures().items()}
        return {**self._sharing.figures(), **bus, **spooled}

    async def _after_the_pipeline(self, configuration: Configuration) -> None:
        """Looks of a camera that the pipeline does not know yet would be set aside."""
        await adopted_by("pipeline", configuration.revision, hot=self.hot, at_most=_PIPELINE_FIRST)

    @asynccontextmanager
    async def _working(
        self, adopt: Callable[[Configuration], Awaitable[None]], stop: asyncio.Event
    ) -> AsyncIterator[None]:
        try:
            async with following(self.watching, adopt, stop):
                yield
        finally:
            await self.clips.close()
            await asyncio.to_thread(self.bus.close)
