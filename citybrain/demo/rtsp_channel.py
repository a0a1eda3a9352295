"""One simulated camera: a clip that goes on for ever, read once for all who watch it, and the same for each of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from citybrain.clock import Clock
from citybrain.demo.rtsp_clip import Clip, Sample, is_parameter
from citybrain.demo.rtsp_faults import CameraFault
from citybrain.demo.rtsp_packets import CLOCK_HZ, Sender, interleaved, payloads

_REPORT_EVERY_S = 4.0
_FULL_BYTES = 8 * 1024 * 1024
_BEHIND_S = 2.0  # after a pause of the machine the story is where it would have been


@dataclass(eq=False, slots=True)
class Viewer:
    """One connection that plays, and what is wrong with it."""

    transport: asyncio.WriteTransport
    channel: int
    faults: list[CameraFault]
    draw: random.Random
    begun_s: float = 0.0
    reported_s: float = float("-inf")
    started: bool = False
    other_codec: bool = False

    def fault(self, kind: str) -> CameraFault | None:
        return next((each for each in self.faults if each.kind == kind), None)


@dataclass(slots=True)
class Channel:
    """A name that can be watched. Clip time is (now - epoch) modulo the clip's duration, whoever watches."""

    clip: Clip
    epoch: datetime
    clock: Clock
    find: Callable[[str], Clip | None]
    viewers: set[Viewer] = field(default_factory=set)
    sender: Sender = field(default_factory=lambda: Sender(ssrc=random.getrandbits(32)))
    task: asyncio.Task[None] | None = None

    def join(self, viewer: Viewer) -> None:
        viewer.begun_s = self.clock.monotonic()
        self.viewers.add(viewer)
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._play())

    def leave(self, viewer: Viewer) -> None:
        self.viewers.discard(viewer)

    def drop(self) -> None:
        """Close every connection that plays this."""
        for viewer in list(self.viewers):
            viewer.transport.close()
        self.viewers.clear()

    def show(self, clip: Clip) -> None:
        """Send another clip from now on, under the description that the viewers were given."""
        self.clip = clip
        if self.task is not None:
            self.task.cancel()
            self.task = asyncio.create_task(self._play())

    def elapsed_s(self) -> float:
        return (self.clock.now() - self.epoch).total_seconds()

    async def _play(self) -> None:
        while self.viewers:
            for begun_s, sample in self.clip.after(self.elapsed_s()):
                wait = begun_s + sample.send_s - self.elapsed_s()
                if wait > 0:
                    await asyncio.sleep(wait)
                elif wait < -_BEHIND_S:
                    break
                if not self.viewers:
                    return
                self._send(begun_s, sample)

    def _send(self, begun_s: float, sample: Sample) -> None:
        stamp = round((begun_s + sample.shown_s) * CLOCK_HZ)
        parts = payloads(self.clip.codec, sample.units)
        whole: list[bytes] | None = None
        sequence = self.sender.sequence
        for viewer in list(self.viewers):
            now_s = self.clock.monotonic()
            if self._over(viewer, now_s):
                continue
            if not (viewer.started or sample.keyframe or viewer.fault("nokeyframe")):
                continue
            viewer.started = True
            self._report(viewer, now_s)
            if any(each.kind in ("corrupt", "nokeyframe", "loss", "codec") for each in viewer.faults):
                self.sender.sequence = sequence
                packets = self._altered(viewer, begun_s, sample, stamp, now_s)
            else:
                if whole is None:
                    self.sender.sequence = sequence
                    whole = self._packets(parts, stamp)
                packets = whole
            viewer.transport.write(b"".join(interleaved(viewer.channel, packet) for packet in packets))
        self.sender.sequence = (sequence + len(parts)) & 0xFFFF

    def _over(self, viewer: Viewer, now_s: float) -> bool:
        """Whether this viewer gets nothing: it has gone, is full, or its camera has a fault that says so."""
        if viewer.transport.is_closing():
            self.viewers.discard(viewer)
            return True
        if viewer.transport.get_write_buffer_size() > _FULL_BYTES:
            viewer.transport.abort()  # who does not read for so long is not there
            self.viewers.discard(viewer)
            return True
        ends = viewer.fault("fin")
        if ends is not None and now_s - viewer.begun_s >= ends.amount:
            viewer.transport.close()
            self.viewers.discard(viewer)
            return True
        return viewer.fault("stall") is not None

    def _report(self, viewer: Viewer, now_s: float) -> None:
        if viewer.fault("noreports") or now_s - viewer.reported_s < _REPORT_EVERY_S:
            return
        viewer.reported_s = now_s
        wrong = viewer.fault("clock")
        wall_s = self.clock.now().timestamp() + (wrong.amount if wrong else 0.0)
        report = self.sender.report(wall_s, round(self.elapsed_s() * CLOCK_HZ))
        viewer.transport.write(interleaved(viewer.channel + 1, report))

    def _packets(self, parts: list[bytes], stamp: int) -> list[bytes]:
        last = len(parts) - 1
        return [self.sender.packet(part, stamp, last=index == last) for index, part in enumerate(parts)]

    def _altered(self, viewer: Viewer, begun_s: float, sample: Sample, stamp: int, now_s: float) -> list[bytes]:
        codec, units = self.clip.codec, sample.units
        change = viewer.fault("codec")
        if change is not None and now_s - viewer.begun_s >= change.amount and (other := self.find(change.other)):
            codec, units = other.codec, _nearest(other, begun_s + sample.send_s).units
        if sample.keyframe and viewer.fault("nokeyframe"):
            return []
        if sample.keyframe and viewer.fault("corrupt"):
            units = tuple(unit if is_parameter(codec, unit) else _damaged(unit, viewer.draw) for unit in units)
        packets = self._packets(payloads(codec, units), stamp)
        loss = viewer.fault("loss")
        return [each for each in packets if loss is None or viewer.draw.random() >= loss.amount]


def _nearest(clip: Clip, elapsed_s: float) -> Sample:
    return next(clip.after(elapsed_s))[1]


def _damaged(unit: bytes, draw: random.Random) -> bytes:
    """The unit with its head whole and every few bytes of the rest something else."""
    body = bytearray(unit)
    for at in range(min(12, len(body)), len(body), 7):
        body[at] = draw.getrandbits(8)
    return bytes(body)
