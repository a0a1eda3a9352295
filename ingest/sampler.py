"""Which camera is looked at next: whoever has waited longest measured by its own patience, and nobody starves.

    class (every, patience): those with a frame, in order of their last look ┐ the head with the greatest
    class …                                                                 ├ (now − last look) / patience
    class …                                                                 ┘ whose `every` is over      ─► next
    attended: those looked at closely, earliest due first ─► before all others, up to ATTENTION_SHARE of the time

Within a class everybody is looked at in turn. Between classes, too much work makes all late by one factor of their own
patience: a camera that may show a fire is still seen far more often than one that waits for a parked car. With n
classes of k cameras a choice costs n + log k.
"""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass

from ingest.budget import Capacity, Costs, Load

ATTENTION_SHARE = 1 / 3
"""What looking closely may take while others wait: it makes them late by half as much again, and by no more."""

SPREAD = 4.0
"""How many times further apart close looks come, at most, while others are late: one camera that is looked at four times a
second takes as much as eight that are looked at each 2 s, and a question that is asked each second is settled in time, too."""

JITTER = 1 / 4
"""Share of `every` by which a keyframe may be late and the next one still be due as if it had come in time; and by which one
that waited for its time draws the next look nearer."""

LATE = 1 / 2
"""Share of `every` by which a look may come late and the camera keep its rhythm. One that is later takes its place behind
everybody who waits: there is more work than time, and only that order is even."""

_RHYTHM = 0.2  # weight of the newest interval in what is known of how often a camera gives a picture

Entry = tuple[float, int, int, str]
"""Sorted by an instant, then by turn; the third number tells an entry that holds from one that has been overtaken."""


@dataclass(slots=True)
class _Camera:
    every: float
    patience: float
    turn: int
    anchor: float = -math.inf  # the instant its last look counts as, for rhythm and for order
    before: float = -math.inf  # the same before that look, should it come to nothing
    waits_since: float = -math.inf  # while a frame waits: what it counts as last looked at, see _since
    offered: float = -math.inf
    heard: float | None = None
    rhythm: float = 0.0
    entry: int = 0  # of the entries in heaps, the one that holds; 0 while no frame waits
    closer_every: float = 0.0
    closer_until: float = -math.inf
    closer_due: float = -math.inf
    seen: float | None = None
    closer: bool = False  # whether the look it was taken for is a close one,
    charged_to: bool = False  # whose clock that look was charged to,
    charged: float = 0.0  # and how much, before its cost was known

    @property
    def attended(self) -> bool:
        return self.closer_every > 0

    def no_longer(self, now: float) -> None:
        """Attention ends when its time is up."""
        if self.closer_until <= now:
            self.closer_every = 0.0


class Sampler:
    """Deadlines of the cameras of one worker. Times are monotonic seconds, told by the caller, never going back.

    What is said of a camera that is not among them (any more) changes nothing.
    """

    def __init__(self) -> None:
        self._cameras: dict[str, _Camera] = {}
        self._classes: dict[tuple[float, float], list[Entry]] = {}
        self._attended: list[Entry] = []
        self._numbers = itertools.count(1)
        # Time used by the attended and by all others, each divided by its share: whose clock is behind goes first.
        self._clocks = {True: 0.0, False: 0.0}
        self._costs, self._capacity = Costs(), Capacity()
        self._out: set[str] = set()
        self._out_since = -math.inf
        self._out_cost = 0.0

    def __len__(self) -> int:
        return len(self._cameras)

    # -- who there is -------------------------------------------------------------------------------------------------

    def add(self, camera: str, *, every: float, patience: float) -> None:
        """One more camera, due as soon as it has a frame, as though it had been unseen for its whole patience."""
        if camera in self._cameras:
            raise ValueError(f"camera {camera!r} is here already")
        self._cameras[camera] = _Camera(every, max(every, patience), next(self._numbers))

    def remove(self, camera: str) -> None:
        if self._cameras.pop(camera, None) is not None:
            self._costs.forget(camera)
            self._out.discard(camera)

    def change(self, camera: str, *, every: float, patience: float) -> None:
        """The camera is looked at in another rhythm from now on; when it was looked at last is not forgotten."""
        each = self._cameras.get(camera)
        if each is not None and (each.every, each.patience) != (every, max(every, patience)):
            each.every, each.patience = every, max(every, patience)
            if each.entry:
                self._enter(camera, each)

    def attend(self, camera: str, now: float, *, every: float, until: float) -> None:
        """Look at the camera each `every` until then, beginning now. Saying it again moves `until` and keeps the rhythm."""
        each = self._cameras.get(camera)
        if each is None or until <= now:
            return
        each.no_longer(now)
        begins = not each.attended
        each.closer_every, each.closer_until = every, until
        if begins:
            each.closer_due = now
            if each.entry:
                self._enter(camera, each)

    def settle(self, camera: str) -> None:
        """The camera's question is settled: it is looked at like any other."""
        each = self._cameras.get(camera)
        if each is not None:
            each.closer_every = 0.0

    def hand_over(self, camera: str, to: Sampler) -> None:
        """Another worker looks at the camera from now on: in the same rhythm, and as long after its last look."""
        each, cost = self._cameras.pop(camera), self._costs.of(camera)
        self._costs.forget(camera)
        each.turn, each.charged = next(to._numbers), 0.0
        to._cameras[camera] = each
        to._costs.spent(camera, cost)
        if each.entry:
            to._enter(camera, each)

    # -- whose turn it is ---------------------------------------------------------------------------------------------

    def offer(self, camera: str, now: float) -> None:
        """The camera has a frame waiting. Saying it again changes nothing."""
        each = self._cameras.get(camera)
        if each is None:
            return
        each.no_longer(now)
        if each.heard is not None and not each.attended:
            since = now - each.heard
            each.rhythm += _RHYTHM * (since - each.rhythm) if each.rhythm else since
        each.heard = now
        if not each.entry:
            each.offered = now
            self._enter(camera, each)

    def take(self, now: float, limit: int) -> list[str]:
        """At most `limit` cameras whose time has come, in order; each counts as looked at now."""
        taken: list[str] = []
        while len(taken) < limit and (heap := self._next(now)) is not None:
            camera = heapq.heappop(heap)[3]
            self._taken(camera, now, by_attention=heap is self._attended)
            taken.append(camera)
        return taken

    def give_back(self, camera: str, now: float) -> None:
        """A camera that was taken but could not be looked at: it is due again at once, where it was before."""
        each = self._cameras.get(camera)
        if each is None:
            return
        self._out.discard(camera)
        self._clocks[each.charged_to] -= each.charged
        each.anchor, each.charged, each.closer_due = each.before, 0.0, now
        self._enter(camera, each)

    def looked(self, camera: str, now: float, cost_s: float) -> None:
        """A look was done, and took a worker so long."""
        if camera in self._out:
            self._out.remove(camera)
            self._out_cost += cost_s
            if not self._out:
                self._capacity.turned_around(looks_s=self._out_cost, in_s=now - self._out_since)
        each = self._cameras.get(camera)
        if each is None:
            return
        each.seen = now
        self._costs.spent(camera, cost_s, closer=each.closer)
        # What was charged beforehand was a guess.
        self._clocks[each.charged_to] += _charge(cost_s, by_attention=each.charged_to) - each.charged
        each.charged = 0.0

    # -- what is known ------------------------------------------------------------------------------------------------

    def next_due(self) -> float | None:
        """When the next waiting camera is due; None when none waits."""
        dues = [heap[0][0] + every for (every, _), heap in self._heads()]
        if self._head(self._attended) is not None:
            dues.append(self._attended[0][0])
        return min(dues, default=None)

    def urgency(self, now: float) -> float | None:
        """How much of its patience the camera that would be taken now has waited; None when none would be."""
        heap = self._next(now)
        if heap is None:
            return None
        each = self._cameras[heap[0][3]]
        waited = (now - each.waits_since) / each.patience
        return max(1.0, waited) if heap is self._attended else waited

    def lateness(self, now: float) -> float:
        """For how many seconds a frame of a camera that is due has waited for a worker; 0 when none has."""
        late = 0.0
        for (every, _), heap in self._heads():
            late = max(late, now - max(heap[0][0] + every, self._cameras[heap[0][3]].offered))
        return late

    def staleness(self, camera: str, now: float) -> float | None:
        """Seconds since the last look at the camera was done; None when there was none."""
        each = self._cameras.get(camera)
        return None if each is None or each.seen is None else now - each.seen

    def load(self, now: float) -> Load:
        """What the cameras that give pictures ask for, beside what this worker has. Costs a step for each camera."""
        demand = attention = unhurried = 0.0
        attended, spread = 0, self._spread(now)
        for camera, each in self._cameras.items():
            if each.heard is None:
                continue
            demand += self._demand(camera, each, now, apart=each.every)
            unhurried += self._demand(camera, each, now, apart=each.patience)
            if each.attended and each.closer_until > now:
                attended += 1
                attention += self._costs.of(camera, closer=True) / (each.closer_every * spread)
        capacity = self._capacity.share
        left = capacity - min(attention, capacity * ATTENTION_SHARE)
        return Load(demand, attention, capacity, unhurried / left, len(self._cameras), attended)

    def movable(self, now: float) -> dict[str, float]:
        """The cameras that could change hands now, neither attended nor being looked at, and what each asks for."""
        return {
            camera: self._demand(camera, each, now, apart=each.every)
            for camera, each in self._cameras.items()
            if each.heard is not None and camera not in self._out and not each.attended
        }

    def _demand(self, camera: str, each: _Camera, now: float, *, apart: float) -> float:
        """Seconds of work in a second, were the camera looked at so many seconds apart and as often as its pictures allow."""
        if each.heard is None:
            return 0.0
        # A camera that has fallen silent asks for less and less.
        return self._costs.of(camera) / max(apart, each.rhythm, now - each.heard)

    # -- heaps --------------------------------------------------------------------------------------------------------

    def _enter(self, camera: str, each: _Camera) -> None:
        """Let it wait where it belongs. An entry made before is left where it is, and passed over when it comes up."""
        each.entry = next(self._numbers)
        # Only waiting for us gives precedence: who comes back after an hour, or has never been seen, comes before those
        # within their patience, and not before everybody else.
        each.waits_since = max(each.anchor, each.offered - each.patience)
        entry = (each.waits_since, each.turn, each.entry, camera)
        heapq.heappush(self._classes.setdefault((each.every, each.patience), []), entry)
        if each.attended:
            heapq.heappush(self._attended, (each.closer_due, each.turn, each.entry, camera))

    def _taken(self, camera: str, now: float, *, by_attention: bool) -> None:
        each = self._cameras[camera]
        due = each.anchor + each.every
        each.before, each.entry, each.turn = each.anchor, 0, next(self._numbers)
        # Keyframes come with jitter: one that is a little late does not put off all that follow. One that waited for us
        # longer than that counts from when it came, not from now: else the next would wait as long without need. One that
        # was there before its time had come draws the rhythm towards its own.
        came = now if each.heard is None else each.heard
        if by_attention or now - due > each.every * LATE:
            each.anchor = now
        elif now - due > each.every * JITTER:
            each.anchor = max(due, came)
        else:
            each.anchor = due - min(max(0.0, due - came), each.every * JITTER)
        each.closer, each.closer_due = each.attended, now + each.closer_every * self._spread(now)
        each.charged_to = by_attention
        each.charged = _charge(self._costs.of(camera, closer=each.closer), by_attention=by_attention)
        self._clocks[by_attention] += each.charged
        if now != self._out_since:  # what is still out from before was lost with its worker
            self._out.clear()
            self._out_since, self._out_cost = now, 0.0
        self._out.add(camera)

    def _next(self, now: float) -> list[Entry] | None:
        """The heap whose first camera is next; None when nobody is due."""
        head, idle = self._head(self._attended, now), self._most_impatient(now)
        closer = self._attended if head is not None and head[0] <= now else None
        if closer is None or idle is None:
            # Whoever does not need its share now saves nothing up for later.
            if closer is not None or idle is not None:
                self._clocks[closer is None] = max(self._clocks.values())
            return closer or idle
        return closer if self._clocks[True] <= self._clocks[False] else idle

    def _most_impatient(self, now: float) -> list[Entry] | None:
        """The class whose first camera has waited longest for its patience, of those whose time has come."""
        found, most = None, -1.0
        for (every, patience), heap in self._heads():
            since = heap[0][0]
            if since + every <= now and (now - since) / patience > most:
                found, most = heap, (now - since) / patience
        return found

    def _spread(self, now: float) -> float:
        """How much further apart close looks come: by the factor by which the others are late."""
        late = max(((now - heap[0][0]) / patience for (_, patience), heap in self._heads()), default=0.0)
        return min(SPREAD, max(1.0, late))

    def _heads(self) -> list[tuple[tuple[float, float], list[Entry]]]:
        """The classes in which somebody waits, each with an entry that holds on top."""
        found = []
        for key, heap in list(self._classes.items()):
            if self._head(heap) is None:
                del self._classes[key]
            else:
                found.append((key, heap))
        return found

    def _head(self, heap: list[Entry], now: float = -math.inf) -> Entry | None:
        """The first entry that holds; those before it are removed."""
        while heap:
            _, _, number, camera = heap[0]
            each = self._cameras.get(camera)
            if each is not None and each.entry == number:
                each.no_longer(now)
                if each.attended or heap is not self._attended:
                    return heap[0]
            heapq.heappop(heap)
        return None


def _charge(cost_s: float, *, by_attention: bool) -> float:
    return cost_s / (ATTENTION_SHARE if by_attention else 1 - ATTENTION_SHARE)
