"""One ingest process of several: what the topic `cameras` and the group say is made a plan for its network process.

group ─┐                                             folder: scenes, detectors, safety
       ├─► Share ── a part ──► cameras out of entries ─┴─► plan ──► Network.reconcile
topic ─┘                       what cannot be served here is told as refused
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from citybrain.assembly import Configuration
from citybrain.briefing import plan_of
from citybrain.bus.address import KafkaAddress
from citybrain.bus.farewell import Farewell
from citybrain.bus.topics import needs_package
from citybrain.clock import Clock
from citybrain.errors import Unreadable
from citybrain.ports import HotStore
from citybrain.wire import loads
from citybrain.wire.cameras import CAMERAS, Registered, read_registered
from ingest.config import CameraSettings
from ingest.network import Network
from ingest.open_files import allow_connections
from ingest.plan import Plan
from ingest.registered import FAULTY, Registry, Unusable
from ingest.sharing import Part, Share, Sharer, shared_out
from ingest.states import State
from ingest.workers import WorkerPool

log = logging.getLogger(__name__)

GROUP = "ingest"
FAREWELL_S = 8.0
"""How long at most a process that was told to stop goes on looking after it has said goodbye: until the others see."""

_RELIEVED_EVERY_S = 0.5
_LOOK_EVERY_S = 2.0
_WARM_S = 90.0


class Sharing:
    """This process's part in looking at a city's cameras (`citybrain.bus.group.Follows`)."""

    def __init__(
        self,
        bus: str,
        network: Network,
        pool: WorkerPool,
        *,
        configuration: Configuration,
        hot: HotStore,
        clock: Clock,
        name: str,
        member: str | None = None,
    ) -> None:
        """`name` is that of the network process. Raises UsageError when the package for it is missing."""
        address = KafkaAddress.parse(bus)
        try:
            from citybrain.bus.group import Group
        except ImportError:
            raise needs_package(address) from None
        self._network, self._pool, self._clock, self._configuration = network, pool, clock, configuration
        self._hot, self._name = hot, name
        self._share, self._part, self._plan = Share(), Part(-1, {}, {}), plan_of(configuration)
        self._relieved: frozenset[str] = frozenset()
        self._registry = Registry(configuration.folder)
        self._variables, self._variables_s = self._registry.fingerprint(), clock.monotonic()
        self._made: dict[str, tuple[bytes, CameraSettings | Unusable]] = {}
        self._stale = False
        self._woken = asyncio.Event()
        self._farewell = Farewell(bus, GROUP) if member is None else None  # who keeps a name is to come back to it
        joined = self._farewell.tell if self._farewell is not None else lambda _member: None
        self._group = Group(address, CAMERAS, name=GROUP, follows=self, clock=clock, member=member, joined=joined)
        self._said_away = False

    async def run(self, stop: asyncio.Event) -> None:
        """Take part until `stop` is set, and some seconds longer, in which the others take over."""
        tasks = [asyncio.create_task(each) for each in (self._take_part(), self._apply(), self._relieve())]
        taking_part, applying, _ = tasks
        try:
            await stop.wait()
            for each in (taking_part, applying):
                each.cancel()
            await asyncio.wait([taking_part, applying])
            self._part = Part(self._share.generation, {}, {**self._part.cameras, **self._part.leaving})
            self._reconcile(replace(self._plan, leaving=frozenset(self._part.leaving), unserved={}))
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    while self._network.states():  # noqa: ASYNC110  # until others see what we looked at
                        await asyncio.sleep(0.1)
        finally:
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._farewell is not None:
                await asyncio.to_thread(self._farewell.close)

    def adopt(self, configuration: Configuration) -> None:
        """The folder has changed: go on by this."""
        self._configuration, self._stale = configuration, True
        self._woken.set()

    def figures(self) -> Mapping[str, Any]:
        """What the heartbeat says of it."""
        return {
            "share.partitions": len(self._share.mine),
            "share.cameras": len(self._part.cameras),
            "share.leaving": len(self._part.leaving),
            "share.rounds": self._group.rounds,
            "share.away_s": round(self._group.away_s, 1),
        }

    # -- what the group asks and tells ----------------------------------------------------------------------------------

    def says(self) -> bytes:
        said = {"workers": self._pool.count, "has": sorted(self._share.mine), "generation": self._share.generation}
        return json.dumps(said).encode()

    def shared_out(self, partitions: Collection[int], members: Mapping[str, bytes]) -> Mapping[str, Collection[int]]:
        return shared_out(partitions, {name: _sharer(said) for name, said in members.items()})

    def assigned(self, partitions: Collection[int], *, generation: int) -> Mapping[int, int]:
        before = self._share.mine
        places = self._share.assigned(partitions, generation=generation, now_s=self._clock.monotonic())
        new, gone = len(self._share.mine - before), len(before - self._share.mine)
        log.info("round %d: %d partitions are ours, %d of them new; %d go", generation, len(places), new, gone)
        self._woken.set()
        return places

    def heard(self, partition: int, offset: int, key: str, value: bytes | None) -> None:
        self._share.heard(partition, offset, key, value, now_s=self._clock.monotonic())
        self._woken.set()

    def caught_up(self, partition: int) -> None:
        self._share.caught_up(partition, now_s=self._clock.monotonic())
        self._woken.set()

    # -- what is made of it -----------------------------------------------------------------------------------------------

    async def _take_part(self) -> None:
        """As soon as there is a worker to look at what we are given."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_WARM_S):
                while len(self._pool.away) == self._pool.count:  # noqa: ASYNC110  # workers are processes
                    await asyncio.sleep(0.1)
        await self._group.run()

    async def _relieve(self) -> None:
        """Leave the cameras that are others' as soon as those say how they find them."""
        while True:
            await asyncio.sleep(_RELIEVED_EVERY_S)
            left = set(self._part.leaving) - self._relieved
            try:
                seen = await asyncio.to_thread(self._seen_by_others, left) if left else set()
            except Exception:  # what is hot may be away: they are left when their time is up
                log.exception("nobody knows whether others see the cameras that we leave")
                continue
            if seen:
                self._relieved |= seen
                self._reconcile(self._plan)

    def _seen_by_others(self, cameras: Collection[str]) -> set[str]:
        found = set()
        for camera in cameras:
            with suppress(Unreadable):
                said = loads(self._hot.get(f"camera/{camera}") or b"{}")
                if said.get("by", self._name) != self._name and said.get("state") != State.CONNECTING.value:
                    found.add(camera)
        return found

    async def _apply(self) -> None:
        while True:
            try:
                await self._step()
            except Exception:  # the outermost loop of sharing: what is looked at goes on being looked at
                log.exception("the cameras could not be shared out")
                await asyncio.sleep(_LOOK_EVERY_S)

    async def _step(self) -> None:
        self._woken.clear()
        self._say_if_away()
        part = self._share.part(self._clock.monotonic())
        if self._stale or await self._have_secrets_changed():
            self._stale = False
            self._made.clear()
            part = part or self._part
        if part is not None:
            self._part, self._relieved = part, self._relieved & frozenset(part.leaving)
            plan = await asyncio.to_thread(self._planned, part, self._configuration)
            if part.generation == self._share.generation:  # else a newer one comes in a moment, and with it everything
                self._reconcile(plan)
        next_s = self._share.next_s()
        wait_s = _LOOK_EVERY_S if next_s is None else min(_LOOK_EVERY_S, max(0.01, next_s - self._clock.monotonic()))
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._woken.wait()

    async def _have_secrets_changed(self) -> bool:
        now_s, before = self._clock.monotonic(), self._variables
        if now_s - self._variables_s >= _LOOK_EVERY_S:
            self._variables, self._variables_s = await asyncio.to_thread(self._registry.fingerprint), now_s
        return self._variables != before

    def _planned(self, part: Part, configuration: Configuration) -> Plan:
        """In a thread: a thousand entries take a while."""
        cameras, unusable = self._settings({**part.cameras, **part.leaving}, configuration)
        plan = plan_of(replace(configuration, cameras=cameras))
        unserved = {id: each.reason for id, each in unusable.items() if id in part.cameras}
        return replace(plan, leaving=frozenset(part.leaving), unserved=unserved)

    def _settings(
        self, entries: Mapping[str, bytes], configuration: Configuration
    ) -> tuple[list[CameraSettings], dict[str, Unusable]]:
        new: dict[str, Registered] = {}
        unreadable: dict[str, Unusable] = {}
        for id, raw in entries.items():
            if id in self._made and self._made[id][0] == raw:
                continue
            try:
                new[id] = read_registered(raw)
            except Unreadable as error:
                unreadable[id] = Unusable(FAULTY, str(error))
        usable, unusable = self._registry.settings(new, detectors=configuration.detectors)
        for each in usable:
            self._made[each.id] = entries[each.id], each
        for id, why in {**unreadable, **unusable}.items():
            self._made[id] = entries[id], why
            log.error("camera %s cannot be looked at here: %s: %s", id, why.reason, why.detail)
        self._made = {id: self._made[id] for id in entries}
        made = {id: each for id, (_, each) in self._made.items()}
        return (
            [each for each in made.values() if not isinstance(each, Unusable)],
            {id: each for id, each in made.items() if isinstance(each, Unusable)},
        )

    def _reconcile(self, plan: Plan) -> None:
        self._plan = plan = replace(plan, cameras=[each for each in plan.cameras if each.id not in self._relieved])
        allow_connections(len(plan.cameras))
        changed = self._network.reconcile(plan)
        told = (changed.added, changed.changed, changed.reopened, changed.removed, plan.leaving, plan.unserved)
        if any(told):
            log.info(
                "round %d: %d cameras: %d added, %d changed (%d opened anew), %d removed, %d leaving, %d not to be looked at here",
                self._share.generation,
                len(plan.cameras),
                *map(len, told),
            )

    def _say_if_away(self) -> None:
        away = self._group.away_s > _LOOK_EVERY_S * 2
        if away and not self._said_away:
            log.warning(
                "no broker answers: the %d cameras that are ours go on being looked at", len(self._part.cameras)
            )
        elif self._said_away and not away:
            log.info("a broker answers again: %d cameras are ours", len(self._part.cameras))
        self._said_away = away


def _sharer(said: bytes) -> Sharer:
    """What a process said of itself; one that says something else is given its part all the same."""
    try:
        fields = json.loads(said)
        return Sharer(max(1, int(fields["workers"])), frozenset(map(int, fields["has"])), int(fields["generation"]))
    except (ValueError, KeyError, TypeError):
        return Sharer(1)
