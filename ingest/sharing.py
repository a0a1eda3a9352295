"""Which of several processes looks at which cameras: pure. Kafka's coordinator says who is there, in rounds called generations.

    who is there ──► shared_out: everybody keeps what it has, as far as that is not more than its part
                          │
                          ▼ a new generation
    `cameras` ──► Share: which are mine, ── a moment without another one (SETTLE_S) ──► Part: look at these, and for a moment
                  what is said of them                                                  at those that another was just given

Nothing is stopped because a round begins. Whoever is given a camera opens it; whoever had it goes on until the other one sees
it (LINGER_S), tells of it no more, and then leaves it. So nobody is blind meanwhile, and for a moment two look at one camera: the
pipeline takes their looks in order of time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from ingest.turns import OPENS_A_SECOND

SETTLE_S = 0.5
"""How long a generation must stand before it is acted on: processes that start together make several."""

SETTLED_S = 2.0
"""How long at most it is waited for that, however they come and go."""

LINGER_S = 6.0
"""How long at most a camera is looked at further that another process was given, until that one says that it sees it; the time
that its connections take comes on top."""


@dataclass(frozen=True, slots=True)
class Sharer:
    """What a process says of itself when a round begins: how much it can do, and what it has, since which generation."""

    workers: int
    has: frozenset[int] = frozenset()
    generation: int = -1


def shared_out(partitions: Collection[int], sharers: Mapping[str, Sharer]) -> dict[str, list[int]]:
    """Each partition to one process, in proportion to their workers; as few as can be change hands.

    Where two say that they have one (a process that was away and does not know yet), the newer generation is right.
    """
    has = _claims(partitions, sharers)
    parts = _parts(len(partitions), sharers, has)
    given = {name: sorted(has[name])[: parts[name]] for name in sharers}
    left = sorted(set(partitions) - {each for mine in given.values() for each in mine}, reverse=True)
    for name in sorted(sharers):
        while len(given[name]) < parts[name]:
            given[name].append(left.pop())
    return {name: sorted(mine) for name, mine in given.items()}


def _claims(partitions: Collection[int], sharers: Mapping[str, Sharer]) -> dict[str, set[int]]:
    has: dict[str, set[int]] = {name: set() for name in sharers}
    known = set(partitions)
    taken: set[int] = set()
    for name in sorted(sharers, key=lambda each: (-sharers[each].generation, each)):
        has[name] = (set(sharers[name].has) & known) - taken
        taken |= has[name]
    return has


def _parts(count: int, sharers: Mapping[str, Sharer], has: Mapping[str, Collection[int]]) -> dict[str, int]:
    """How many each gets: one after the other to whoever has the fewest for its workers, and where that is equal, to whoever
    has more already."""
    parts = dict.fromkeys(sharers, 0)
    for _ in range(count if sharers else 0):
        name = min(
            parts, key=lambda each: ((parts[each] + 1) / sharers[each].workers, parts[each] >= len(has[each]), each)
        )
        parts[name] += 1
    return parts


@dataclass(frozen=True, slots=True)
class Part:
    """What a process is to look at: its own cameras, and those that it leaves, each with what the topic says of it."""

    generation: int
    cameras: Mapping[str, bytes]
    leaving: Mapping[str, bytes]


@dataclass(slots=True)
class _Partition:
    """What the topic says, as far as it was read: up to `place`; `known` once that was all there is."""

    place: int = 0
    known: bool = False
    acted: bool = False
    entries: dict[str, bytes] = field(default_factory=dict)


class Share:
    """One process's part. Monotonic seconds end in `_s`, and never go back."""

    def __init__(self) -> None:
        self.generation = -1
        self._partitions: dict[int, _Partition] = {}
        self._mine: frozenset[int] = frozenset()
        self._lingers: dict[int, float] = {}
        self._waits_since_s: float | None = None
        self._due_s: float | None = None

    @property
    def mine(self) -> frozenset[int]:
        """The partitions of the newest generation."""
        return self._mine

    def assigned(self, partitions: Iterable[int], *, generation: int, now_s: float) -> Mapping[int, int]:
        """A round is over, and these are ours. From which place each is to be read on."""
        before, self._mine, self.generation = self._mine, frozenset(partitions), generation
        for each in before - self._mine:
            left = self._partitions[each]
            left.known = False  # nobody reads it to us from now on
            if left.acted:
                self._lingers[each] = now_s + SETTLE_S + LINGER_S + len(left.entries) / OPENS_A_SECOND
        for each in self._mine:
            self._partitions.setdefault(each, _Partition())
            self._lingers.pop(each, None)
        if before < self._mine and any(self._partitions[each].acted for each in before) and self._due_s is None:
            self._due_s = now_s  # somebody of an old company is gone: nobody else looks at what was theirs
        else:
            self._settle(now_s)
        return {each: self._partitions[each].place for each in self._mine}

    def heard(self, partition: int, place: int, camera: str, entry: bytes | None, *, now_s: float) -> None:
        """The topic says this of a camera, or (None) that it is no more; `place` orders what a partition says."""
        if partition not in self._mine:
            return
        read = self._partitions[partition]
        if place < read.place:  # somebody made the topic anew: what was said of it is over
            read.entries.clear()
        read.place = place + 1
        if entry is None:
            read.entries.pop(camera, None)
        else:
            read.entries[camera] = entry
        if read.known and self._due_s is None:
            self._due_s = now_s + SETTLE_S

    def caught_up(self, partition: int, *, now_s: float) -> None:
        """The partition was read to its end."""
        read = self._partitions.get(partition)
        if partition in self._mine and read is not None and not read.known:
            read.known = True
            if self._due_s is None:
                self._due_s = now_s

    def part(self, now_s: float) -> Part | None:
        """What to look at from now on; None when nothing is to be changed yet."""
        ended = [each for each, until_s in self._lingers.items() if until_s <= now_s]
        if (self._due_s is None or now_s < self._due_s) and not ended:
            return None
        if self._due_s is not None and now_s >= self._due_s:
            self._due_s = self._waits_since_s = None
            for each in self._mine:
                self._partitions[each].acted |= self._partitions[each].known
        for each in ended:
            del self._lingers[each]
        for each in set(self._partitions) - self._mine - set(self._lingers):
            del self._partitions[each]
        acted = {each for each, read in self._partitions.items() if read.acted}
        return Part(self.generation, self._said(acted & self._mine), self._said(acted - self._mine))

    def next_s(self) -> float | None:
        """When `part` will have something new, unless something is heard before."""
        return min((each for each in (self._due_s, *self._lingers.values()) if each is not None), default=None)

    def _settle(self, now_s: float) -> None:
        if self._waits_since_s is None:
            self._waits_since_s = now_s
        self._due_s = min(now_s + SETTLE_S, self._waits_since_s + SETTLED_S)

    def _said(self, partitions: Iterable[int]) -> dict[str, bytes]:
        return {
            camera: entry for each in sorted(partitions) for camera, entry in self._partitions[each].entries.items()
        }
