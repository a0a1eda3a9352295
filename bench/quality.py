"""Video quality diagnosis, measured: the demo's footage (and public clips) damaged by code, and spoilt by weather alone.

Each camera learns its view from undamaged looks; then damage begins, lasts and ends. Told apart: how often it is noticed,
whether it is called by its name, how many seconds that takes, and whether the view is usable again afterwards. The same
footage undamaged, and with weather, night and traffic, gives the share of looks that are called unusable for nothing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from bench.damage import DAMAGES, TURNS, WEATHERS, nightfall, viewed
from citybrain.demo.footage import compose, load
from citybrain.domain.detection import Finding, Usable
from citybrain.errors import UsageError
from citybrain.evaluation.disturbed import Bgr, as_bgr, as_picture, with_grain
from citybrain.ports import Picture
from ingest.footage import pictures
from ingest.quality import Usability, sight_of

TIMELINES = Path(__file__).parents[1] / "configs" / "demo" / "footage"
START = datetime(2026, 1, 1, tzinfo=UTC)
EVERY = timedelta(seconds=2)
LEARNT, DAMAGED, AFTER, WEATHER = 20, 20, 6, 60  # looks
LONG = timedelta(seconds=30)
"""Weather may cost looks, but never so many on end."""

Shot = Callable[[int], Bgr]
"""The footage of one camera: a look's number gives the whole picture, wider than what the camera shows of it."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of one look."""

    usable: Usable
    findings: tuple[Finding, ...]


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Detection by damage and strength, false alarms by weather, and what one diagnosis costs."""
    shots = dict(_demo())
    if given.clips is not None:
        if not given.clips.is_dir():
            raise UsageError(f"bench quality: {given.clips} is no folder")
        shots |= dict(_clips(given.clips))
    learnt = [(shot, _learnt(shot)) for shot in shots.values()]
    damages = [_row(name, strength, learnt, change) for name, strength, change in _changes()]
    weathers = [_weather(name, strength, shots) for name, strength in _skies()]
    return {
        "cameras": len(shots),
        "damage": damages,
        "weather": weathers,
        "ms_per_look": _cost(next(iter(shots.values()))(0)),
        "noticed": _share(sum(row["noticed"] for row in damages), len(damages) * len(shots)),
        "false_alarms": _share(sum(row["unusable"] for row in weathers), sum(row["looks"] for row in weathers)),
        "holds": all(row["longest_s"] <= LONG.total_seconds() for row in weathers),
    }


# -- footage ----------------------------------------------------------------------------------------------------------


def _demo() -> Iterator[tuple[str, Shot]]:
    for path in sorted(TIMELINES.glob("*.yaml")):
        timeline = load(path)
        # Where the story itself darkens the camera, only the time before is undamaged.
        seconds = 60.0 if timeline.camera == "dark" else timeline.seconds
        yield timeline.camera, lambda look, t=timeline, s=seconds: compose(t, at=look * 2.0 % s)  # type: ignore[misc]


def _clips(folder: Path) -> Iterator[tuple[str, Shot]]:
    for path in sorted(each for each in folder.iterdir() if each.suffix in (".mp4", ".avi", ".mkv")):
        kept = [
            as_bgr(picture) for _, picture in islice(pictures(path, start=START, every=timedelta(milliseconds=500)), 60)
        ]
        yield path.stem, lambda look, kept=kept: kept[_to_and_fro(look, len(kept))]  # type: ignore[misc]


def _to_and_fro(look: int, count: int) -> int:
    """A short clip, forwards and backwards: it never jumps."""
    turn = look % max(1, 2 * count - 2)
    return turn if turn < count else 2 * count - 2 - turn


# -- damage -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Case:
    """Damage at one strength: how the footage is seen by then, and what is to be told."""

    seen: Callable[[Shot, int], Bgr]
    usable: Usable | None
    finding: Finding | None = None
    coded: bool = True


def _changes() -> Iterator[tuple[str, float | str, _Case]]:
    for name, damage in DAMAGES.items():
        for strength in damage.strengths:

            def seen(shot: Shot, look: int, change: Any = damage.change, strength: float = strength) -> Bgr:
                done: Bgr = change(viewed(shot(look)), look, strength)
                return done

            yield name, strength, _Case(seen, damage.tells, damage.finding)
    for name, turns in TURNS.items():
        for turn in turns:

            def turned(shot: Shot, look: int, turn: dict[str, float] = turn) -> Bgr:
                return with_grain(viewed(shot(look), **turn), look)

            yield name, next(iter(turn.values())), _Case(turned, Usable.MOVED)
    yield "frozen", "whole", _Case(lambda shot, _look: _plain(shot, LEARNT), Usable.FROZEN)
    yield "frozen", "clock runs", _Case(lambda shot, look: _clocked(_plain(shot, LEARNT), look), Usable.FROZEN)


def _plain(shot: Shot, look: int) -> Bgr:
    return with_grain(viewed(shot(look)), look)


def _clocked(picture: Bgr, look: int) -> Bgr:
    """The camera's own clock, drawn into a picture that stands still."""
    out = picture.copy()
    width = out.shape[1]
    out[4 : width // 24, 4 : width // 5] = 0
    cv2.putText(out, f"08:15:{look % 60:02}", (6, width // 28), cv2.FONT_HERSHEY_PLAIN, width / 640, (255, 255, 255), 1)
    return out


def _row(name: str, strength: float | str, shots: Sequence[tuple[Shot, Usability]], case: _Case) -> dict[str, Any]:
    noticed, named, after, delays = 0, 0, 0, []
    for shot, learnt in shots:
        told, recovered = _through(learnt, shot, case)
        hits = [index for index, each in enumerate(told) if _is_noticed(each, case)]
        if hits and hits[-1] == len(told) - 1:
            noticed += 1
            delays.append(hits[0] * EVERY.total_seconds())
            named += _is_named(told[-1], case)
        after += recovered
    return {
        "damage": name,
        "strength": strength,
        "noticed": noticed,
        "named": named,
        "of": len(shots),
        "after_s": median(delays) if delays else None,
        "recovered": after,
    }


def _through(learnt: Usability, shot: Shot, case: _Case) -> tuple[list[Told], bool]:
    usability = deepcopy(learnt)
    told = [_judge(usability, case.seen(shot, look), look) for look in range(LEARNT, LEARNT + DAMAGED)]
    back = [_judge(usability, _plain(shot, look), look) for look in range(LEARNT + DAMAGED, LEARNT + DAMAGED + AFTER)]
    return told, back[-1].usable is Usable.OK


def _learnt(shot: Shot) -> Usability:
    usability = Usability()
    for look in range(LEARNT):
        _judge(usability, _plain(shot, look), look)
    return usability


def _is_noticed(told: Told, case: _Case) -> bool:
    if case.usable is not None:
        return told.usable is not Usable.OK
    return told.usable is not Usable.OK or case.finding in told.findings


def _is_named(told: Told, case: _Case) -> bool:
    return told.usable is case.usable or case.finding in told.findings


def _judge(usability: Usability, bgr: Bgr, look: int, every: timedelta = EVERY) -> Told:
    said = usability.judge(sight_of(as_picture(bgr)), START + look * every)
    return Told(said.usable, said.findings)


# -- weather ----------------------------------------------------------------------------------------------------------


def _skies() -> Iterator[tuple[str, float]]:
    yield "undamaged", 0.0
    yield "night", 1.0
    yield "dusk to dark to dawn, 4 h", 1.0
    for name, (_, strengths) in WEATHERS.items():
        for strength in strengths:
            yield name, strength


def _weather(name: str, strength: float, shots: dict[str, Shot]) -> dict[str, Any]:
    looks = unusable = 0
    longest = timedelta(0)
    seen: dict[str, int] = {}
    for camera, shot in shots.items():
        usability, lasted = Usability(), timedelta(0)
        for look, (bgr, every) in enumerate(_through_weather(name, strength, shot)):
            told = _judge(usability, bgr, look, every)
            looks += 1
            if told.usable is Usable.OK:
                lasted = timedelta(0)
            else:
                unusable += 1
                lasted += every
                longest = max(longest, lasted if every == EVERY else EVERY)
                seen[f"{camera}: {told.usable}"] = seen.get(f"{camera}: {told.usable}", 0) + 1
            for finding in told.findings:
                seen[f"{camera}: {finding}"] = seen.get(f"{camera}: {finding}", 0) + 1
    return {
        "weather": name,
        "strength": strength,
        "looks": looks,
        "unusable": unusable,
        "longest_s": longest.total_seconds(),
        "told": ", ".join(f"{what} {count}" for what, count in sorted(seen.items())) or "nothing",
    }


def _through_weather(name: str, strength: float, shot: Shot) -> Iterator[tuple[Bgr, timedelta]]:
    if name.startswith("dusk"):
        for look in range(120):
            share = min(1.0, max(0.0, 1.5 - abs(look - 60) / 30))
            yield nightfall(viewed(shot(look)), look, share), timedelta(minutes=2)
        return
    for look in range(LEARNT if name not in ("undamaged", "night") else 0):
        yield _plain(shot, look), EVERY
    for look in range(LEARNT, LEARNT + WEATHER):
        if name == "undamaged":
            yield _plain(shot, look), EVERY
        elif name == "night":
            yield nightfall(viewed(shot(look)), look, strength), EVERY
        else:
            yield WEATHERS[name][0](viewed(shot(look)), look - LEARNT, strength), EVERY


def _cost(whole: Bgr) -> dict[str, float]:
    """CPU milliseconds for thumbnail and verdict of a 1080p picture, in an even street and while something is wrong."""
    still = as_picture(np.asarray(cv2.resize(whole, (1920, 1080)), np.uint8))
    turned = as_picture(np.asarray(cv2.resize(viewed(whole, pan=0.05), (1920, 1080)), np.uint8))
    return {"in place": _timed(still, still), "turned": _timed(still, turned)}


def _timed(learnt: Picture, shown: Picture) -> float:
    usability = Usability()
    usability.judge(sight_of(learnt), START)
    began = time.process_time()
    for step in range(200):
        usability.judge(sight_of(shown), START + timedelta(seconds=step / 100))
    return round((time.process_time() - began) * 5, 3)


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
