"""What a worker does by the clock: it tells its partitions that time went by or that they are judged anew, and beats."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from citybrain.bus.topics import CAMERA_COMMANDS, CAMERAS_TABLE, LOCALITY_COMMANDS, SWITCH_TABLE
from citybrain.clock import Clock, iso
from citybrain.domain.command import Command, Configured, Tick
from citybrain.errors import Permanent, Transient
from citybrain.ports import EvidenceStore, HotStore
from citybrain.wire import dumps, write_command
from pipeline.runners.figures import flat
from pipeline.runners.kafka.app import Tuning
from pipeline.runners.kafka.claims import Claiming
from pipeline.runners.kafka.forwarded import write_forwarded
from pipeline.runners.kafka.held import Held
from pipeline.runners.kafka.locality_lane import LocalityLane
from pipeline.runners.kafka.watchdog import ALIVE_S

log = logging.getLogger(__name__)

_SLOWEST_BEAT = timedelta(seconds=5)


class Send(Protocol):
    def __call__(self, topic: str, key: str, value: bytes, *, partition: int | None = None) -> Awaitable[Any]:
        """Returns what is to be awaited until the broker has it."""
        ...


@dataclass(slots=True)
class Timekeeping:
    """One worker's. Pictures that no case claimed are removed by whoever has the switch, after `keep_evidence`."""

    held: Callable[[], Iterable[Held]]
    send: Send
    figures: Callable[[], Awaitable[dict[str, Any]]]
    revision: Callable[[], str]
    clock: Clock
    tuning: Tuning
    name: str
    hot: HotStore | None
    evidence: EvidenceStore | None
    keep_evidence: timedelta
    claiming: Claiming
    _beat_every: timedelta = timedelta()
    _jobs: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def run(self) -> None:
        now = self.clock.now()
        next_at = {"tick": now + self.tuning.tick_every, "beat": now, "sweep": now + self.tuning.sweep_every}
        while True:
            await asyncio.sleep(min(ALIVE_S, self.tuning.beat_every.total_seconds()))
            now = self.clock.now()
            await self._configure(now)
            if now >= next_at["tick"]:
                next_at["tick"] = now + self.tuning.tick_every
                await self._tick(now)
            if now >= next_at["beat"]:
                next_at["beat"] = now + max(self.tuning.beat_every, self._beat_every)
                self._beside("beat", self._beat)
                self._beside("claims", self.claiming.settle)
            if now >= next_at["sweep"]:
                next_at["sweep"] = now + self.tuning.sweep_every
                self._beside("sweep", self._sweep)

    async def _tick(self, now: datetime) -> None:
        for held in self.held():
            if isinstance(held.lane, LocalityLane) and held.lane.any_open():
                await self._say(held, Tick(f"tick-{int(now.timestamp())}", now))

    async def _configure(self, now: datetime) -> None:
        """A partition that was last judged by another configuration is told of ours, once."""
        revision = self.revision()
        for held in self.held():
            if held.lane.out_of_date and held.configured != revision:
                held.configured = revision
                await self._say(held, Configured(f"configured-{revision}-{int(now.timestamp())}", now, revision))

    async def _say(self, held: Held, command: Command) -> None:
        topic = CAMERA_COMMANDS if held.stage == CAMERAS_TABLE else LOCALITY_COMMANDS
        value = write_forwarded(write_command(command))
        await (await self.send(topic, command.id, value, partition=held.partition))

    def _beside(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Beside all else, and not twice at a time: a store may take long, or hang."""
        running = self._jobs.get(name)
        if running is None or running.done():
            self._jobs[name] = asyncio.create_task(_told(name, work()))

    async def _beat(self) -> None:
        if self.hot is None:
            return
        began_s, now = self.clock.monotonic(), self.clock.now()
        beat = {"at": iso(now), "pid": os.getpid(), "figures": flat(await self.figures())}
        # Summing over thousands of cameras takes a while: never more than a twentieth of the time.
        took = timedelta(seconds=self.clock.monotonic() - began_s)
        self._beat_every = min(_SLOWEST_BEAT, took * 20)
        ttl = max(self.tuning.beat_every, self._beat_every) * 10
        await asyncio.to_thread(self.hot.put, f"heartbeat/pipeline/{self.name}", dumps(beat), ttl=ttl)

    async def _sweep(self) -> None:
        if self.evidence is not None and any(held.stage == SWITCH_TABLE for held in self.held()):
            await asyncio.to_thread(self.evidence.sweep, before=self.clock.now() - self.keep_evidence)


async def _told(name: str, work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except (Transient, Permanent, OSError) as error:  # comforts, tried again; the cases go on
        log.warning("%s of the pipeline: %s", name, error)
