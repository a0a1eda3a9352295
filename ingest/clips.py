"""Evidence clips: what a camera sent around the look that confirmed an episode, some seconds before and some after.

    began ─► what is kept of the seconds before, at once ─► a second later what came since, and again, until the seconds
             after are over ─► an MP4 of it, nothing decoded ─► evidence store ─► command `filmed` for each episode

One clip of a camera is in work at a time: what begins meanwhile shares it and makes it longer. A camera that is lost in
the middle gives what there is. Nothing of this is written down before it is done: when the process is killed, the clips in
work are lost, and no case with them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from citybrain.clock import Clock, iso
from citybrain.domain.command import Filmed
from citybrain.domain.episode import Evidence, EvidenceKind
from citybrain.errors import CityBrainError
from citybrain.ports import Bus, CloserSource, EvidenceStore, Footage, Unit
from citybrain.wire import COMMANDS, write_command
from ingest.remux import remuxed
from ingest.worker_port import Began

log = logging.getLogger(__name__)

BEFORE = AFTER = timedelta(seconds=5)
LONGEST = timedelta(seconds=30)
"""How long a clip becomes at most when one episode after the other begins."""

MOST_BYTES = 24 << 20
"""The most that one clip takes: ten seconds of 19 Mbit/s."""

MOST_BYTES_IN_WORK = 128 << 20
MOST_IN_WORK = 200
"""Bounds for all clips together, while their seconds are gathered: a city in which everything begins at once."""

POLL_S = 1.0
GRACE_S = 5.0
"""How much longer than the seconds after is waited for a camera that has stopped sending."""

_JUMP = timedelta(seconds=10)  # a camera whose clock was set: what follows is no longer the same stretch of time


@dataclass(slots=True, eq=False)
class _Clip:
    """One in work. It gathers until `until_at` by the camera's clock, or `ends_s` by ours; `full` takes no more."""

    camera: str
    source: CloserSource
    until_at: datetime
    ends_s: float
    began: list[Began] = field(default_factory=list)
    codec: str = ""
    extradata: bytes = b""
    units: list[Unit] = field(default_factory=list)
    newest_at: datetime | None = None
    size: int = 0
    full: bool = False

    def take(self, since: datetime, room: int) -> None:
        """What the camera sent since then, so far as there is room and it goes on from what was taken."""
        footage = None if self.full else self.source.footage(since)
        if footage is None:
            return
        if not self.units:
            self.codec, self.extradata = footage.codec, footage.extradata
        elif (footage.codec, footage.extradata) != (self.codec, self.extradata):
            self.full = True
            return
        for unit in following(self.units, footage.units):
            jumped = self.newest_at is not None and abs(unit.captured_at - self.newest_at) > _JUMP
            if jumped or len(unit.data) > min(room, MOST_BYTES - self.size):
                self.full = True
                return
            self.units.append(unit)
            self.size, room = self.size + len(unit.data), room - len(unit.data)
            self.newest_at = max(self.newest_at or unit.captured_at, unit.captured_at)

    def footage(self) -> Footage:
        end = next((n for n, unit in enumerate(self.units) if unit.captured_at > self.until_at), len(self.units))
        return Footage(self.codec, self.extradata, tuple(self.units[:end]))


class Clips:
    """The clips of one ingest process. `begin` is called in the event loop; files and messages are written by a thread."""

    def __init__(
        self,
        *,
        evidence: EvidenceStore,
        bus: Bus,
        clock: Clock,
        remux: Callable[[Footage], Awaitable[bytes]] = remuxed,
        poll_s: float = POLL_S,
    ) -> None:
        self._evidence, self._bus, self._clock, self._remux, self._poll_s = evidence, bus, clock, remux, poll_s
        self._gathering: dict[str, _Clip] = {}
        self._in_work: dict[asyncio.Task[None], _Clip] = {}
        self._one = asyncio.Semaphore(1)  # a process at a time: a clip may wait, looks need the processors
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="clips")
        self._made = self._failed = self._refused = self._bytes = 0

    def begin(self, camera: str, began: Began, source: CloserSource) -> None:
        """An episode began: film it. Over the bounds there is no clip, which is counted."""
        clip = self._gathering.get(camera)
        if clip is None:
            if len(self._in_work) >= MOST_IN_WORK or self._room() <= 0:
                self._refused += 1
                log.warning("no clip of %s at %s: too many are in work", began.scene, began.place)
                return
            clip = _Clip(camera, source, began.confirmed_at + AFTER, self._clock.monotonic())
            clip.take(began.confirmed_at - BEFORE, self._room())
            self._gathering[camera] = clip
            task = asyncio.get_running_loop().create_task(self._film(clip))
            self._in_work[task] = clip
            task.add_done_callback(self._in_work.pop)
        clip.began.append(began)
        first_at = clip.units[0].captured_at if clip.units else began.confirmed_at
        clip.until_at = min(max(clip.until_at, began.confirmed_at + AFTER), first_at + LONGEST)
        left = clip.until_at - (clip.newest_at or began.confirmed_at)
        clip.ends_s = self._clock.monotonic() + max(timedelta(), left).total_seconds() + GRACE_S

    async def settle(self) -> None:
        """Wait for the clips in work."""
        while self._in_work:
            await asyncio.wait(self._in_work)

    async def close(self) -> None:
        """Give up the clips in work."""
        for task in self._in_work:
            task.cancel()
        await asyncio.gather(*self._in_work, return_exceptions=True)
        self._writer.shutdown(wait=True)

    def figures(self) -> dict[str, int]:
        """Clips in work, made, failed and refused since the start, and the bytes of those made."""
        return {
            "in_work": len(self._in_work),
            "made": self._made,
            "failed": self._failed,
            "refused": self._refused,
            "bytes": self._bytes,
        }

    def _room(self) -> int:
        return MOST_BYTES_IN_WORK - sum(clip.size for clip in self._in_work.values())

    async def _film(self, clip: _Clip) -> None:
        try:
            try:
                await self._gather(clip)
            finally:
                del self._gathering[clip.camera]
            async with self._one:
                await self._make(clip)
        except (CityBrainError, OSError) as error:
            self._failed += 1
            log.warning("no clip of camera %s: %s", clip.camera, error)
        except Exception:  # a clip's outermost loop: its fault is not the others'
            self._failed += 1
            log.exception("no clip of camera %s", clip.camera)

    async def _gather(self, clip: _Clip) -> None:
        while not clip.full and (clip.newest_at is None or clip.newest_at < clip.until_at):
            if self._clock.monotonic() >= clip.ends_s:
                break
            await asyncio.sleep(self._poll_s)
            since = clip.units[-1].captured_at if clip.units else clip.until_at - AFTER - BEFORE
            clip.take(since, self._room())

    async def _make(self, clip: _Clip) -> None:
        footage = clip.footage()
        if not footage.units:
            self._failed += 1
            log.info("no clip of camera %s: nothing of it is kept", clip.camera)
            return
        mp4 = await self._remux(footage)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._writer, self._store, clip, footage, mp4)
        self._made += 1
        self._bytes += len(mp4)

    def _store(self, clip: _Clip, footage: Footage, mp4: bytes) -> None:
        since_at = footage.units[0].captured_at
        until_at = max(unit.captured_at for unit in footage.units)
        ref = self._evidence.put(clip.camera, since_at, mp4, EvidenceKind.CLIP)
        evidence = Evidence(ref, clip.camera, since_at, "around", until_at=until_at)
        for began in clip.began:
            command = Filmed(
                id=f"filmed-{began.scene}-{began.place}-{iso(began.began_at)}-{iso(began.confirmed_at)}",
                scene=began.scene,
                place=began.place,
                locality=began.locality,
                began_at=began.began_at,
                confirmed_at=began.confirmed_at,
                clip=evidence,
                at=self._clock.now(),
            )
            self._bus.offer(COMMANDS, began.locality, write_command(command))  # a broker that is away holds up no clip


def following(taken: list[Unit], footage: tuple[Unit, ...]) -> tuple[Unit, ...]:
    """What of the footage comes after what was taken: from the unit after the last one, or, where what lay between is
    gone, from the next keyframe."""
    if not taken:
        return footage
    for index in range(len(footage) - 1, -1, -1):
        if footage[index] == taken[-1]:
            return footage[index + 1 :]
    newest = max(unit.captured_at for unit in taken[-50:])
    later = (n for n, unit in enumerate(footage) if unit.keyframe and unit.captured_at > newest)
    return footage[next(later, len(footage)) :]
