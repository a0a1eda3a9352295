"""A set of clips through the whole pipeline, as fast as it can: the cases of each, counted against what people say happens.

clip ─► decode ─► (disturb) ─► change gate ─► detector ─┬─► rules, grouping ─► cases ─► counted     by its judge's scenes
                                                       └─► the same by the set's own, beside it
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty
from typing import Any

from citybrain.assembly import Configuration
from citybrain.configuration import did_you_mean
from citybrain.domain.camera import Text
from citybrain.domain.case import CaseEvent, CaseEventType
from citybrain.domain.detection import Looked, Usable
from citybrain.errors import UsageError
from citybrain.evaluation import poisson
from citybrain.evaluation.counting import Count, Happened, Told, count, percentile
from citybrain.evaluation.intervals import Figure
from citybrain.evaluation.played import lasts, played
from citybrain.evaluation.truth import Judge, SceneSet, load
from citybrain.looking import Looking, recorded
from citybrain.wire import read_detections
from pipeline.runners.replay import Replay

START = datetime(2026, 1, 1, tzinfo=UTC)
"""When every clip begins: always the same, so that the same clip always tells the same."""
STEPS = 20
"""How often the progress of a playing is told."""

Say = Callable[[str, float], None]
"""Called with a clip's name and the share of it that was played; 1.0 exactly once for each."""

_said: Any = None
"""In a worker: the queue on which it tells how far it is …"""
_player: Player | None = None
"""… and what it plays with."""


@dataclass(frozen=True, slots=True)
class Playing:
    """What came of one clip: its looks, the part of them that could be judged by, and the cases by each judge."""

    clip: str
    looks: int
    usable: int
    unchanged: int
    every_s: float
    ended_s: float
    model: str
    told: Mapping[Judge, tuple[Told, ...]]

    @property
    def seen_h(self) -> float:
        """For how many hours the camera saw something: looks that could not be judged by are no camera-hours."""
        return self.usable * self.every_s / 3600


@dataclass(frozen=True, slots=True)
class Row:
    """A clip's playing counted against its truth; `besides` by the set's own scenes, where others are its judge."""

    playing: Playing
    judged_by: Judge
    ordinary: bool
    count: Count
    besides: Count | None


@dataclass(frozen=True, slots=True)
class Sums:
    """Several playings together. Delays are seconds from the events' beginnings."""

    clips: int
    hours: float
    counts: tuple[Count, ...]

    @property
    def events(self) -> int:
        return sum(len(each.events) for each in self.counts)

    @property
    def found(self) -> int:
        return sum(len(each.found) for each in self.counts)

    @property
    def missed(self) -> int:
        return sum(len(each.missed) for each in self.counts)

    @property
    def twice(self) -> int:
        return sum(len(each.twice) for each in self.counts)

    @property
    def false(self) -> int:
        return sum(len(each.false) for each in self.counts)

    @property
    def false_an_hour(self) -> Figure:
        return poisson.rate(self.false, self.hours)

    def delays(self, scene: str | None = None) -> tuple[list[float], list[float]]:
        """To filed and to confirmed, of the events found; of one scene, or of all."""
        found = [each for one in self.counts for each in one.found if scene in (None, each.told.scene)]
        filed = [each.to_filed_s for each in found if each.to_filed_s is not None]
        return filed, [each.to_confirmed_s for each in found if each.to_confirmed_s is not None]

    @property
    def scenes(self) -> list[str]:
        return sorted({each.told.scene for one in self.counts for each in one.found})


@dataclass(frozen=True, slots=True)
class Difference:
    """What a scene of the set says otherwise than the shipped one; `shipped` is empty where there is none of its name."""

    scene: str
    key: str
    own: str
    shipped: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A set's result. `within_s`: how late the case of an event may be filed, by scene."""

    folder: Path
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]
    within_s: Mapping[str, float]
    tolerance_s: float
    titles: Mapping[str, Text]

    def judged(self, by: Judge) -> Sums:
        rows = [each for each in self.rows if each.judged_by == by]
        return _sums(rows, [each.count for each in rows])

    @property
    def ordinary(self) -> Sums:
        """The footage in which nothing happens, by its judges."""
        rows = [each for each in self.rows if each.ordinary]
        return _sums(rows, [each.count for each in rows])

    @property
    def ordinary_besides(self) -> Sums:
        """The same by the set's own scenes: what holds of seconds would make of it."""
        rows = [each for each in self.rows if each.ordinary and each.besides is not None]
        return _sums(rows, [each.besides for each in rows if each.besides is not None])

    @property
    def late(self) -> int:
        return sum(len(each.count.late(self.within_s)) for each in self.rows)

    @property
    def holds(self) -> bool:
        """Every event found, in time, and nothing else told."""
        return not self.late and all(not each.count.missed and not each.count.false for each in self.rows)


def evaluate(
    folder: Path,
    *,
    clips: Path | None = None,
    config: Path | None = None,
    only: Sequence[str] = (),
    hours: float | None = None,
    workers: int = 1,
    say: Say = lambda _clip, _share: None,
) -> Evaluation:
    """Play a set's clips (`only` these), its ordinary footage for so many `hours` in all, in so many processes at once.
    `config`: whose detectors look, and whose scenes judge in place of the shipped ones.

    Raises ConfigError for a faulty set, UsageError for a clip it has not, Unreadable for one that cannot be played.
    """
    given = load(folder, clips=clips, config=config)
    chosen = _chosen(given, only)
    until = _until(given, chosen, hours)
    if workers > 1 and len(chosen) > 1:
        playings = _side_by_side(given, until, workers=min(workers, len(chosen)), say=say)
    else:
        playings = _one_by_one(given, until, say=say)
    return Evaluation(
        folder=folder,
        rows=tuple(_row(given, playings[clip]) for clip in chosen),
        differences=tuple(differences(given)),
        within_s={scene: within.total_seconds() for scene, within in given.truth.within.items()},
        tolerance_s=given.truth.tolerance.total_seconds(),
        titles={id: scene.file.title for judge in given.judges.values() for id, scene in judge.scenes.items()},
    )


class Player:
    """Plays clips of a set one after the other, with detectors that are loaded once."""

    def __init__(self, given: SceneSet) -> None:
        self._given = given
        self._looking = Looking(_together(given.judges.values()))

    def play(self, clip: str, *, until: timedelta | None, say: Say) -> Playing:
        """One clip from beginning to end, looked at once and judged by its judge and by the set's own scenes."""
        given, said, camera = self._given, self._given.truth.clips[clip], self._given.camera(clip)
        runners: dict[Judge, Replay] = {
            judge: Replay(given.judges[judge].pipeline()) for judge in dict.fromkeys((said.judged_by, "set"))
        }
        told: dict[Judge, list[Told]] = {judge: [] for judge in runners}
        looks = usable = unchanged = step = 0
        ended, model = START, ""
        for value in recorded(self._looking, clip, played(said, camera, start=START, until=until)):
            seen = read_detections(value)
            looks, ended, model = looks + 1, seen.captured_at, seen.model or ""
            usable += seen.usable is Usable.OK
            unchanged += seen.looked is Looked.UNCHANGED
            for judge, runner in runners.items():
                told[judge] += _filed(runner.run([value]))
            if until is not None and step < (share := STEPS * (ended - START) // until):
                step = share
                say(clip, share / STEPS)
        say(clip, 1.0)
        return Playing(
            clip=clip,
            looks=looks,
            usable=usable,
            unchanged=unchanged,
            every_s=camera.look_every.total_seconds(),
            ended_s=(ended - START).total_seconds(),
            model=model,
            told={judge: tuple(cases) for judge, cases in told.items()},
        )

    def close(self) -> None:
        self._looking.close()


def differences(given: SceneSet) -> Iterator[Difference]:
    """What the set's own scenes judge by and the shipped ones do not: holds that suit clips of seconds, as a rule."""
    shipped = given.judges.get("shipped")
    if shipped is None:
        return
    for id, scene in sorted(given.own.scenes.items()):
        other = shipped.scenes.get(id)
        if other is None:
            yield Difference(id, "", "", "")
            continue
        own, theirs = (
            each.file.model_dump(include={"rule", "zone_kind", "when", *_DURATIONS, "min_seen", "inhibited_by"})
            for each in (scene, other)
        )
        for key in own:
            if own[key] != theirs[key]:
                yield Difference(id, key, _text(own[key]), _text(theirs[key]))


_DURATIONS = ("hold", "max_gap", "clear_after")


def _text(value: object) -> str:
    return f"{value.total_seconds():g} s" if isinstance(value, timedelta) else str(value)


def _together(judges: Iterable[Configuration]) -> Configuration:
    """What to look at the clip with, so that each judge can judge by the same looks: for the scenes of all of them."""
    first, *others = judges
    scenes = dict(first.scenes)
    for number, other in enumerate(others):
        scenes |= {f"{id}/{number}": scene for id, scene in other.scenes.items()}
    return replace(first, scenes=scenes)


def _filed(events: Iterable[CaseEvent]) -> Iterator[Told]:
    for event in events:
        if event.type is CaseEventType.FILED:
            case = event.case
            began, confirmed, filed = (
                (at - START).total_seconds() for at in (case.began_at, case.confirmed_at, case.filed_at)
            )
            yield Told(case.scene, case.zone, began, confirmed, filed, case.label, round(case.confidence, 3))


def _chosen(given: SceneSet, only: Sequence[str]) -> list[str]:
    known = list(given.truth.clips)
    for each in only:
        if each not in known:
            raise UsageError(f"--only {each}: {given.folder} has no such clip. {did_you_mean(each, known)}")
    return [each for each in known if not only or each in only]


def _until(given: SceneSet, chosen: Sequence[str], hours: float | None) -> dict[str, timedelta | None]:
    """How long each clip is played; the ordinary ones share the `hours` as they share what the set says."""
    known = {clip: lasts(given.truth.clips[clip], given.camera(clip)) for clip in chosen}
    if hours is None:
        return known
    ordinary = {clip: long for clip, long in known.items() if given.truth.clips[clip].ordinary and long is not None}
    if not ordinary:
        raise UsageError(f"--hours {hours:g}: none of these clips is ordinary footage that could be played longer")
    whole = sum(ordinary.values(), timedelta())
    return known | {clip: timedelta(hours=hours) * (long / whole) for clip, long in ordinary.items()}


def _row(given: SceneSet, playing: Playing) -> Row:
    said = given.truth.clips[playing.clip]
    ended_s = playing.ended_s + playing.every_s
    events = [
        Happened(each.scene, each.from_s, ended_s if each.to_s is None else each.to_s, each.zone)
        for each in said.events
    ]
    tolerance_s = given.truth.tolerance.total_seconds()
    counts = {judge: count(events, told, tolerance_s=tolerance_s) for judge, told in playing.told.items()}
    besides = counts["set"] if said.judged_by != "set" else None
    return Row(playing, said.judged_by, said.ordinary, counts[said.judged_by], besides)


def _sums(rows: Sequence[Row], counts: Sequence[Count]) -> Sums:
    return Sums(len(rows), sum(each.playing.seen_h for each in rows), tuple(counts))


def told_delays(values: Sequence[float]) -> dict[str, float | None]:
    """p50, p95 and the longest."""
    return {"p50": percentile(values, 0.5), "p95": percentile(values, 0.95), "max": max(values, default=None)}


# -- one process or several ---------------------------------------------------------------------------------------------


def _one_by_one(given: SceneSet, until: Mapping[str, timedelta | None], *, say: Say) -> dict[str, Playing]:
    player = Player(given)
    try:
        return {clip: player.play(clip, until=long, say=say) for clip, long in until.items()}
    finally:
        player.close()


def _side_by_side(
    given: SceneSet, until: Mapping[str, timedelta | None], *, workers: int, say: Say
) -> dict[str, Playing]:
    # Spawned, not forked: decoder and model runtime keep threads, which a fork would leave behind half alive.
    context = multiprocessing.get_context("spawn")
    said = context.Queue()
    longest_first = sorted(until, key=lambda clip: until[clip] or timedelta(), reverse=True)
    playings: dict[str, Playing] = {}
    set_up = (said, given.folder, given.clips_folder, given.config)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker, initargs=set_up) as pool:
        running: dict[Future[Playing], str] = {
            pool.submit(_play_one, clip, until[clip]): clip for clip in longest_first
        }
        while running:
            finished, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            _pass_on(said, say, among=set(running.values()))
            for future in finished:
                clip = running.pop(future)
                playings[clip] = future.result()
                say(clip, 1.0)
    return playings


def _pass_on(said: Any, say: Say, *, among: set[str]) -> None:
    while True:
        try:
            clip, share = said.get_nowait()
        except Empty:
            return
        if clip in among:  # a share may arrive after its clip was finished
            say(clip, share)


def _begin_worker(said: Any, folder: Path, clips: Path | None, config: Path | None) -> None:
    global _said, _player
    _said, _player = said, Player(load(folder, clips=clips, config=config))


def _play_one(clip: str, until: timedelta | None) -> Playing:
    assert _player is not None  # noqa: S101  # the initializer has been there

    def say(clip: str, share: float) -> None:
        if share < 1:
            _said.put((clip, share))

    return _player.play(clip, until=until, say=say)
