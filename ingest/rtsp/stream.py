"""A session that plays: read in rounds, kept alive, watched, and its keyframes given their time."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from citybrain.clock import Clock
from citybrain.domain.frame import Frame
from citybrain.errors import CameraGone
from ingest.kept import Kept
from ingest.rtsp.connection import Connection, answer_to, gone_by
from ingest.rtsp.flow import Flow, process_counts
from ingest.rtsp.messages import Asked, Message, Request, read_message
from ingest.rtsp.ranges import Bytes
from ingest.rtsp.rtcp import SenderReport, read_control, receiver_report

SILENT_S, NO_KEYFRAME_S = 8.0, 15.0
REPORT_EVERY_S = 10.0
CLOCK_LIMIT = timedelta(seconds=5)
_MOST_STRANGE = 256 * 1024  # bytes in a row that are neither packet nor message
_MOST_UNSENT = 64 * 1024
_MOST_READS = 8  # in one turn: who sends more than that is not the only camera
_LATEST_KEEP_ALIVE_S = 30.0


class SenderClock:
    """The camera's time of its stamps, as its newest report tells it."""

    def __init__(self, clock_hz: int) -> None:
        self._clock_hz = clock_hz
        self._report: SenderReport | None = None
        self.heard_s = 0.0

    @property
    def middle(self) -> int:
        return 0 if self._report is None else self._report.middle

    def hear(self, report: SenderReport, now_s: float) -> None:
        self._report, self.heard_s = report, now_s

    def forget(self) -> None:
        self._report = None

    def time_of(self, stamp: int) -> datetime | None:
        if self._report is None:
            return None
        ahead = (stamp - self._report.stamp + (1 << 31)) % (1 << 32) - (1 << 31)
        return self._report.at + timedelta(seconds=ahead / self._clock_hz)


class Stream:
    """One camera's stream (`rounds.Reader`, `flow.Taker`). `deliver` is given keyframes, `end` at last why it is over."""

    def __init__(
        self,
        connection: Connection,
        *,
        camera: str,
        clock: Clock,
        kept: Kept,
        now_s: float,
        deliver: Callable[[Frame], None],
        end: Callable[[CameraGone], None],
    ) -> None:
        opened = connection.opened
        self._connection, self._opened, self._camera = connection, opened, camera
        self._clock, self._kept, self._deliver, self._end = clock, kept, deliver, end
        self._udp = connection.datagrams
        channels = (0, 1) if opened.udp else opened.channels
        self.flow = Flow(
            opened.video.codec,
            opened.video.type,
            taker=self,
            kept=kept,
            channel=channels[0],
            control_channel=channels[1],
            sets=opened.video.sets,
            totals=process_counts(),
        )
        self._channels = channels
        self._sender_clock, self._sender = SenderClock(opened.video.clock_hz), self.flow.source
        self._over = False
        self._rest = connection.early
        self._unsent = bytearray()
        self._strange = 0
        self._asked_again = False
        self._keep_alive = opened.keep_alive
        self._ssrc = random.getrandbits(32)
        self._lost_told = self._highest_told = 0
        self.last_at: datetime | None = None
        # Every stream its own rhythm, so that a thousand that began together do not report together.
        self._alive_every_s = min(_LATEST_KEEP_ALIVE_S, opened.timeout_s / 2) * random.uniform(0.8, 1.0)
        self._packets, self._media_s, self._key_s, self._now_s = 0, now_s, now_s, now_s
        self._alive_s = now_s + self._alive_every_s
        self._report_s = now_s + REPORT_EVERY_S * random.uniform(0.5, 1.0)
        self._due_s = now_s
        self._control_turn = 0

    @property
    def datagrams(self) -> bool:
        return self._udp is not None

    def close(self) -> None:
        """Leave it, with a word to the camera if there is room for one."""
        self._over = True
        if not self._unsent:  # else it does not listen, and half a message would be no word
            self._ask("TEARDOWN")
        self._connection.close()

    # -- rounds -------------------------------------------------------------------------------------------------------

    def turn(self, scratch: bytearray, view: memoryview, now_s: float) -> None:
        if self._over:
            return
        self._now_s = now_s
        try:
            if self._udp is not None:
                self._read_datagrams(scratch, view, now_s)
            else:
                self._read(scratch, view)
            if now_s >= self._due_s:
                self._tend(now_s)
            if self._unsent:
                self._flush()
        except CameraGone as gone:
            self._give_up(gone)
        except OSError as error:
            self._give_up(gone_by(error))
        except Exception as error:  # noqa: BLE001  # one camera's outermost: its fault is not that of those read after it
            self._give_up(CameraGone("source fault", type(error).__name__))

    def _give_up(self, gone: CameraGone) -> None:
        self._over = True
        self._end(gone)

    def _read(self, scratch: bytearray, view: memoryview) -> None:
        receive = self._connection.socket.recv_into
        for _ in range(_MOST_READS):
            kept = len(self._rest)
            if kept:
                if kept >= len(scratch):
                    raise CameraGone("garbage", "a message without an end")
                view[:kept] = self._rest
            try:
                size = receive(view[kept:]) if kept else receive(view)
            except BlockingIOError:
                return
            if size == 0:
                raise CameraGone("ended")
            end = kept + size
            taken = self.flow.feed(scratch, end)
            self._rest = bytes(view[taken:end]) if taken < end else b""
            if end < len(scratch):
                return

    def _read_datagrams(self, scratch: bytearray, view: memoryview, now_s: float) -> None:
        assert self._udp is not None  # noqa: S101  # asked only then
        end = self._udp.drain(scratch, view, now_s, self._channels[0])
        if end:
            self.flow.feed(scratch, end)
        self._control_turn += 1
        if self._control_turn % 8 == 0:
            for report in self._udp.reports():
                self.control(report)
            self._read(scratch, view)

    # -- what the flow finds (flow.Taker) -----------------------------------------------------------------------------

    def keyframe(self, data: bytes, stamp: int) -> None:
        self._key_s = self._now_s
        received_at = self._clock.now()
        captured_at, clock_ok = received_at, False
        if self.flow.source != self._sender:  # another sender counts its stamps from elsewhere
            if self._sender is not None:
                self._sender_clock.forget()
            self._sender = self.flow.source
        told_at = self._sender_clock.time_of(stamp)
        if told_at is not None and abs(told_at - received_at) <= CLOCK_LIMIT:
            captured_at, clock_ok = told_at, True
        # The first sender report may set the time back by what arrival was late: looks stay in order all the same.
        if self.last_at is not None:
            captured_at = max(captured_at, self.last_at + timedelta(milliseconds=1))
        self.last_at = captured_at
        frame = Frame(self._camera, self.flow.codec.name, (data,), captured_at, received_at, clock_ok)
        self._deliver(self._kept.begin(frame, mark=stamp))

    def control(self, packet: bytes) -> None:
        for each in read_control(packet):
            if isinstance(each, SenderReport):
                self._sender_clock.hear(each, self._now_s)
            elif each == self.flow.source:
                raise CameraGone("ended", "it said goodbye")

    def words(self, data: Bytes, start: int, end: int) -> int:
        try:
            found = read_message(data, start, end)
        except CameraGone:
            return self._resumed(data, start, end)
        if found is None:
            return start
        message, after = found
        self._strange = 0
        self._hear(message)
        return after

    def _resumed(self, data: Bytes, start: int, end: int) -> int:
        """Where packets or words seem to begin again behind something that is neither."""
        rest = bytes(memoryview(data)[start + 1 : end])
        marks = (rest.find(bytes([0x24, self._channels[0]])), rest.find(b"RTSP/1."))
        at = start + 1 + min((mark for mark in marks if mark >= 0), default=len(rest))
        self._strange += at - start
        if self._strange > _MOST_STRANGE:
            raise CameraGone("garbage", "neither packets nor messages")
        return at

    def _hear(self, message: Message) -> None:
        if isinstance(message, Asked):
            if message.method == "TEARDOWN":
                raise CameraGone("ended", "it closed the session")
            self._send(answer_to(message))
        elif message.status == 454:
            raise CameraGone("broken", "it does not know the session any more")
        elif message.status == 401 and not self._asked_again:
            self._asked_again = True
            with suppress(CameraGone):  # while pictures come, it may think of our password what it likes
                self._connection.login.challenged(message.headers.get("www-authenticate", ()), answered=True)
                self._ask(self._keep_alive)
        elif message.status >= 400 and self._keep_alive != "OPTIONS":
            self._keep_alive = "OPTIONS"  # it announced more than it can do
        elif message.status < 300:
            self._asked_again = False

    # -- time ---------------------------------------------------------------------------------------------------------

    def _tend(self, now_s: float) -> None:
        """Whatever is due: has it gone quiet, must it hear from us."""
        if self.flow.counts.packets != self._packets:
            # Packets came since the last time; when, is known well enough for a limit of seconds.
            self._packets, self._media_s, self._strange = self.flow.counts.packets, now_s, 0
        if now_s - self._media_s > SILENT_S:
            raise CameraGone("silent")
        if now_s - self._key_s > NO_KEYFRAME_S:
            counts = self.flow.counts
            raise CameraGone("no keyframe", f"{counts.dropped} with gaps, {counts.setless} without parameter sets")
        if now_s >= self._alive_s:
            self._alive_s = now_s + self._alive_every_s
            self._ask(self._keep_alive)
        if now_s >= self._report_s:
            self._report_s = now_s + REPORT_EVERY_S
            self._report(now_s)
        self._due_s = min(now_s + 1.0, self._alive_s, self._report_s)

    def _report(self, now_s: float) -> None:
        flow = self.flow
        if flow.source is None:
            return
        highest, lost = flow.highest, flow.counts.lost
        lost_now, expected_now = lost - self._lost_told, highest - self._highest_told
        self._lost_told, self._highest_told = lost, highest
        share = int(256 * lost_now / expected_now) if 0 < lost_now <= expected_now else 0
        report = receiver_report(
            ours=self._ssrc,
            source=flow.source,
            highest=highest,
            lost=lost,
            share_lost=share,
            middle=self._sender_clock.middle,
            since_s=now_s - self._sender_clock.heard_s,
        )
        if self._udp is not None:
            self._udp.send(report)
        else:
            self._send(bytes([0x24, self._channels[1]]) + len(report).to_bytes(2, "big") + report)

    def _ask(self, method: str) -> None:
        connection = self._connection
        connection.sequence += 1
        headers = {"Session": self._opened.session} if self._opened.session else {}
        request = Request(method, self._opened.control, headers)
        self._send(request.encoded(connection.sequence, connection.login.header(method, self._opened.control)))

    def _send(self, data: bytes) -> None:
        self._unsent += data
        self._flush()

    def _flush(self) -> None:
        try:
            sent = self._connection.socket.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._unsent.clear()  # what it is will be read: the reason stands in what the other side sent last
            return
        del self._unsent[:sent]
        if len(self._unsent) > _MOST_UNSENT:
            raise CameraGone("broken", "it does not read what it is asked")
