"""How many cameras one machine carries, and what becomes of twice and four times as many.

Carried is a number of cameras each of which is looked at within 2 s (every keyframe of it), with 99 of 100 looks told within
3 s of the picture. The whole of citybrain runs as it ships, with a simulated camera for each: simulator and desk on the
same machine, their cost told apart.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import footage
from bench.crowd import Group, Seen, seen, write
from bench.endtoend import percentile
from bench.machine import machine
from bench.processes import Taken, taken
from bench.running import FOOTAGE, Running, running, wait_until
from citybrain.clock import SystemClock, instant
from citybrain.demo import footage_clip
from citybrain.demo.city import CONFIG as DEMO
from citybrain.deployment import DataFolder
from citybrain.errors import Transient, UsageError

log = logging.getLogger(__name__)

EVERY_S = 2.0
"""A keyframe each 2 s is what cameras send and what is looked at: the patience of the scene that is in the greatest hurry."""
LATENCY_S, DESK_S = 3.0, 10.0
JITTER_S = 0.2
LEAST_SEEN = 0.999
"""Share of the spells between two looks that must be no longer than that: one keyframe in a thousand may be missed."""
OVERLOADS = (2.0, 4.0)

_KINDS = ("sub-h264", "sub-h265", "main-h264", "main-h265")
_WITHOUT_GATE = ("sub-h264", "main-h264")
_BUSY = ("busy-sub-h264", "busy-main-h264")
_PARTS = ("carried", "without-gate", "busy", "overload")
_SECONDS = 30.0
_WARM_S = 15.0
_FIRST = 48
_CLOSE_ENOUGH = 0.06
_MOST_STEPS = 9
_OVERLOADED_S = 60.0
_MOST_CORRECTIONS = 4
_FIRES = 12
_FIRE_BEGINS_S, _FIRE_CLIP_S = 20.0, 190.0  # configs/demo/footage/fire.yaml
_OURS = ("ingest", "worker", "pipeline", "api", "up")
# On one of the clips the shipped model takes a cloud for smoke now and then (0.33), which every camera of the crowd would
# do in its turn: a city of nothing but such cameras is none.
_SURE = {"when": {"labels": ["fire", "smoke"], "min_confidence": 0.4}}
_SCENES: Mapping[str, Mapping[str, Any]] = {
    "fire_risk": _SURE,
    "waterlogging": {},
    "illegal_parking": {},
    "stall_spillover": {},
}
_MIXED: Mapping[str, Mapping[str, Any]] = {
    "fire_risk": {**_SURE, "zone_kind": "pavement"},
    "waterlogging": {},
    "illegal_parking": {},
}
"""Fire is looked for in one kind of zone only: so that some cameras may be looked at less often."""

_CLOCK = SystemClock()


@dataclass(frozen=True)
class Step:
    """One number of cameras, measured for a while. `fires`: seconds after the start at which each one breaks out."""

    groups: Sequence[Group]
    seconds: float
    gate: bool = True
    scenes: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: _SCENES)
    drain_s: float = EVERY_S + 1
    fires: Sequence[float] = ()


@dataclass(frozen=True)
class Found:
    """What a step showed."""

    step: Step
    seen: Seen
    before: Taken
    after: Taken
    figures: Mapping[str, float]
    cases: Sequence[Mapping[str, Any]] = ()
    epoch_s: float = 0.0

    @property
    def cameras(self) -> int:
        return sum(group.count for group in self.step.groups)

    @property
    def crowd(self) -> Seen:
        """Without the cameras that show a fire."""
        return self.seen.only(camera for camera in self.seen.looks if not camera.startswith("fire-"))

    @property
    def load(self) -> float:
        return self._figure("load.demand") / (self._figure("load.capacity") or 1.0)

    @property
    def times(self) -> float:
        """How many times as many looks were wanted of the crowd as it got."""
        crowd = self.crowd
        return len(crowd.looks) / EVERY_S / max(0.1, sum(crowd.count().values()) / crowd.seconds)

    @property
    def carried(self) -> bool:
        gaps, latencies = self.seen.gaps(), self.seen.latencies()
        if not latencies:
            return False
        return percentile(gaps, LEAST_SEEN) <= EVERY_S + JITTER_S and percentile(latencies, 0.99) <= LATENCY_S

    def told(self) -> dict[str, Any]:
        cores = self.after.cores_since(self.before)
        return {
            "cameras": self.cameras,
            **self.seen.told(),
            "load": round(self.load, 2),
            "stretch": round(self._figure("load.stretch"), 2),
            "attended": int(self._figure("attended")),
            "lost_looks": int(self._figure("lost_looks")),
            "cores": {
                **{role: cores[role] for role in ("ingest", "worker", "pipeline", "api")},
                "simulator": cores["cameras"],
            },
            "memory_mb": round(self.after.memory_mb(_OURS)),
        }

    def _figure(self, name: str) -> float:
        return float(self.figures.get(f"ingest.{name}", 0.0))


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """All of it takes some 50 minutes; `--only` measures a part, `--seconds` says how long each step lasts."""
    parts = tuple(given.only or _PARTS)
    if unknown := [part for part in parts if part not in _PARTS]:
        raise UsageError(f"bench city --only {unknown[0]}: expected one of {', '.join(_PARTS)}")
    seconds = given.seconds or _SECONDS
    clips = footage.clips((*_KINDS, *_BUSY), source=given.clips)
    result: dict[str, Any] = {"machine": machine(), "seconds": seconds, "look_every_s": EVERY_S, "target": _target()}
    carried: dict[str, int] = {}
    if "carried" in parts:
        rows = []
        for name in _KINDS:
            # The other codec of the same size carries about as many: a good place to begin.
            rows.append(search(clips[name], seconds, first=carried.get(name.replace("h265", "h264"), _FIRST)))
            carried[name] = rows[-1]["cameras"]
        result["carried"] = rows
    if "without-gate" in parts:
        first = {name: round(carried.get(name, _FIRST) * 0.8) for name in _WITHOUT_GATE}
        result["without_gate"] = [search(clips[name], seconds, first=first[name], gate=False) for name in _WITHOUT_GATE]
    if "busy" in parts:
        result["busy"] = [search(clips[name], seconds, first=_FIRST) for name in _BUSY]
    if "overload" in parts:
        one = carried.get("sub-h264") or search(clips["sub-h264"], seconds, first=_FIRST)["cameras"]
        result["overload"] = [overload(clips["sub-h264"], times, one, seconds) for times in OVERLOADS]
        result["overload_mixed"] = mixed(clips["sub-h264"], OVERLOADS[-1], one, seconds)
        worst = result["overload"][-1]
        result["holds"] = all(worst["holds"].values()) and all(result["overload_mixed"]["holds"].values())
    return result


def _target() -> dict[str, float]:
    return {
        "seen_within_s": EVERY_S,
        "share_of_spells": LEAST_SEEN,
        "latency_p99_s": LATENCY_S,
        "fire_to_desk_p99_s": DESK_S,
    }


def search(
    clip: Path, seconds: float, *, first: int, gate: bool = True, measured: Callable[[Step], Found] | None = None
) -> dict[str, Any]:
    """The largest number of cameras of one clip that is carried, found by going up and down in ever smaller steps."""
    steps: list[Found] = []
    count: int | None = first
    while count is not None:
        found = (measured or run)(Step([Group("cam", clip, count)], seconds, gate=gate))
        log.info("%s: %d cameras are %s", clip.stem, count, "carried" if found.carried else "too many")
        steps.append(found)
        count = _next(steps)
    carried = [each for each in steps if each.carried]
    row = {
        "clip": clip.stem,
        "gate": gate,
        **(max(carried, key=lambda each: each.cameras).told() if carried else {"cameras": 0}),
        "memory_mb_per_camera": _per_camera(steps),
        "steps": " ".join(f"{each.cameras}{'+' if each.carried else '-'}" for each in steps),
    }
    log.info("carried: %s", row)  # what comes after may fail
    return row


def _next(steps: Sequence[Found]) -> int | None:
    """How many to try next: between what is carried and what is not, else where the load says that the limit is."""
    last, busy = steps[-1], max(0.05, steps[-1].load)
    fails = min((each.cameras for each in steps if not each.carried), default=None)
    # What was carried once, and then fewer were not, was luck.
    fits = max((each.cameras for each in steps if each.carried and (fails is None or each.cameras < fails)), default=0)
    if len(steps) >= _MOST_STEPS or (fails is not None and fails - fits <= max(1, fits * _CLOSE_ENOUGH)):
        return None
    if fails is None:
        return round(last.cameras * min(3.0, max(1.15, 0.95 / busy)))
    if fits:
        return (fits + fails) // 2
    return max(1, round(fails * min(0.85, max(0.3, 0.95 / busy))))


def _per_camera(steps: Sequence[Found]) -> float | None:
    """The slope of memory over cameras between the smallest and the largest step, of the processes that hold cameras."""
    by_count = sorted(steps, key=lambda each: each.cameras)
    least, most = by_count[0], by_count[-1]
    if most.cameras < least.cameras * 1.5:
        return None
    holders = ("ingest", "worker")
    more = most.after.memory_mb(holders) - least.after.memory_mb(holders)
    return round(more / (most.cameras - least.cameras), 3)


def overload(clip: Path, times: float, one: int, seconds: float) -> dict[str, Any]:
    """So many times what there is time for, all judged by every scene that ships, while fires break out on some cameras.

    The simulator grows with the city and takes its time from it: the number of cameras is corrected by what was found.
    """
    window = max(seconds, _OVERLOADED_S)
    tried = [_overloaded(clip, round(one * times), times, window)]
    while not 0.9 * times <= tried[-1].times <= times and len(tried) < _MOST_CORRECTIONS:
        tried.append(_overloaded(clip, _corrected(tried, 0.96 * times), times, window))
    found = tried[-1]
    log.info("overload: %s", [(each.cameras, round(each.times, 2), each.crowd.gaps()[-1]) for each in tried])
    latencies = sorted(case["latency_s"] for case in found.cases if case["latency_s"] is not None)
    return {
        "times": times,
        "times_measured": round(found.times, 2),
        "times_carried": round(found.cameras / one, 2),
        **found.told(),
        "of_patience": _of_patience(found.crowd, EVERY_S),
        "fairness": found.crowd.fairness(),
        "fires": len(found.cases),
        "fire_to_desk_s": {"p50": percentile(latencies, 0.5), "p99": percentile(latencies, 0.99)}
        if latencies
        else None,
        "fire_visible_to_desk_s": _visible_to_desk(found),
        "holds": {
            "unseen_at_most_times_patience": found.crowd.gaps()[-1] <= max(times, found.times) * EVERY_S + JITTER_S,
            "every_fire_found": len(found.cases) == _FIRES,
            "fire_to_desk": bool(latencies) and percentile(latencies, 0.99) <= DESK_S,
        },
    }


def _corrected(tried: Sequence[Found], times: float) -> int:
    """How many cameras are so many times too many: on the line through the last two that were tried, else through nothing."""
    last = tried[-1]
    cameras, asked = (tried[-2].cameras, tried[-2].times) if len(tried) > 1 else (0, 0.0)
    steepness = (last.cameras - cameras) / ((last.times - asked) or 1.0)
    return max(2 * _FIRES, round(last.cameras + (times - last.times) * max(1.0, steepness)))


def _overloaded(clip: Path, count: int, times: float, seconds: float) -> Found:
    (fire,) = (each for each in footage_clip.build(DEMO / "footage", FOOTAGE, progress=_unheard) if each.stem == "fire")
    # The crowd is up some 10 s and a tenth of a second for each ten cameras after the clips began.
    fires = [_WARM_S + 15 + count / 100 + seconds * number / _FIRES for number in range(_FIRES)]
    ahead = [(_FIRE_BEGINS_S - at) % _FIRE_CLIP_S for at in fires]
    groups = [Group("cam", clip, count - _FIRES), Group("fire", fire, _FIRES, ahead_s=ahead)]
    return run(Step(groups, seconds, drain_s=EVERY_S * times * 1.5 + 2, fires=fires))


def mixed(clip: Path, times: float, one: int, seconds: float) -> dict[str, Any]:
    """The same number, but only a third is watched for fire: each class beside its own patience."""
    patience = {"fire": 2.0, "water": 10.0, "parking": 20.0}
    zones = {"fire": "pavement", "water": "roadway", "parking": "no_parking"}
    count = round(one * times / len(patience))
    groups = [Group(name, clip, count, zone=zones[name]) for name in patience]
    window = max(seconds, patience["parking"] * times)
    found = run(Step(groups, window, scenes=_MIXED, drain_s=patience["parking"] * times / 2))
    rows = []
    for name, allowed in patience.items():
        seen_of = found.seen.only(camera for camera in found.seen.looks if camera.startswith(name))
        row: dict[str, Any] = {"class": name, "patience_s": allowed}
        rows.append(row | _of_patience(seen_of, allowed) | seen_of.fairness())
    worst = max(float(row["max"]) for row in rows)
    return {
        "times": times,
        **found.told(),
        "of_patience": rows,
        "holds": {"unseen_at_most_times_patience": worst <= times},
    }


def _of_patience(seen_of: Seen, patience: float) -> dict[str, float]:
    gaps = seen_of.gaps()
    return {
        name: round(gap / patience, 2)
        for name, gap in (("p50", percentile(gaps, 0.5)), ("p99", percentile(gaps, 0.99)), ("max", gaps[-1]))
    }


def _visible_to_desk(found: Found) -> dict[str, float] | None:
    """From the flames' first picture, which is faint, to the desk."""
    took = []
    for case in found.cases:
        number = int(case["cameras"][0].partition("-")[2])
        took.append(instant(case["stamps"]["posted"]).timestamp() - found.epoch_s - found.step.fires[number])
    took.sort()
    return {"p50": round(percentile(took, 0.5), 1), "max": round(took[-1], 1)} if took else None


def run(step: Step) -> Found:
    """Start the city, wait until every camera was looked at, warm up, and measure."""
    names = [f"{group.name}-{number:04d}" for group in step.groups for number in range(group.count)]
    with tempfile.TemporaryDirectory(prefix="citybrain-crowd-") as folder:
        config, clips = write(Path(folder), step.groups, gate=step.gate, scenes=step.scenes)
        data = Path(folder) / "data"
        data.mkdir()
        with running(config=config, footage=clips, keep=data) as city:
            wait_until(lambda: _all_seen(city, len(names)), timeout_s=60 + len(names), what="every camera was seen")
            time.sleep(_WARM_S)
            before, since_at = taken(city), _CLOCK.now()
            time.sleep(step.seconds)
            after, until_at = taken(city), _CLOCK.now()
            figures = city.get("/v1/stats")["figures"]
            time.sleep(step.drain_s)
            cases = _cases_of(city, len(step.fires)) if step.fires else []
            looks = seen(DataFolder(data).database, cameras=names, since_at=since_at, until_at=until_at)
            return Found(step, looks, before, after, figures, cases, city.city.epoch.timestamp())


def _all_seen(city: Running, count: int) -> bool:
    figures = city.get("/v1/stats")["figures"]
    return bool(sum(figures.get(f"ingest.cameras.{state}", 0.0) for state in ("live", "stale", "unusable")) >= count)


def _cases_of(city: Running, fires: int) -> list[dict[str, Any]]:
    """The cases of the fires, once all are posted; those there are when some never come."""
    with suppress(Transient):
        wait_until(lambda: len(_fire_cases(city)) >= fires, timeout_s=60, what="every fire is a case")
    return _fire_cases(city)


def _fire_cases(city: Running) -> list[dict[str, Any]]:
    found = city.get("/v1/cases?scene=fire_risk&limit=200")["items"]
    return [case for case in found if case["cameras"][0].startswith("fire-") and case["posted_at"]]


def _unheard(_camera: str, _share: float) -> None:
    """The clips are composed once; a bench says what it found, not how far it is."""
