"""Cameras and one worker in simulated time: who was looked at when, under whatever load."""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ingest.sampler import Sampler

BATCH = 4


@dataclass(frozen=True)
class Simulated:
    """A camera: how often it gives a keyframe (with some jitter) and what a look at it costs at least and at most."""

    id: str
    every: float
    patience: float
    gives_each: float = 1.0
    costs: tuple[float, float] = (0.008, 0.030)


@dataclass
class Street:
    """A worker that looks at the simulated cameras; `run` may be called again, and things may be done between."""

    cameras: Sequence[Simulated]
    seed: int = 0
    now: float = 0.0
    looks: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    sampler: Sampler = field(default_factory=Sampler)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.by_id = {each.id: each for each in self.cameras}
        self.keyframes: list[tuple[float, float, str]] = []
        self.attended_until: dict[str, float] = {}
        for each in self.cameras:
            self.sampler.add(each.id, every=each.every, patience=each.patience)
            self._begin(each)

    def _begin(self, each: Simulated) -> None:
        nominal = self.now + self.random.random() * each.gives_each
        heapq.heappush(self.keyframes, (nominal, nominal, each.id))

    def attend(self, cameras: Sequence[str], *, every: float, lasts: float) -> None:
        """Open questions on these cameras, as a worker's answer would."""
        for camera in cameras:
            self.attended_until[camera] = self.now + lasts
            self.sampler.attend(camera, self.now, every=every, until=self.now + lasts)
            self.sampler.offer(camera, self.now)

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self._keyframes_until_now()
            taken = self.sampler.take(self.now, BATCH)
            if not taken:
                due = self.sampler.next_due()
                self.now = min(self.keyframes[0][0], until, until if due is None else max(due, self.now + 1e-6))
                continue
            costs = [self.random.uniform(*self.by_id[camera].costs) for camera in taken]
            self.now += sum(costs)
            self._keyframes_until_now()
            for camera, cost in zip(taken, costs, strict=True):
                self.looks[camera].append(self.now)
                self.sampler.looked(camera, self.now, cost)
                if self.attended_until.get(camera, 0.0) > self.now:  # its source gives whatever is newest, at any time
                    self.sampler.offer(camera, self.now)

    def _keyframes_until_now(self) -> None:
        while self.keyframes[0][0] <= self.now:
            at, nominal, camera = heapq.heappop(self.keyframes)
            self.sampler.offer(camera, at)
            nominal += self.by_id[camera].gives_each
            jitter = self.random.uniform(-0.04, 0.04)
            heapq.heappush(self.keyframes, (max(at, nominal + jitter), nominal, camera))

    def longest_gap(self, camera: str, *, since: float) -> float:
        """The longest time between two looks at it, the one that lasts included."""
        looks = [since, *(at for at in self.looks[camera] if at >= since), self.now]
        return max(later - earlier for earlier, later in pairwise(looks))
