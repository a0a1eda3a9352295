"""One simulated camera: a clip that goes on for ever, read once for all who watch it, and the same for each of them."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from citybrain.clock import Clock
from citybrain.demo.rtsp_clip import Clip, Sample, is_parameter
from citybrain.demo.rtsp_faults import CameraFault
from citybrain.demo.rtsp_packets import CLOCK_HZ, LONGEST, Sender, interleaved, payloads

_REPORT_EVERY_S = 4.0
_FULL_BYTES = 8 * 1024 * 1024
_BEHIND_S = 2.0  # after a pause of the machine the story is where it would have been
_TALK_EVERY_S = 0.5
_CODED_AHEAD = 4096  # pictures whose packets are kept for the cameras that show the same clip a little later
_OF_PACKETS = ("corrupt", "nokeyframe", "loss", "codec", "outofband", "fragments", "aggregate", "extended", "markers")
_UNLIKE_OTHERS = (*_OF_PACKETS, "sender", "reorder", "bye")


class Track:
    """A clip's packets, numbered by their place in its endless story: made once for all cameras that show it."""

    def __init__(self, clip: Clip) -> None:
        self.clip = clip
        self.ssrc = random.getrandbits(32)
        self._numbers = [0]
        for sample in clip.samples:
            self._numbers.append(self._numbers[-1] + len(payloads(clip.codec, sample.units)))
        self._coded: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    def framed(self, around: int, index: int) -> bytes:
        """One picture as it travels inside a connection, on channel 0."""
        found = self._coded.get((around, index))
        if found is None:
            sample = self.clip.samples[index]
            sender = Sender(self.ssrc, (around * self._numbers[-1] + self._numbers[index]) & 0xFFFF)
            stamp = round((around * self.clip.duration_s + sample.shown_s) * CLOCK_HZ)
            parts = payloads(self.clip.codec, sample.units)
            packets = [sender.packet(part, stamp, last=part is parts[-1]) for part in parts]
            found = self._coded[around, index] = b"".join(interleaved(0, packet) for packet in packets)
            if len(self._coded) > _CODED_AHEAD:
                self._coded.popitem(last=False)
        return found


@dataclass(eq=False, slots=True)
class Datagrams:
    """Where a viewer's packets go when they do not travel inside its connection."""

    media: socket.socket
    reports: socket.socket
    host: str
    ports: tuple[int, int]

    def send(self, packet: bytes, *, report: bool = False) -> None:
        try:
            (self.reports if report else self.media).sendto(packet, (self.host, self.ports[report]))
        except OSError:
            return  # lost on the way, as datagrams are

    def close(self) -> None:
        self.media.close()
        self.reports.close()


@dataclass(eq=False, slots=True)
class Viewer:
    """One connection that plays, and what is wrong with it."""

    transport: asyncio.WriteTransport
    channel: int
    faults: list[CameraFault]
    draw: random.Random
    datagrams: Datagrams | None = None
    begun_s: float = 0.0
    heard_s: float = 0.0
    reported_s: float = float("-inf")
    talked_s: float = 0.0
    started: bool = False
    keyframes: int = 0
    sender: Sender | None = None
    late: bytes = b""

    def fault(self, kind: str) -> CameraFault | None:
        return next((each for each in self.faults if each.kind == kind), None)

    def since(self, kind: str, now_s: float) -> bool:
        """Whether it has a fault that begins after some seconds, and these are over."""
        fault = self.fault(kind)
        return fault is not None and now_s - self.begun_s >= fault.amount

    @property
    def is_plain(self) -> bool:
        """Whether it is sent what everybody is sent."""
        return self.datagrams is None and self.channel == 0 and not any(f.kind in _UNLIKE_OTHERS for f in self.faults)

    def report(self, packet: bytes) -> None:
        if self.datagrams is not None:
            self.datagrams.send(packet, report=True)
        else:
            self.transport.write(interleaved(self.channel + 1, packet))

    def send(self, packets: list[bytes]) -> None:
        if self.datagrams is None:
            self.transport.write(b"".join(interleaved(self.channel, packet) for packet in packets))
            return
        for packet in packets:
            if self.fault("reorder") and not self.late and self.draw.random() < 0.2:
                self.late = packet
                continue
            self.datagrams.send(packet)
            if self.late:
                self.datagrams.send(self.late)
                self.late = b""


@dataclass(slots=True)
class Channel:
    """A name that can be watched. Clip time is (now - epoch) modulo the clip's duration, whoever watches."""

    track: Track
    epoch_s: float
    clock: Clock
    find: Callable[[str], Clip | None]
    viewers: set[Viewer] = field(default_factory=set)
    _round: int = 0
    _index: int = -1
    _due_s: float = 0.0

    @property
    def clip(self) -> Clip:
        return self.track.clip

    def join(self, viewer: Viewer) -> None:
        viewer.begun_s = viewer.heard_s = self.clock.monotonic()
        if not self.viewers:
            self._index = -1
        self.viewers.add(viewer)

    def leave(self, viewer: Viewer) -> None:
        self.viewers.discard(viewer)
        if viewer.datagrams is not None:
            viewer.datagrams.close()

    def drop(self) -> None:
        """Close every connection that plays this."""
        for viewer in list(self.viewers):
            viewer.transport.close()
            self.leave(viewer)

    def show(self, track: Track) -> None:
        """Send another clip from now on, under the description that the viewers were given."""
        self.track, self._index = track, -1

    def pace(self, wall_s: float) -> None:
        """Send what is due by now."""
        elapsed_s = wall_s - self.epoch_s
        if not self.viewers or (self._index >= 0 and elapsed_s < self._due_s):
            return
        if self._index < 0 or elapsed_s - self._due_s > _BEHIND_S:
            self._round, self._index = self.clip.place(elapsed_s)
            self._see_due()
        while elapsed_s >= self._due_s and self.viewers:
            self._send(self._round, self._index, elapsed_s)
            self._index += 1
            if self._index == len(self.clip.samples):
                self._round, self._index = self._round + 1, 0
            self._see_due()

    def _see_due(self) -> None:
        self._due_s = self._round * self.clip.duration_s + self.clip.samples[self._index].send_s

    def _send(self, around: int, index: int, elapsed_s: float) -> None:
        sample = self.clip.samples[index]
        now_s = self.clock.monotonic()
        for viewer in list(self.viewers):
            if self._over(viewer, now_s):
                continue
            if not (viewer.started or sample.keyframe or viewer.fault("nokeyframe")):
                continue
            viewer.started = True
            self._report(viewer, elapsed_s, now_s)
            viewer.keyframes += sample.keyframe
            if viewer.is_plain:
                viewer.transport.write(self.track.framed(around, index))
            else:
                viewer.send(self._altered(viewer, around, sample, now_s))

    def _over(self, viewer: Viewer, now_s: float) -> bool:
        """Whether this viewer gets nothing: it has gone, is full, or its camera has a fault that says so."""
        full = viewer.transport.get_write_buffer_size() > _FULL_BYTES
        if not viewer.faults and not full and not viewer.transport.is_closing():
            return False
        timeout = viewer.fault("timeout")
        unheard = timeout is not None and now_s - viewer.heard_s >= timeout.amount
        if viewer.transport.is_closing() or viewer.since("fin", now_s) or unheard:
            viewer.transport.close()
            self.leave(viewer)
            return True
        if full or viewer.since("rst", now_s):
            # Closed without lingering: a reset. Who does not read for so long is not there.
            port = viewer.transport.get_extra_info("socket")
            port.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            viewer.transport.abort()
            self.leave(viewer)
            return True
        if viewer.since("bye", now_s):
            if viewer.fault("stall") is None and viewer.sender is not None:
                viewer.report(viewer.sender.goodbye())
                viewer.faults = [*viewer.faults, CameraFault("stall")]
            return True
        if viewer.since("noise", now_s):
            viewer.transport.write(random.randbytes(20_000))
            return True
        if viewer.fault("talkative") and now_s - viewer.talked_s > _TALK_EVERY_S:
            viewer.talked_s = now_s
            viewer.transport.write(b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n")
        return viewer.since("stall", now_s)

    def _report(self, viewer: Viewer, elapsed_s: float, now_s: float) -> None:
        if now_s - viewer.reported_s < _REPORT_EVERY_S or viewer.fault("noreports"):
            return
        viewer.reported_s = now_s
        wrong = viewer.fault("clock")
        wall_s = self.clock.now().timestamp()
        stamp = round((wall_s - self.epoch_s) * CLOCK_HZ)
        sender = viewer.sender or Sender(self.track.ssrc)
        viewer.report(sender.report(wall_s + (wrong.amount if wrong else 0.0), stamp))

    def _altered(self, viewer: Viewer, around: int, sample: Sample, now_s: float) -> list[bytes]:
        """One picture's packets for a viewer that gets its own."""
        sender = viewer.sender
        if sender is None or (viewer.since("sender", now_s) and sender.octets >= 0):
            if sender is not None:
                viewer.faults = [each for each in viewer.faults if each.kind != "sender"]
            sender = viewer.sender = Sender(viewer.draw.getrandbits(32), viewer.draw.getrandbits(16))
            sender.extended = viewer.fault("extended") is not None
        codec, units = self.clip.codec, sample.units
        change = viewer.fault("codec")
        if change is not None and viewer.since("codec", now_s) and (other := self.find(change.other)):
            _, index = other.place(around * self.clip.duration_s + sample.send_s)
            codec, units = other.codec, other.samples[index].units
        if sample.keyframe and viewer.fault("nokeyframe"):
            return []
        if sample.keyframe and viewer.fault("corrupt"):
            units = tuple(unit if is_parameter(codec, unit) else _damaged(unit, viewer.draw) for unit in units)
        if viewer.fault("outofband"):
            units = tuple(unit for unit in units if not is_parameter(codec, unit))
        least = viewer.fault("fragments")
        parts = payloads(
            codec,
            units,
            longest=int(least.amount) if least else LONGEST,
            aggregate=viewer.fault("aggregate") is not None,
        )
        marks = viewer.fault("markers")
        stamp = round((around * self.clip.duration_s + sample.shown_s) * CLOCK_HZ)
        last = len(parts) - 1
        packets = [
            sender.packet(part, stamp, last=marks.other == "all" if marks else index == last)
            for index, part in enumerate(parts)
        ]
        loss = viewer.fault("loss")
        return [each for each in packets if loss is None or viewer.draw.random() >= loss.amount]


def _damaged(unit: bytes, draw: random.Random) -> bytes:
    """The unit with its head whole and every few bytes of the rest something else."""
    body = bytearray(unit)
    for at in range(min(12, len(body)), len(body), 7):
        body[at] = draw.getrandbits(8)
    return bytes(body)
