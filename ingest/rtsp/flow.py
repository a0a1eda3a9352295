"""The media of one camera: packets in, keyframes out, and what lies between them kept as it came.

Thousands of cameras send some fifty packets a second each, so that every step here is counted: a packet costs one
`unpack_from`, a few comparisons and one look into a table. Nothing is taken apart but keyframes, and what is asked for
later. What came is set aside in ranges as long as one read:

    … slice slice slice ┊ sets    slice(key) slice(key, marker) ┊ slice slice …
      PLAIN             ┊ BEFORE  IN_KEY     ▸ handed on        ┊ PLAIN
      kept with the group before                                ┊ kept with this one

A gap in the numbers ends the group that is kept; a keyframe with a gap in it is dropped and counted.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Protocol

from citybrain.errors import CameraGone
from citybrain.ports import Unit
from ingest.kept import Group, Kept
from ingest.rtsp import codecs, ranges
from ingest.rtsp.codecs import AGGREGATE, CODECS, FOREIGN, FRAGMENT, KEY, PRELUDE, SETS, SLICE, Codec
from ingest.rtsp.ranges import LEAST, Bytes, Of

MOST_FOREIGN = 25
"""About a second of packets that cannot be of the codec announced."""

# '$' and channel, length; version and flags, marker and type, sequence, stamp, source
_PACKET = struct.Struct(">HHBBHII")
_LONGEST_KEYFRAME = 16 << 20
_LATE = 100  # packets that come so little behind the newest are late; from further behind, the sender began anew
_PLAIN, _BEFORE, _IN_KEY = range(3)


class Taker(Protocol):
    """Who is told what a flow finds."""

    def keyframe(self, data: bytes, stamp: int) -> None:
        """A whole keyframe in Annex B, its parameter sets in front."""
        ...

    def control(self, packet: bytes) -> None:
        """An RTCP packet."""
        ...

    def words(self, data: Bytes, start: int, end: int) -> int:
        """Something that is no packet: where it ends, or `start` when more must come."""
        ...


@dataclass(slots=True)
class Counts:
    """What a flow met. `dropped` are keyframes with a gap in them, `setless` those that came before any parameter sets."""

    packets: int = 0
    lost: int = 0
    late: int = 0
    keyframes: int = 0
    dropped: int = 0
    setless: int = 0


@cache
def process_counts() -> Counts:
    """What all flows of this process met together, over whom nobody else keeps count when their connections end."""
    return Counts()


class Flow:
    """Takes the packets of one video, framed as inside an RTSP connection, whoever carried them."""

    def __init__(
        self,
        codec: str,
        type_: int,
        *,
        taker: Taker,
        kept: Kept,
        channel: int = 0,
        control_channel: int = 1,
        sets: tuple[bytes, ...] = (),
        totals: Counts | None = None,
    ) -> None:
        self.codec: Codec = CODECS[codec]
        self.counts, self._totals = Counts(), totals or Counts()
        self.source: int | None = None
        self._taker, self._kept = taker, kept
        self._of, self._control_head = Of(0x2400 | channel, type_), 0x2400 | control_channel
        self._sets: dict[int, list[bytes]] = {}
        for unit in sets:
            self._sets.setdefault(self.codec.type_of(unit), []).append(unit)
        self._first = 0
        self._expected: int | None = None  # the next sequence number
        self._foreign = 0
        # The access unit at hand, and its packets from earlier reads.
        self._stamp, self._state = -1, _PLAIN
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._gap_before, self._gap_within = False, True  # what came before the first packet nobody knows
        self._has_sets = self._recovers = False
        self._done_stamp = -1
        self._markers_lie = False

    @property
    def highest(self) -> int:
        """The highest sequence number, with the turns of the number above its 16 bits."""
        if self._expected is None:
            return 0
        newest = (self._expected - 1) & 0xFFFF
        about = self._first + self.counts.packets + self.counts.lost - 1
        return newest + (max(0, round((about - newest) / 65536)) << 16)

    @property
    def extradata(self) -> bytes:
        """The parameter sets as known now, in Annex B."""
        return codecs.annex_b([unit for type_ in self.codec.order for unit in self._sets.get(type_, ())])

    def feed(self, data: Bytes, end: int) -> int:  # noqa: C901, PLR0912, PLR0915  # the loop that every packet runs through
        """Take the packets in data[:end]; how much was taken. The rest must come again with what follows it.

        Raises CameraGone when it is not what was announced.
        """
        unpack, kinds, fragments, fragment_at = (
            _PACKET.unpack_from,
            self.codec.kinds,
            self.codec.fragments,
            self.codec.head,
        )
        head_wanted, type_wanted = self._of
        source_wanted, expected, foreign = self.source, self._expected, self._foreign
        stamp_now, state = self._stamp, self._state
        position = begun = packets = 0
        while end - position >= LEAST:
            head, length, first, second, sequence, stamp, source = unpack(data, position)
            after = position + 4 + length
            payload = position + 16
            if (
                head != head_wanted
                or first != 0x80
                or source != source_wanted
                or second & 0x7F != type_wanted
                or length < LEAST - 4
            ):
                self._stamp, self._state = stamp_now, state
                if head >> 8 != 0x24:
                    self._set_aside(data, begun, position)
                    begun, state = position, self._state
                    after = self._taker.words(data, position, end)
                    if after == position:
                        break
                    position = begun = after
                    continue
                if after > end:
                    break
                self._expected = expected
                payload = self._unusual(data, position, after)
                expected, source_wanted = self._expected, self.source
                if payload == 0:
                    position = after
                    continue
            elif after > end:
                break
            packets += 1
            if sequence != expected:
                self._stamp, self._state = stamp_now, state
                if expected is None:
                    self._first = sequence - self.counts.packets - packets
                else:
                    self._set_aside(data, begun, position)
                    begun, state = position, self._state
                    if 0 < (expected - sequence) & 0xFFFF <= _LATE:
                        self.counts.late += 1
                        self._totals.late += 1
                        position = begun = after
                        continue
                    self._gap((sequence - expected) & 0xFFFF)
            expected = (sequence + 1) & 0xFFFF
            kind = kinds[data[payload]]
            if kind == FRAGMENT:
                kind = fragments[data[payload + fragment_at]] if after - payload > fragment_at else FOREIGN
            if kind == SLICE and state == _PLAIN:  # by far the most
                stamp_now = stamp
                foreign = 0
            elif kind == FOREIGN:
                foreign += 1
                if foreign >= MOST_FOREIGN:
                    raise CameraGone("codec changed", f"these packets are not {self.codec.name}")
            else:
                self._stamp, self._state = stamp_now, state
                begun = self._turn(data, (begun, position, payload, after), stamp, kind, marker=second & 0x80 != 0)
                stamp_now, state = self._stamp, self._state
                foreign = 0 if kind in (SLICE, KEY) else foreign
            position = after
        self._expected, self._foreign, self._stamp, self._state = expected, foreign, stamp_now, state
        self.counts.packets += packets
        self._totals.packets += packets
        self._set_aside(data, begun, position)
        return self._short(data, position, end)

    def _short(self, data: Bytes, position: int, end: int) -> int:
        """What is left may be packets too short to be of the video: a goodbye is, and nothing may come after it."""
        while end - position >= 4 and data[position] == 0x24:
            after = position + 4 + (data[position + 2] << 8 | data[position + 3])
            if after > end or after - position >= LEAST:
                break
            self._unusual(data, position, after)
            position = after
        return position

    # -- access units -------------------------------------------------------------------------------------------------

    def _turn(  # noqa: C901, PLR0912  # one state machine reads better in one piece
        self, data: Bytes, where: tuple[int, int, int, int], stamp: int, kind: int, *, marker: bool
    ) -> int:
        """A packet that is not simply one more slice: from where on packets are to be set aside now.

        `where`: from where on they were so far; where the packet begins, its payload begins, and it ends.
        """
        begun, position, payload, after = where
        fresh = stamp != self._stamp
        if fresh:
            if self._state != _PLAIN:
                begun = self._finish(data, begun, position)
            self._stamp = stamp
            self._gap_before, self._gap_within = self._gap_within, False
            self._has_sets = self._recovers = False
        if kind == AGGREGATE:
            kind = codecs.kind_within(self.codec, memoryview(data)[payload:after])
        if kind == SLICE and self._recovers:
            kind = KEY
        if kind == SLICE:
            if self._state == _BEFORE:
                self._set_aside(data, begun, position)
                begun = position
                self._release()
            return begun
        if kind == KEY and stamp == self._done_stamp:
            self._markers_lie = True  # another part of the keyframe that its marker had ended
            return begun
        if self._state == _PLAIN:
            if not fresh:
                return begun  # behind slices of the same picture: nothing begins here
            self._set_aside(data, begun, position)
            begun, self._state = position, _BEFORE
        if kind == KEY:
            self._state = _IN_KEY
        elif kind == SETS:
            self._has_sets = True
        elif kind == PRELUDE and not self._recovers:
            self._recovers = codecs.recovers(self.codec, memoryview(data)[payload:after])
        if marker and self._state == _IN_KEY and not self._markers_lie:
            return self._finish(data, begun, after)
        return begun

    def _set_aside(self, data: Bytes, begun: int, until: int) -> None:
        """Keep what came, with the access unit at hand or with the group."""
        if until <= begun:
            return
        part = bytes(memoryview(data)[begun:until])
        if self._state == _PLAIN:
            self._kept.add(part)
            return
        self._held.append(part)
        self._held_bytes += len(part)
        if self._held_bytes > _LONGEST_KEYFRAME:
            self._drop()

    def _release(self) -> None:
        """What was held turned out to be an ordinary picture's."""
        if self._has_sets:
            self._remember(ranges.units_of(b"".join(self._held), self._of, self.codec))
        for part in self._held:
            self._kept.add(part)
        self._held, self._held_bytes, self._state = [], 0, _PLAIN

    def _finish(self, data: Bytes, begun: int, until: int) -> int:
        """The access unit at hand ends here: it is handed on when it is a keyframe and whole."""
        self._set_aside(data, begun, until)
        if self._state == _BEFORE:
            self._release()
        elif self._state == _IN_KEY:
            raw = b"".join(self._held)
            self._held, self._held_bytes, self._state = [], 0, _PLAIN
            self._done_stamp = self._stamp
            self._hand_on(ranges.units_of(raw, self._of, self.codec))
        return until

    def _hand_on(self, found: list[bytes]) -> None:
        slices = [unit for unit in found if self.codec.kind_of(unit) in (KEY, SLICE)]
        headless = self._gap_before and not (slices and self.codec.is_first_slice(slices[0]))
        if self._gap_within or headless or not slices:
            self._drop()
            return
        self._remember(found)
        if any(type_ not in self._sets for type_ in self.codec.order):
            self.counts.setless += 1
            self._totals.setless += 1
            self._kept.lose()
            return
        present = {self.codec.type_of(unit) for unit in found}
        missing = [unit for type_ in self.codec.order if type_ not in present for unit in self._sets[type_]]
        at = 1 if self.codec.type_of(found[0]) == self.codec.delimiter else 0
        self.counts.keyframes += 1
        self._totals.keyframes += 1
        self._taker.keyframe(codecs.annex_b([*found[:at], *missing, *found[at:]]), self._stamp)

    def _drop(self) -> None:
        self.counts.dropped += 1
        self._totals.dropped += 1
        self._held, self._held_bytes, self._state = [], 0, _PLAIN
        self._kept.lose()

    def _remember(self, found: list[bytes]) -> None:
        """Parameter sets in band take the place of those of their type that were known before."""
        fresh: dict[int, list[bytes]] = {}
        for unit in found:
            if self.codec.type_of(unit) in self.codec.order:
                fresh.setdefault(self.codec.type_of(unit), []).append(unit)
        self._sets.update(fresh)

    # -- what is unusual ----------------------------------------------------------------------------------------------

    def _unusual(self, data: Bytes, position: int, after: int) -> int:
        """Where the payload of a packet begins that is not the usual one; 0 when it is none of our video."""
        if data[position] << 8 | data[position + 1] == self._control_head:
            self._taker.control(bytes(memoryview(data)[position + 4 : after]))
            return 0
        found = ranges.payload_of(data, position, after, self._of)
        if found is None:
            return 0
        source = int.from_bytes(data[position + 12 : position + 16], "big")
        if source != self.source:
            if self.source is not None:
                self._gap(0)
            self.source, self._expected = source, None
        return found[0]

    def _gap(self, missing: int) -> None:
        """Something did not come, or another sender began."""
        if missing < 0x8000:
            self.counts.lost += missing
            self._totals.lost += missing
        self._gap_within = True
        self._kept.lose()

    # -- what was kept ------------------------------------------------------------------------------------------------

    def take_apart(self, group: Group, clock_hz: int) -> None:
        """Turn what a group kept as it came into units, up to the last one that is known to be complete."""
        raw, taken = b"".join(group.raw), 0
        by_marker, closed = not self._markers_lie, group.closed and group.whole
        for stamp, data, rest in ranges.pictures(raw, self._of, self.codec, by_marker=by_marker, closed=closed):
            taken = rest
            ahead = (stamp - group.mark + (1 << 31)) % (1 << 32) - (1 << 31)
            at = group.key.captured_at + timedelta(seconds=ahead / clock_hz)
            if data:
                group.units.append(Unit(data, at, keyframe=False))
        group.raw = [raw[taken:]] if taken < len(raw) else []
