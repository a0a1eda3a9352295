"""What the network process tells the others each second: states, blind spells, and that it lives."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from citybrain import wire
from citybrain.clock import Clock, iso
from citybrain.domain.detection import Detections
from citybrain.errors import BusAway
from citybrain.ports import Bus, HotStore
from ingest.states import BLIND_EVERY_S, REPEAT_STATE_S, State, blind_look, overloaded_after, stale_after
from ingest.strikes import Strikes
from ingest.unserved import Unserved
from ingest.watched import Watched

log = logging.getLogger(__name__)

TICK_S = 1.0
STATE_TTL = timedelta(seconds=30)
GREATEST = ("lateness_s", "load.stretch", "share.away_s", "share.rounds")
"""Of several processes, the greatest of these says how the whole is; all other figures are summed."""


class Telling:
    """Tells of the cameras in `cameras`, which come and go; `figures` gives what else the heartbeat says.

    Of a camera that is leaving nothing is told: it is another process's by now, which tells of it. `name` tells the processes
    that share a city's cameras apart.
    """

    def __init__(
        self,
        cameras: Mapping[str, Watched],
        *,
        bus: Bus,
        hot: HotStore,
        clock: Clock,
        strikes: Strikes,
        figures: Callable[[], Mapping[str, Any]],
        name: str = "0",
    ) -> None:
        self._cameras, self._strikes, self._figures, self._name = cameras, strikes, figures, name
        self.unserved = Unserved()
        self._untold = 0
        self._bus, self._hot, self._clock = bus, hot, clock
        # Bus and hot store write to disk: one thread for them, so that a slow disk slows no camera.
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tell")

    def close(self) -> None:
        self._writer.shutdown(wait=True)

    async def run(self) -> None:
        """Each second: who has become stale, who is blind, what changed, and that we live."""
        loop = asyncio.get_running_loop()
        while True:
            blind, states = self.tick()
            beat = self.heartbeat()
            try:
                await loop.run_in_executor(self._writer, self._write, blind, states, beat)
            except Exception:  # the outermost loop of telling: a full disk must not end the looking
                log.exception("could not tell states and blind spells")
            await asyncio.sleep(TICK_S)

    def tick(self) -> tuple[list[Detections], list[tuple[str, bytes]]]:
        """The looks that say blind, and the states to be told, as of now."""
        now, now_s = self._clock.now(), self._clock.monotonic()
        blind, refused = self.unserved.tick(now, now_s)
        states = [(f"camera/{state.id}", wire.dumps({**state.as_json(), "by": self._name})) for state in refused]
        for each in self._told():
            state = each.state
            unseen = timedelta(seconds=now_s - each.last_s)
            if unseen > stale_after(each.settings.look_every):
                reason = self._starved_by(each, now_s)
                if reason != "overloaded" or unseen > overloaded_after(
                    each.settings.look_every, patience=each.patience
                ):
                    state.starved(reason, now)
            if not state.seen and now_s - max(each.last_s, each.blind_told_s) >= BLIND_EVERY_S:
                each.blind_told_s = now_s
                each.seq += 1
                blind.append(blind_look(state, each.seq, now, behind=each.behind, taken_up_at=each.taken_up_at))
            # Figures change with every look; what a person must know at once is in the headline.
            headline = state.headline, each.late(now_s)
            if headline != each.told or now_s - each.told_s >= REPEAT_STATE_S:
                each.told, each.told_s = headline, now_s
                states.append(
                    (f"camera/{state.id}", wire.dumps({**state.as_json(), **_age(each, now_s), "by": self._name}))
                )
        return blind, states

    def heartbeat(self) -> bytes:
        counts, now_s = dict.fromkeys((state.value for state in State), 0), self._clock.monotonic()
        counts[State.REFUSED.value] = len(self.unserved)
        cameras = self._told()
        for each in cameras:
            counts[each.state.state.value] += 1
        figures = {
            **{f"cameras.{state}": count for state, count in counts.items()},
            "looks": sum(each.state.looks for each in cameras),
            "overtaken": sum(each.state.overtaken for each in cameras),
            "late": sum(each.late(now_s) for each in cameras),
            "lost_looks": sum(each.state.lost_looks for each in cameras),
            **{
                f"gate_{what}": sum(getattr(each.state, f"gate_{what}") for each in cameras)
                for what in ("skipped", "audited", "missed")
            },
            "untold": self._untold,
            **self._figures(),
        }
        said = {"at": iso(self._clock.now()), "pid": os.getpid(), "every_s": TICK_S, "greatest": GREATEST}
        return wire.dumps({**said, "figures": figures})

    def _told(self) -> list[Watched]:
        return [each for each in self._cameras.values() if not each.leaving]

    def _starved_by(self, each: Watched, now_s: float) -> str:
        if self._strikes.resting(each.state.id, now_s):
            return "decoder crash"
        if each.unreadable_since_s is not None:
            return "no picture"
        if each.mailbox.waiting:
            return "overloaded"
        return "silent"

    def _write(self, blind: Sequence[Detections], states: Sequence[tuple[str, bytes]], beat: bytes) -> None:
        for each in blind:
            try:
                self._bus.offer(wire.DETECTIONS, each.camera, wire.write_detections(each))
            except BusAway as error:  # a newer one comes in five seconds
                if self._untold == 0:
                    log.error("%s is not told that %s sees nothing: %s", wire.DETECTIONS, each.camera, error)  # noqa: TRY400
                self._untold += 1
        for key, value in states:
            self._hot.put(key, value, ttl=STATE_TTL)
        self._hot.put(f"heartbeat/ingest/{self._name}", beat, ttl=STATE_TTL)


def _age(each: Watched, now_s: float) -> dict[str, float | bool | None]:
    longest = each.state.staleness.longest(now_s)
    return {
        "staleness_s": None if longest is None else round(longest, 1),
        "patience_s": each.patience.total_seconds(),
        "late": each.late(now_s),
    }
