"""The network process: one task per camera, no codec in it; frames go to workers, states to everybody.

What a camera gives goes into its mailbox; idle workers pull from the mailboxes by deadline. A frame gets its `seq` when
a worker is given it, so that a frame lost with a killed worker leaves a gap. While a camera cannot be seen, a look that
says so (`usable: lost`) is published every few seconds: the pipeline's time goes on, and blind is not clear.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from citybrain import wire
from citybrain.clock import Clock, iso
from citybrain.domain.detection import Detections, Looked, Usable
from citybrain.domain.frame import Frame
from citybrain.errors import CameraGone, CityBrainError
from citybrain.ports import Bus, HotStore
from ingest.backoff import Backoff
from ingest.config import CameraSettings, build
from ingest.mailbox import Mailbox
from ingest.sampler import Sampler
from ingest.secrets import scrubbed
from ingest.states import CameraState, State, stale_after
from ingest.strikes import Strikes
from ingest.worker_port import Report
from ingest.workers import WorkerPool

log = logging.getLogger(__name__)

TICK_S = 1.0
BLIND_EVERY_S = 5.0
REPEAT_STATE_S = 5.0
STATE_TTL = timedelta(seconds=30)
NO_PICTURE_S = 15.0
"""How long a stream may go on giving pictures that nobody can decode before it is opened anew."""

_OPENS_A_SECOND = 200  # a whole district connecting at once would be a burst that its switches notice
_NOTHING_WAITS_S = 60.0
_HOPELESS_RUN = 3
_BACKSTOP_S = 30.0  # beyond every limit that a source keeps itself


async def run(
    cameras: Sequence[CameraSettings],
    *,
    workers: WorkerPool,
    bus: Bus,
    hot: HotStore,
    clock: Clock,
    stop: asyncio.Event,
) -> None:
    """Watch the cameras until `stop` is set. Returns with every stream left and every worker gone."""
    network = Network(cameras, workers=workers, bus=bus, hot=hot, clock=clock)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(workers.run(network)), group.create_task(network.tell())]
            tasks += [group.create_task(network.watch(settings.id)) for settings in cameras]
            await stop.wait()
            for task in tasks:
                task.cancel()
    finally:
        network.close()


@dataclass(slots=True)
class _Watched:
    """All that is known of one camera. Monotonic seconds end in `_s`."""

    settings: CameraSettings
    state: CameraState
    worker: int
    begun_s: float
    mailbox: Mailbox = field(default_factory=Mailbox)
    backoff: Backoff = field(default_factory=Backoff)
    seq: int = 0
    unreadable_since_s: float | None = None
    unreadable_run: int = 0
    blind_told_s: float = 0.0
    behind: timedelta = timedelta()
    told: bytes = b""
    told_s: float = float("-inf")

    def readable(self) -> None:
        self.unreadable_since_s, self.unreadable_run = None, 0

    def unreadable(self, now_s: float) -> None:
        self.unreadable_run += 1
        if self.unreadable_since_s is None:
            self.unreadable_since_s = now_s

    def hopeless(self, now_s: float) -> bool:
        """Whether nothing that came for a while could be decoded: a codec that changed in mid-stream is like this."""
        since_s = self.unreadable_since_s
        return since_s is not None and self.unreadable_run >= _HOPELESS_RUN and now_s - since_s > NO_PICTURE_S


class Network:
    """The cameras of one process, and the work they give (`ingest.workers.Work`), in one event loop."""

    def __init__(
        self, cameras: Sequence[CameraSettings], *, workers: WorkerPool, bus: Bus, hot: HotStore, clock: Clock
    ) -> None:
        self._workers, self._bus, self._hot, self._clock = workers, bus, hot, clock
        self._strikes = Strikes()
        self._samplers = [Sampler() for _ in range(workers.count)]
        self._cameras: dict[str, _Watched] = {}
        now, now_s = clock.now(), clock.monotonic()
        for index, settings in enumerate(cameras):
            worker = index % workers.count
            state = CameraState(settings.id, since_at=now)
            self._cameras[settings.id] = _Watched(settings, state, worker, now_s, blind_told_s=now_s)
            self._samplers[worker].add(settings.id, settings.look_every)
        # Bus and hot store write to disk: one thread for them, so that a slow disk slows no camera.
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tell")

    def close(self) -> None:
        self._writer.shutdown(wait=True)

    def states(self) -> list[CameraState]:
        return [each.state for each in self._cameras.values()]

    # -- cameras ------------------------------------------------------------------------------------------------------

    async def watch(self, camera: str) -> None:
        """Keep one camera open for ever."""
        each = self._cameras[camera]
        await asyncio.sleep(random.random() * len(self._cameras) / _OPENS_A_SECOND)
        while True:
            gone = await self._until_gone(each)
            changed = each.state.reason != gone.reason
            each.state.failed(gone.reason, self._clock.now())
            wait = each.backoff.wait()
            level = logging.WARNING if changed else logging.DEBUG
            log.log(level, "camera %s at %s: %s; again in %.1f s", camera, each.settings.masked_url, gone, wait)
            await asyncio.sleep(wait)
            each.state.reconnects += 1

    async def _until_gone(self, each: _Watched) -> CameraGone:
        try:
            await self._follow(each)
        except CameraGone as gone:
            return gone
        except CityBrainError as error:
            return CameraGone("source fault", type(error).__name__)
        except Exception as error:  # noqa: BLE001  # one camera's outermost loop: its fault is not the others'
            said = scrubbed(f"{type(error).__name__}: {error}", each.settings.url.get_secret_value())
            return CameraGone("source fault", said)
        return CameraGone("ended")

    async def _follow(self, each: _Watched) -> None:
        state, sampler = each.state, self._samplers[each.worker]
        limit = _BACKSTOP_S + 3 * each.settings.look_every.total_seconds()
        each.readable()
        async with aclosing(build(each.settings).frames()) as frames:  # type: ignore[type-var]  # ports say iterator
            while True:
                try:
                    async with asyncio.timeout(limit):
                        frame: Frame = await anext(frames)
                except TimeoutError:
                    raise CameraGone("silent") from None
                except StopAsyncIteration:
                    return
                if state.codec and state.codec != frame.codec:
                    log.warning("camera %s: codec changed from %s to %s", state.id, state.codec, frame.codec)
                state.codec, state.clock_ok = frame.codec, frame.clock_ok
                state.opened()
                each.mailbox.put(frame)
                state.overtaken = each.mailbox.overtaken
                sampler.offer(state.id, self._clock.monotonic())
                self._workers.wake(each.worker)
                if each.hopeless(self._clock.monotonic()):
                    raise CameraGone("no picture", "opened anew")

    # -- work for the workers -----------------------------------------------------------------------------------------

    def take(self, worker: int, limit: int) -> list[Frame]:
        now_s = self._clock.monotonic()
        sampler, frames = self._samplers[worker], list[Frame]()
        while len(frames) < limit and (ready := sampler.take(now_s, 1)):
            camera = ready[0]
            each = self._cameras[camera]
            suspected = self._strikes.suspected(camera, now_s)
            if suspected and frames:
                sampler.give_back(camera, now_s)
                break
            frame = each.mailbox.take()
            if frame is None:
                continue
            if self._strikes.resting(camera, now_s):
                each.state.starved("decoder crash", self._clock.now())
                continue
            each.seq += 1
            frames.append(replace(frame, seq=each.seq))
            if suspected:
                break
        return frames

    def idle_for(self, worker: int) -> float:
        due = self._samplers[worker].next_due()
        return _NOTHING_WAITS_S if due is None else max(0.002, due - self._clock.monotonic())

    def done(self, frames: Sequence[Frame], reports: Sequence[Report]) -> None:
        now, now_s = self._clock.now(), self._clock.monotonic()
        answers = {(report.camera, report.seq): report for report in reports}
        for frame in frames:
            each, report = self._cameras[frame.camera], answers.get((frame.camera, frame.seq))
            if report is None:
                each.state.lost_looks += 1
                continue
            each.state.looked_at(report, frame.captured_at, now, now_s)
            each.behind = frame.received_at - frame.captured_at
            if report.error is None:
                each.readable()
                each.backoff.reset()
            else:
                level = logging.INFO if each.unreadable_run == 0 else logging.DEBUG
                log.log(level, "camera %s: %s", frame.camera, report.error)
                each.unreadable(now_s)

    def lost(self, frames: Sequence[Frame], *, guilty: bool) -> None:
        now_s = self._clock.monotonic()
        for frame in frames:
            each = self._cameras[frame.camera]
            each.state.lost_looks += 1
            if guilty:
                self._strikes.strike(frame.camera, now_s)
                each.state.strikes += 1
                if self._strikes.resting(frame.camera, now_s):
                    each.state.starved("decoder crash", self._clock.now())

    # -- telling everybody --------------------------------------------------------------------------------------------

    async def tell(self) -> None:
        """Each second: who has become stale, who is blind, what changed, and that we live."""
        loop = asyncio.get_running_loop()
        while True:
            blind, states = self.tick()
            beat = self._heartbeat()
            try:
                await loop.run_in_executor(self._writer, self._write, blind, states, beat)
            except Exception:  # the outermost loop of telling: a full disk must not end the looking
                log.exception("could not tell states and blind spells")
            await asyncio.sleep(TICK_S)

    def tick(self) -> tuple[list[Detections], list[tuple[str, bytes]]]:
        """The looks that say blind, and the states to be told, as of now."""
        now, now_s = self._clock.now(), self._clock.monotonic()
        blind: list[Detections] = []
        states: list[tuple[str, bytes]] = []
        for each in self._cameras.values():
            state = each.state
            last_s = each.begun_s if state.looked_s is None else state.looked_s
            if now_s - last_s > stale_after(each.settings.look_every).total_seconds():
                state.starved(self._starved_by(each, now_s), now)
            if not state.seen and now_s - max(last_s, each.blind_told_s) >= BLIND_EVERY_S:
                each.blind_told_s = now_s
                each.seq += 1
                blind.append(_blind(state, each.seq, now, behind=each.behind))
            text = wire.dumps(state.as_json())
            if text != each.told or now_s - each.told_s >= REPEAT_STATE_S:
                each.told, each.told_s = text, now_s
                states.append((f"camera/{state.id}", text))
        return blind, states

    def _starved_by(self, each: _Watched, now_s: float) -> str:
        if self._strikes.resting(each.state.id, now_s):
            return "decoder crash"
        if each.unreadable_since_s is not None:
            return "no picture"
        if each.mailbox.waiting:
            return "overloaded"
        return "silent"

    def _heartbeat(self) -> bytes:
        counts = dict.fromkeys((state.value for state in State), 0)
        for each in self._cameras.values():
            counts[each.state.state.value] += 1
        now_s = self._clock.monotonic()
        figures = {
            **{f"cameras.{state}": count for state, count in counts.items()},
            "looks": sum(each.state.looks for each in self._cameras.values()),
            "overtaken": sum(each.state.overtaken for each in self._cameras.values()),
            "lost_looks": sum(each.state.lost_looks for each in self._cameras.values()),
            "lateness_s": round(max(sampler.lateness(now_s) for sampler in self._samplers), 3),
            **{f"workers.{name}": figure for name, figure in self._workers.figures().items()},
        }
        return wire.dumps({"at": iso(self._clock.now()), "pid": os.getpid(), "figures": figures})

    def _write(self, blind: Sequence[Detections], states: Sequence[tuple[str, bytes]], beat: bytes) -> None:
        for each in blind:
            self._bus.publish(wire.DETECTIONS, each.camera, wire.write_detections(each))
        for key, value in states:
            self._hot.put(key, value, ttl=STATE_TTL)
        self._hot.put("heartbeat/ingest/0", beat, ttl=STATE_TTL)


def _blind(state: CameraState, seq: int, now: datetime, *, behind: timedelta) -> Detections:
    """A look that saw nothing, by the camera's own clock: by ours it would overtake the first looks after the recovery."""
    return Detections(
        camera=state.id,
        captured_at=now - behind,
        seq=seq,
        usable=Usable.LOST,
        looked=Looked.NOT,
        clock_ok=state.clock_ok,
        stamps={"received": now},
    )
