"""One worker of the pipeline on Kafka: its lanes, their commits, and the guards without which Faust loses messages.

A commit of a lane: its records are in the changelog ─► what it owes is in its topics ─► its offsets are acknowledged, the
contiguous prefix only. Whatever fails on the way ends the process: another worker, or this one begun anew, goes on from
what is durable.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from aiokafka.errors import IllegalStateError
from faust.types import TP, EventT

from citybrain.bus.address import KafkaAddress
from citybrain.bus.topics import CAMERAS_TABLE, LOCALITIES_TABLE
from citybrain.clock import Clock
from citybrain.ports import EvidenceStore, HotStore, Notifier
from citybrain.wire import CASE_EVENTS
from pipeline.flow import Pipeline
from pipeline.runners.figures import Sums
from pipeline.runners.kafka.app import Tuning, create_app
from pipeline.runners.kafka.camera_lane import CameraLane
from pipeline.runners.kafka.claims import Claiming, Claims
from pipeline.runners.kafka.held import Held, Holding
from pipeline.runners.kafka.holes import first_from
from pipeline.runners.kafka.lanes import Cut, Lane
from pipeline.runners.kafka.locality_lane import LocalityLane
from pipeline.runners.kafka.posting import Posting
from pipeline.runners.kafka.switch_lane import SwitchLane
from pipeline.runners.kafka.timekeeping import Timekeeping
from pipeline.runners.kafka.topics_there import topics_there
from pipeline.runners.kafka.watchdog import Watchdog

log = logging.getLogger(__name__)

_LAST_COMMIT_S = 4.0  # a partition that is taken away waits so long for its commit: less than a session
_MEND_S = 5.0  # a client that was put where the state is has so long to give the message that comes next
_MEND_EVERY_S = 0.5
_PIECE = 500  # records of a partition that are written before what is urgent has its turn
_PIECE_PLAIN = 8  # where each record is a request of its own
_TURNS = 8  # in which partitions are committed, lest all ask the broker at once
_AT_ONCE = 200  # states summed before the others have their turn


class KafkaWorker:
    """One process of the pipeline. `name` tells it from the others; `data` is its own folder, which may be lost.

    `evidence` is swept by whoever has the switch, after `keep_evidence`; `claims` keep and seal what cases show.
    """

    def __init__(
        self,
        address: KafkaAddress,
        pipeline: Pipeline,
        *,
        clock: Clock,
        data: Path,
        notifiers: Mapping[str, Notifier],
        evidence: EvidenceStore | None = None,
        claims: Claims | None = None,
        hot: HotStore | None = None,
        tuning: Tuning | None = None,
        keep_evidence: timedelta = timedelta(hours=6),
        name: str = "0",
    ) -> None:
        self._address, self._pipeline, self._clock = address, pipeline, clock
        self._piece = _PIECE_PLAIN if address.plain else _PIECE
        self._endpoints, self._notifiers = tuple(notifiers), notifiers
        self._data, self._name, self._tuning = data, name, tuning or Tuning()
        self._claiming = Claiming(claims)
        self._holding = Holding(address)
        self._watchdog = Watchdog(clock=clock, stuck_after=self._tuning.stuck_after, die=self._die)
        self._timekeeping = Timekeeping(
            held=lambda: self._holding,
            send=self._send,
            figures=self.figures,
            revision=lambda: self._pipeline.city.revision,
            clock=clock,
            tuning=self._tuning,
            name=name,
            hot=hot,
            evidence=evidence,
            keep_evidence=keep_evidence,
            claiming=self._claiming,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._counts = {"applied": 0, "rebalances": 0, "looks_expired": 0, "never_there": 0, "put_back": 0}

    async def run(self, stop: asyncio.Event) -> None:
        """Apply what comes, tell and post what follows, until told to stop; wait for a broker and its topics first."""
        self._partitions = await topics_there(self._address, stop)
        if not self._partitions:
            return
        self._urgent = asyncio.Event()
        parts = create_app(
            self._address,
            data=self._data,
            tuning=self._tuning,
            take=self._take,
            places=self._holding.places,
            began=self._holding.began,
        )
        self._app, self._tables = parts.app, parts.tables
        for name, table in parts.tables.items():
            table.recovered = self._recovered_of(name)
        self._app.on_partitions_revoked.connect(self._revoked, weak=False)
        self._posting = Posting(self._notifiers, clock=self._clock, say=self._say)
        self._watchdog.begin()
        chores = [asyncio.create_task(self._guarded(self._watchdog.stay_alive()))]
        await self._app.start()
        watching = self._watchdog.watch(
            self._holding.places, self._end_of, self._seek, lambda: bool(self._app.rebalancing)
        )
        chores += [
            asyncio.create_task(self._guarded(each))
            for each in (self._commit_for_ever(), self._timekeeping.run(), watching)
        ]
        posting = asyncio.create_task(self._posting.run(stop))
        await stop.wait()
        for each in chores:
            each.cancel()
        await self._close_lanes()
        await posting
        self._watchdog.end()
        await self._app.stop()

    def adopt(self, pipeline: Pipeline, *, keep_evidence: timedelta | None = None) -> None:
        """Judge by another configuration from the next message on. Call it in the loop that runs `run`."""
        self._pipeline = pipeline
        self._timekeeping.keep_evidence = keep_evidence or self._timekeeping.keep_evidence
        for held in self._holding:
            held.lane.adopt(pipeline)

    async def figures(self) -> dict[str, Any]:
        """What this worker counts of its partitions, as Embedded.figures does of all; the figures of all workers add up."""
        city, summed = self._pipeline.city, 0
        sums, aside = Sums(city.scenes), dict[str, int]()
        done, held_back, lag = dict[str, int](), 0, 0
        for held in self._holding:
            for topic, offset in held.done.items():
                done[topic] = done.get(topic, 0) + offset
                lag += max(0, (self._highwater(topic, held.partition) or 0) - offset)
            held_back += len(held.events)
            for kind, count in held.lane.set_aside().items():
                aside[kind] = aside.get(kind, 0) + count
            for name in held.lane.names() if isinstance(held.lane, CameraLane | LocalityLane) else ():
                summed += 1
                if summed % _AT_ONCE == 0:
                    await asyncio.sleep(0)
                if self._holding.get(held.stage, held.partition) is not held:
                    break  # its table is somebody else's now
                if isinstance(held.lane, LocalityLane):
                    sums.locality(held.lane.locality(name))
                elif isinstance(held.lane, CameraLane) and name in city.cameras:
                    sums.camera(held.lane.camera(name))
        return {
            **self._counts,
            "lag": lag,
            **sums.figures(),
            "set_aside": aside,
            "partitions": sum(1 for _ in self._holding),
            "held": held_back,
            "done": done,
            **self._posting.figures(),
            "claims_owed": self._claiming.owed,
        }

    # -- messages in --------------------------------------------------------------------------------------------------

    async def _take(self, stage: str, event: EventT[Any]) -> None:
        try:
            await self._take_message(stage, event)
        except Exception as error:  # noqa: BLE001  # Faust would restart the agent past what it has not acknowledged
            self._die(f"a message of {event.message.tp} could not be taken: {error!r}")

    async def _take_message(self, stage: str, event: EventT[Any]) -> None:
        message = event.message
        held = self._holding.get(stage, message.partition)
        if held is None or message.generation_id != self._app.consumer_generation_id:
            return  # left over from before a rebalance: it comes again, to whoever has its partition
        topic = self._address.name_of(message.topic)
        expected = held.expected[topic]
        if expected is None or message.offset < expected:
            return  # before reading was put in its place, or here already: its first coming will be acknowledged
        if message.offset != expected and not await self._goes_on_at(held, message.tp, expected, message.offset):
            return
        held.sought.discard(topic)
        held.expected[topic] = message.offset + 1
        held.lane.take(topic, message.offset, (message.key or b"").decode("utf-8", "replace"), message.value or b"")
        held.events.append(event)
        self._counts["applied"] += 1
        if held.lane.urgent:
            self._urgent.set()
        if len(held.events) >= self._tuning.most_held:
            await self._commit(held, whole=True)

    async def _goes_on_at(self, held: Held, tp: TP, expected: int, found: int) -> bool:
        """Messages are missing: whether to go on without them. When the broker has removed them it is told and counted.

        Else the client is not where the state is: what it had fetched meanwhile still arrives, and is passed over.
        """
        topic = self._address.name_of(tp.topic)
        if topic in held.sought:
            return False
        held.sought.add(topic)
        first = (await self._app.consumer.earliest_offsets(tp)).get(tp)
        if first == found:
            self._counts["looks_expired"] += found - expected
            log.error("%s/%d: %d messages were removed before they were read", tp.topic, tp.partition, found - expected)
            return True
        log.warning("%s/%d: expected offset %d, got %d", tp.topic, tp.partition, expected, found)
        self._beside(self._put_back(held, tp, expected, found))
        return False

    async def _put_back(self, held: Held, tp: TP, expected: int, found: int) -> None:
        """Until the message comes, again and again: what Faust was just handing on moves its mark behind our back.

        Should it never come, and another client be given the later one too, the broker does not have it, and never said so.
        """
        topic, until_s = self._address.name_of(tp.topic), self._clock.monotonic() + _MEND_S
        while self._holding.get(held.stage, held.partition) is held and held.expected[topic] == expected:
            if self._clock.monotonic() > until_s:
                if expected == found or await first_from(self._address.client(), tp, expected) != found:
                    self._die(f"{tp.topic}/{tp.partition}: expected offset {expected}, got {found}")
                if held.expected[topic] != expected:
                    return  # it came meanwhile
                log.error("%s/%d: the broker has nothing from %d to %d", tp.topic, tp.partition, expected, found - 1)
                self._counts["never_there"] += found - expected
                held.expected[topic] = expected = found
                held.sought.discard(topic)
                until_s = self._clock.monotonic() + _MEND_S
            await self._seek(tp, expected)
            await asyncio.sleep(_MEND_EVERY_S)

    async def _seek(self, tp: TP, offset: int) -> None:
        log.warning("%s/%d: back to %d", tp.topic, tp.partition, offset)
        self._counts["put_back"] += 1
        with suppress(IllegalStateError):  # the partition is just taken away: its next owner knows where it goes on
            await self._app.consumer.seek(tp, offset)

    # -- commits ------------------------------------------------------------------------------------------------------

    async def _commit_for_ever(self) -> None:
        """What is urgent at once, by itself; everything each `commit_every`, the partitions by turns."""
        turn_s = self._tuning.commit_every.total_seconds() / _TURNS
        turn, turns_at = 0, self._clock.monotonic() + turn_s
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, turns_at - self._clock.monotonic())):
                    await self._urgent.wait()
            self._urgent.clear()
            turned = self._clock.monotonic() >= turns_at
            if turned:
                turn, turns_at = (turn + 1) % _TURNS, self._clock.monotonic() + turn_s
            for held in self._holding:
                held.whole_due |= turned and held.partition % _TURNS == turn
                if (held.whole_due or held.lane.urgent) and (held.committer is None or held.committer.done()):
                    held.committer = asyncio.create_task(self._guarded(self._commit_what_is_due(held)))

    async def _commit_what_is_due(self, held: Held) -> None:
        """Each lane by itself: one that waits for its pictures holds up no other."""
        while not held.closed and (held.whole_due or held.lane.urgent):
            whole, held.whole_due = held.whole_due, False
            await self._commit(held, whole=whole)

    async def _commit(self, held: Held, *, whole: bool) -> None:
        async with held.committing:
            if held.closed:
                return
            if not whole:
                await self._carry_out(held, held.lane.cut(whole=False))
                return
            events, held.events = held.events, []
            due = held.lane.due()
            for start in range(0, max(1, len(due.names)), self._piece):
                await self._carry_out(held, held.lane.piece(due.names[start : start + self._piece]))
                if held.lane.urgent:  # it does not wait for the rest
                    await self._carry_out(held, held.lane.cut(whole=False))
            await self._carry_out(held, due.closing)
            for event in events:  # in the order of their coming: the contiguous prefix, and nothing beyond it
                event.ack()
            held.done = dict(due.places)

    async def _carry_out(self, held: Held, cut: Cut) -> None:
        async with asyncio.timeout(self._tuning.stuck_after.total_seconds()):
            await self._tables[held.stage].write(held.partition, cut.records)
            await self._tell(cut)
        held.lane.told(cut)
        if not held.closed:
            self._posting.post(cut.posts)

    async def _tell(self, cut: Cut) -> None:
        await asyncio.gather(*(self._claiming.claim(each.body) for each in cut.owed if each.topic == CASE_EVENTS))
        sent = [await self._send(each.topic, each.key, each.body, partition=each.partition) for each in cut.owed]
        await asyncio.gather(*sent)

    async def _send(self, topic: str, key: str, value: bytes, *, partition: int | None = None) -> Any:
        producer = await self._app.maybe_start_producer()
        return await producer.send(self._address.topic(topic), key.encode(), value, partition, None, None)

    def _say(self, topic: str, key: str, value: bytes) -> None:
        async def send() -> None:
            async with asyncio.timeout(self._tuning.stuck_after.total_seconds()):
                await (await self._send(topic, key, value))

        self._beside(send())

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- partitions ---------------------------------------------------------------------------------------------------

    def _recovered_of(self, stage: str) -> Any:
        async def recovered(partitions: set[int]) -> None:
            try:
                self._open_lanes(stage, partitions)
            except Exception as error:  # noqa: BLE001  # Faust would go on without the lanes
                self._die(f"the stored states of {stage} cannot be used: {error!r}")

        return recovered

    def _open_lanes(self, stage: str, partitions: set[int]) -> None:
        self._holding.drop(stage)
        self._counts["rebalances"] += 1
        for partition in sorted(partitions):
            self._holding.put(Held.begin(stage, partition, self._lane(stage, partition)))
        log.info("%s: partitions %s are ours", stage, sorted(partitions))
        self._urgent.set()

    def _lane(self, stage: str, partition: int) -> Lane:
        stored = self._tables[stage].stored(partition)
        if stage == CAMERAS_TABLE:
            return CameraLane(self._pipeline, stored, partition=partition, clock=self._clock)
        if stage == LOCALITIES_TABLE:
            return LocalityLane(
                self._pipeline, stored, partition=partition, endpoints=self._endpoints, clock=self._clock
            )
        return SwitchLane(self._pipeline, stored, partition=partition, partitions=self._partitions, clock=self._clock)

    async def _revoked(self, _: Any, revoked: set[TP], **__: Any) -> None:
        """The group gives its partitions out anew: finish what is under way, then know nothing that is not durable."""
        await self._close_lanes()

    async def _close_lanes(self) -> None:
        lanes = self._holding.take_all()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_COMMIT_S):
                for held in lanes:
                    async with held.committing:
                        held.closed = True
        for held in lanes:
            held.closed = True
            if held.committer is not None:
                held.committer.cancel()  # it took too long: somebody else tells it, from what is durable
        self._posting.forget()

    # -- guards ---------------------------------------------------------------------------------------------------------

    async def _end_of(self, tp: TP) -> int | None:
        return (await self._app.consumer.highwaters(tp)).get(tp)  # type: ignore[no-any-return]  # Faust is untyped

    def _highwater(self, topic: str, partition: int) -> int | None:
        tp = TP(self._address.topic(topic), partition)
        return self._app.consumer.highwater(tp) if tp in self._app.consumer.assignment() else None

    async def _guarded(self, work: Any) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  # nothing here may stop in silence
            self._die(f"{type(error).__name__}: {error}")

    def _die(self, reason: str) -> None:
        """End at once, as a crash would: what is durable is right, and whoever comes next goes on from there."""
        log.critical("pipeline worker %s ends: %s", self._name, reason, exc_info=True)  # noqa: LOG014  # also called outside handlers
        logging.shutdown()
        os._exit(1)
