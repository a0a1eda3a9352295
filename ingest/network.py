"""The network process: one task per camera, no codec in it; frames go to workers, states to everybody.

What a camera gives goes into its mailbox; idle workers pull from the mailboxes by deadline. A frame gets its `seq` when
a worker is given it, so that a frame lost with a killed worker leaves a gap. A camera on which a scene has an open
question is followed: its worker decodes on from picture to picture, and looks several times a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Protocol

from citybrain.clock import Clock
from citybrain.domain.frame import Frame
from citybrain.ports import Bus, CloserSource, HotStore
from ingest.attention import Attention
from ingest.balance import BALANCE_EVERY_S, balance
from ingest.budget import Load, together
from ingest.config import CameraSettings
from ingest.connecting import Connecting, opens_otherwise
from ingest.kept import process_memory
from ingest.looking_again import LookingAgain
from ingest.plan import Plan, Reconciled
from ingest.rtsp.flow import process_counts
from ingest.sampler import Sampler
from ingest.states import CameraState
from ingest.strikes import Strikes
from ingest.telling import Telling
from ingest.turns import Turns
from ingest.watched import Watched
from ingest.worker_port import FOLLOWED, NOTHING_NEWER, OUT_OF_STEP, Began, Report
from ingest.workers import WorkerPool

log = logging.getLogger(__name__)

CLOSER_EVERY_S = 0.25
"""How often an attended camera is looked at: what holds for seconds is seen to within a tenth of that."""

_NOTHING_WAITS_S = 60.0


class Clips(Protocol):
    """Makes the evidence clip of an episode from what the camera's source keeps. Called in the event loop."""

    def begin(self, camera: str, began: Began, source: CloserSource) -> None: ...

    def figures(self) -> Mapping[str, int]: ...


class Network:
    """The cameras of one process, and the work they give (`ingest.workers.Work`), in one event loop."""

    def __init__(
        self,
        plan: Plan,
        *,
        workers: WorkerPool,
        bus: Bus,
        hot: HotStore,
        clock: Clock,
        clips: Clips | None = None,
        turns: Turns | None = None,
        name: str = "0",
        beside: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """`name` tells it apart from others that share the cameras; `beside` says what else its heartbeat is to tell."""
        self._plan, self._workers, self._clock, self._clips, self._beside = plan, workers, clock, clips, beside
        self._strikes = Strikes()
        self._attention = Attention(plan.attention)
        self.again = LookingAgain(bus, clock, self._look_at_once)
        self._samplers = [Sampler() for _ in range(workers.count)]
        self._followed = [0] * workers.count
        self._moved = 0
        self._cameras: dict[str, Watched] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._connecting = Connecting(turns=turns or Turns(), clock=clock, arrived=self._offer, lost=self._disregard)
        self.telling = Telling(
            self._cameras, bus=bus, hot=hot, clock=clock, strikes=self._strikes, figures=self._figures, name=name
        )
        self.telling.unserved.adopt(plan.unserved, clock.now())
        workers.brief(plan.briefing)
        for settings in plan.cameras:
            self._add(settings)

    async def run(self, stop: asyncio.Event) -> None:
        """Watch the cameras until `stop` is set. Returns with every stream left and every worker gone."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                work = (self._workers.run(self), self.telling.run(), self.again.run(), self._balance())
                own = [tasks.create_task(each) for each in work]
                for each in self._cameras.values():
                    each.task = tasks.create_task(self._connecting.keep_open(each))
                await stop.wait()
                self._tasks = None
                watching = [each.task for each in self._cameras.values() if each.task is not None]
                for task in [*own, *watching]:
                    task.cancel()
        finally:
            self.close()

    def close(self) -> None:
        self.telling.close()

    def states(self) -> list[CameraState]:
        return [each.state for each in self._cameras.values()]

    # -- which cameras there are --------------------------------------------------------------------------------------

    def reconcile(self, plan: Plan) -> Reconciled:
        """Watch by a new plan from now on. A camera that it leaves alone is not touched, and loses no look."""
        before, self._plan = self._plan, plan
        wanted = {settings.id: settings for settings in plan.cameras}
        if plan.briefing != before.briefing:
            self._workers.brief(plan.briefing)
        self._attention.adopt(plan.attention)
        self.telling.unserved.adopt(plan.unserved, self._clock.now())
        removed = [camera for camera in self._cameras if camera not in wanted]
        for camera in removed:
            self._remove(camera)
        added, changed, reopened = [], [], []
        for camera, settings in wanted.items():
            each = self._cameras.get(camera)
            if each is None:
                self._add(settings)
                added.append(camera)
                continue
            each.patience, each.leaving = plan.patience_of(settings), camera in plan.leaving
            self._samplers[each.worker].change(camera, **_rhythm(plan, settings))
            if settings == each.settings:
                continue
            changed.append(camera)
            was, each.settings = each.settings, settings
            if opens_otherwise(was, settings):
                self._reopen(each)
                reopened.append(camera)
        return Reconciled(tuple(added), tuple(changed), tuple(reopened), tuple(removed))

    def _add(self, settings: CameraSettings) -> None:
        worker = min(range(self._workers.count), key=lambda each: len(self._samplers[each]))
        now_s = self._clock.monotonic()
        now = self._clock.now()
        state = CameraState(settings.id, since_at=now)
        patience = self._plan.patience_of(settings)
        each = self._cameras[settings.id] = Watched(
            settings, state, worker, now_s, patience, taken_up_at=now, blind_told_s=now_s
        )
        self._samplers[worker].add(settings.id, **_rhythm(self._plan, settings))
        if self._tasks is not None:
            each.task = self._tasks.create_task(self._connecting.keep_open(each))

    def _remove(self, camera: str) -> None:
        """What it was last said to be expires by itself; a look at it that is out is nobody's any more."""
        each = self._cameras.pop(camera)
        if each.task is not None:
            each.task.cancel()
        self._disregard(each)
        self._samplers[each.worker].remove(camera)
        self._attention.forget(camera)
        self._strikes.forget(camera)

    def _reopen(self, each: Watched) -> None:
        if each.task is not None:
            each.task.cancel()
        self._disregard(each)
        self._attention.forget(each.settings.id)
        self._strikes.forget(each.settings.id)
        each.mailbox.take()  # it shows what the old address showed
        each.left()
        each.readable()
        each.backoff.reset()
        each.state.reopened(self._clock.now())
        if self._tasks is not None:
            each.task = self._tasks.create_task(self._connecting.keep_open(each))

    async def _balance(self) -> None:
        while True:
            await asyncio.sleep(BALANCE_EVERY_S)
            if not self._workers.away:
                for move in balance(self._samplers, self._clock.monotonic()):
                    each = self._cameras[move.camera]
                    each.worker, each.step = move.worker, None
                    self._moved += 1
                    self._workers.wake(move.worker)

    def _offer(self, each: Watched) -> None:
        self._samplers[each.worker].offer(each.state.id, self._clock.monotonic())
        self._workers.wake(each.worker)

    # -- work for the workers -----------------------------------------------------------------------------------------

    def begun(self, worker: int) -> None:
        for each in self._cameras.values():
            if each.worker == worker:
                each.step = None

    def take(self, worker: int, limit: int) -> list[Frame]:
        now_s = self._clock.monotonic()
        frames = list[Frame]()
        while len(frames) < limit and (sampler := self._most_urgent(worker, now_s)) is not None:
            (camera,) = sampler.take(now_s, 1)
            each = self._cameras[camera]
            suspected = self._strikes.suspected(camera, now_s)
            if suspected and frames:
                sampler.give_back(camera, now_s)
                break
            if self._strikes.resting(camera, now_s):
                each.mailbox.take()
                each.state.starved("decoder crash", self._clock.now())
                continue
            frame = each.next_frame()
            if frame is None:
                self._go_on(each, now_s)
                continue
            each.seq += 1
            each.given_at = frame.captured_at
            again = self.again.wanted(camera, now_s)
            frames.append(replace(frame, seq=each.seq, taken_up_at=each.taken_up_at, again=again))
            if suspected:
                break
        return frames

    def idle_for(self, worker: int) -> float:
        dues = [due for sampler in self._served_by(worker) if (due := sampler.next_due()) is not None]
        return max(0.002, min(dues) - self._clock.monotonic()) if dues else _NOTHING_WAITS_S

    def _served_by(self, worker: int) -> list[Sampler]:
        """Whose cameras the worker looks at: its own, and those of workers that are away, lest they go unseen meanwhile."""
        return [self._samplers[each] for each in (worker, *(each for each in self._workers.away if each != worker))]

    def _most_urgent(self, worker: int, now_s: float) -> Sampler | None:
        urgent = [
            (urgency, -number, sampler)
            for number, sampler in enumerate(self._served_by(worker))
            if (urgency := sampler.urgency(now_s)) is not None
        ]
        return max(urgent)[2] if urgent else None

    def done(self, frames: Sequence[Frame], reports: Sequence[Report]) -> None:
        now, now_s = self._clock.now(), self._clock.monotonic()
        answers = {(report.camera, report.seq): report for report in reports}
        for frame in frames:
            each, report = self._cameras.get(frame.camera), answers.get((frame.camera, frame.seq))
            if each is None or each.seq < frame.seq:
                continue  # it was removed meanwhile, and may have been added anew
            if report is None:
                each.state.lost_looks += 1
                each.step = None
                self._go_on(each, now_s)
                continue
            self._samplers[each.worker].looked(frame.camera, now_s, report.cost_s)
            if report.error in (OUT_OF_STEP, NOTHING_NEWER):
                if report.error == OUT_OF_STEP:
                    each.step = None
                if each.seq == frame.seq:  # there was no look that could be missed
                    each.seq -= 1
                self._go_on(each, now_s)
                continue
            each.state.looked_at(report, frame.captured_at, now, now_s)
            each.behind = frame.received_at - frame.captured_at
            if report.error is None:
                each.readable()
                each.backoff.reset()
                self._answered(each, report, now_s)
            else:
                level = logging.INFO if each.unreadable_run == 0 else logging.DEBUG
                log.log(level, "camera %s: %s", frame.camera, report.error)
                each.unreadable(now_s)
                each.step = None
                self._go_on(each, now_s)

    def lost(self, frames: Sequence[Frame], *, guilty: bool) -> None:
        now_s = self._clock.monotonic()
        for frame in frames:
            each = self._cameras.get(frame.camera)
            if each is None or each.seq < frame.seq:
                continue
            each.state.lost_looks += 1
            each.step = None
            if guilty:
                self._strikes.strike(frame.camera, now_s)
                each.state.strikes += 1
                if self._strikes.resting(frame.camera, now_s):
                    each.state.starved("decoder crash", self._clock.now())
            self._go_on(each, now_s)

    # -- looking closer -----------------------------------------------------------------------------------------------

    def _answered(self, each: Watched, report: Report, now_s: float) -> None:
        """A look was done: the camera gets attention while a question is open, and none when it is not."""
        if self._clips is not None and each.source is not None:
            for began in report.began:
                self._clips.begin(each.state.id, began, each.source)
        asked_s = self._attention.asked(each.state.id, report.asks, now_s)
        again_s = self.again.closely_until(each.state.id, now_s)
        if asked_s is None and again_s is None:
            self._disregard(each)
            return
        if each.attended_until_s is None:
            log.info("camera %s: looked at closely (%s)", each.state.id, ", ".join(report.asks))
        self._attend(each, max(asked_s or now_s, again_s or now_s), now_s)

    def _look_at_once(self, camera: str) -> None:
        """A unit says that it is done there."""
        each, now_s = self._cameras.get(camera), self._clock.monotonic()
        until_s = self.again.closely_until(camera, now_s)
        if each is not None and until_s is not None:
            log.info("camera %s: looks again, for a unit says that it is done", camera)
            self._attend(each, max(each.attended_until_s or until_s, until_s), now_s)

    def _attend(self, each: Watched, until_s: float, now_s: float) -> None:
        each.attended_until_s = until_s
        self._samplers[each.worker].attend(each.state.id, now_s, every=CLOSER_EVERY_S, until=until_s)
        self._go_on(each, now_s)

    def _go_on(self, each: Watched, now_s: float) -> None:
        """After each turn of an attended camera: it gets the next one, or its time was up."""
        if each.attended_until_s is None:
            return
        if each.attended_until_s <= now_s:
            self._disregard(each)
            return
        if not each.followed and self._followed[each.worker] < FOLLOWED:  # a worker keeps only so many decoders
            each.followed = True
            self._followed[each.worker] += 1
        if each.followed and each.source is not None:
            self._offer(each)

    def _disregard(self, each: Watched) -> None:
        """The camera is looked at like any other again."""
        if each.attended_until_s is not None:
            self._samplers[each.worker].settle(each.state.id)
            self._followed[each.worker] -= each.followed
            each.attended_until_s, each.followed, each.step = None, False, None

    # -- telling everybody --------------------------------------------------------------------------------------------

    def load(self) -> Load:
        now_s = self._clock.monotonic()
        return together(sampler.load(now_s) for sampler in self._samplers)

    def _figures(self) -> Mapping[str, Any]:
        now_s, load = self._clock.monotonic(), self.load()
        return {
            "lateness_s": round(max(sampler.lateness(now_s) for sampler in self._samplers), 3),
            "load.demand": round(load.demand, 3),
            "load.attention": round(load.attention, 3),
            "load.capacity": round(load.capacity, 3),
            "load.stretch": round(load.stretch, 3),
            "attended": load.attended,
            "followed": sum(self._followed),
            "moved": self._moved,
            **{f"kept.{name}": figure for name, figure in process_memory().figures().items()},
            **{f"rtsp.{name}": figure for name, figure in asdict(process_counts()).items()},
            **{f"workers.{name}": figure for name, figure in self._workers.figures().items()},
            **{f"clips.{name}": figure for name, figure in (self._clips.figures() if self._clips else {}).items()},
            **self._beside(),
        }


def _rhythm(plan: Plan, settings: CameraSettings) -> dict[str, float]:
    return {
        "every": settings.look_every.total_seconds(),
        "patience": plan.patience_of(settings).total_seconds(),
    }
