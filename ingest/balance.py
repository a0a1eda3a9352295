"""Cameras go from the worker that has most to do to the one that has least: a few at a time, until both have as much.

Each camera belongs to one worker, for what that one remembers of its view; which looks cost much is known only once they
are done, and a core may be slower than its like. A camera that changes hands costs one look at the whole view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ingest.sampler import Sampler

BALANCE_EVERY_S = 5.0
BUSY = 0.5
"""Share of a worker's time below which nobody waits for it, and its cameras stay."""
UNEVEN = 0.1
"""Share of the greater load by which two workers may differ: costs are averages and never quite known."""
AT_ONCE = 0.05
"""Share of a worker's cameras that change hands in one round."""


@dataclass(frozen=True, slots=True)
class Move:
    """A camera has changed hands."""

    camera: str
    worker: int


def balance(samplers: Sequence[Sampler], now: float) -> list[Move]:
    """Let cameras change hands where that makes the loads more even; which ones have. Times are monotonic seconds."""
    loads = [sampler.load(now) for sampler in samplers]
    most = max(range(len(samplers)), key=lambda worker: loads[worker].share)
    least = min(range(len(samplers)), key=lambda worker: loads[worker].share)
    apart = loads[most].share - loads[least].share
    if loads[most].share < BUSY or apart < UNEVEN * loads[most].share:
        return []
    # Seconds of work in a second, after whose move both have the same share of what each has.
    left = apart / (1 / loads[most].capacity + 1 / loads[least].capacity)
    demands = samplers[most].movable(now)
    moves: list[Move] = []
    for camera, demand in sorted(demands.items(), key=lambda each: (-each[1], each[0])):
        if len(moves) >= max(1, round(len(demands) * AT_ONCE)):
            break
        if 0 < demand <= left:
            left -= demand
            samplers[most].hand_over(camera, samplers[least])
            moves.append(Move(camera, least))
    return moves
