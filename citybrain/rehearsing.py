"""What a camera saw in the last hour judged once more, by its present zones and by others: which cases each of them gives.

The looks are those of the log. They are judged in a process of its own, so that the API goes on answering, for a bounded time.
"""

from __future__ import annotations

import pickle
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from citybrain.assembly import Configuration
from citybrain.bus.address import KafkaAddress
from citybrain.bus.history import Stretch, read_stretch
from citybrain.bus.local import LocalBus
from citybrain.clock import Clock
from citybrain.domain.camera import Camera, Zone
from citybrain.domain.case import Case, CaseEventType
from citybrain.domain.geometry import Box, Polygon
from citybrain.errors import BusAway
from citybrain.wire import DETECTIONS
from events_api.drawing import Busy, DrawnZone, Faulty, Rehearsed, RehearsedCase, TooLong
from ingest.worker_port import die_with_parent
from pipeline.city import City
from pipeline.flow import Pipeline
from pipeline.runners.replay import Replay

BACK = timedelta(hours=1)
LONGEST_LEAD = timedelta(hours=2)
LIMIT = timedelta(seconds=60)
ALIKE = 0.3
"""The overlap of two boxes from which on they show the same thing."""
_BEGAN_TOGETHER = timedelta(minutes=1)
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class _Task:
    log: Path | KafkaAddress
    present: City
    drawn: City
    camera: str
    first: datetime
    since: datetime
    until: datetime


class LogRehearsal:
    """The Rehearsal by a log: the database of one machine, or the Kafka of many. `current` is the configuration in force."""

    def __init__(
        self,
        log: Path | KafkaAddress,
        current: Callable[[], Configuration],
        *,
        clock: Clock,
        limit: timedelta = LIMIT,
    ) -> None:
        self._log, self._current, self._clock, self._limit = log, current, clock, limit
        self._one = threading.Lock()

    def rehearse(self, camera: str, zones: Sequence[DrawnZone]) -> Rehearsed:
        configuration = self._current()
        view = configuration.views.get(camera)
        if view is None:
            raise Faulty([f"camera {camera!r} is not in the configuration in force"])
        until = self._clock.now()
        since = until - BACK
        task = _Task(
            log=self._log,
            present=replace(configuration.city, cameras={camera: view}),
            drawn=replace(configuration.city, cameras={camera: _redrawn(view, zones)}),
            camera=camera,
            first=since - min(configuration.longest_hold, LONGEST_LEAD),
            since=since,
            until=until,
        )
        if not self._one.acquire(blocking=False):
            raise Busy("another preview is running; one at a time")
        try:
            return self._apart(task)
        finally:
            self._one.release()

    def _apart(self, task: _Task) -> Rehearsed:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "citybrain.rehearsing"],
                input=pickle.dumps(task, protocol=pickle.HIGHEST_PROTOCOL),
                stdout=subprocess.PIPE,
                check=True,
                timeout=self._limit.total_seconds(),
            )
        except subprocess.TimeoutExpired:
            seconds = round(self._limit.total_seconds())
            raise TooLong(f"the last hour could not be judged within {seconds} s: the machine is busy") from None
        found: Rehearsed | BusAway = pickle.loads(done.stdout)  # noqa: S301  # our own process
        if isinstance(found, BusAway):
            raise found
        return found


def rehearsed(task: _Task) -> Rehearsed:
    """The cases of both, each as soon as it was filed, oldest first."""
    runners = [Replay(Pipeline(city)) for city in (task.present, task.drawn)]
    told: tuple[list[Case], list[Case]] = ([], [])
    looks = 0
    for value in _looks(task):
        looks += 1
        for runner, cases in zip(runners, told, strict=True):
            cases += [
                event.case
                for event in runner.run([value])
                if event.type is CaseEventType.FILED and event.case.filed_at >= task.since
            ]
    holds = {id: scene.file.hold for id, scene in task.drawn.scenes.items()}
    return Rehearsed(task.since, task.until, looks, compared(*told, holds=holds))


def _looks(task: _Task) -> Iterator[bytes]:
    if isinstance(task.log, Path):
        return looks_of(task.log, task.camera, since=task.first)
    return looks_on_bus(task.log, task.camera, since=task.first)


def compared(present: Sequence[Case], drawn: Sequence[Case], *, holds: dict[str, timedelta]) -> list[RehearsedCase]:
    """The cases of two runs, those that are the same problem in both told once; oldest first."""
    left = list(present)
    found = []
    for case in drawn:
        twin = next((each for each in left if _same(each, case, holds.get(case.scene, timedelta()))), None)
        if twin is not None:
            left.remove(twin)
        found.append(_told("gained" if twin is None else "kept", case))
    found += [_told("lost", case) for case in left]
    return sorted(found, key=lambda each: (each.filed_at, each.scene, each.zone))


def looks_of(database: Path, camera: str, *, since: datetime) -> Iterator[bytes]:
    """What the log holds of one camera from an instant on, in order. Its rows are in order of time, so the first one wanted is
    found by halving; what is other cameras' is passed over without being read."""
    LocalBus(database).close()  # its table is there from the first start on
    connection = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=10)
    try:
        after = _last_before(connection, since)
        while rows := connection.execute(
            "SELECT offset, value FROM log WHERE topic = ? AND offset > ? AND key = ? ORDER BY offset LIMIT ?",
            (DETECTIONS, after, camera, _PAGE),
        ).fetchall():
            after = rows[-1][0]
            for _, value in rows:
                yield bytes(value)
    finally:
        connection.close()


def looks_on_bus(address: KafkaAddress, camera: str, *, since: datetime) -> Iterator[bytes]:
    """The same, of a city of many machines: one camera's looks lie in one part of it. Raises BusAway."""
    for message in read_stretch(address, Stretch(DETECTIONS, since=since, key=camera)):
        if message.logged_at >= since:
            yield message.value


def _last_before(connection: sqlite3.Connection, since: datetime) -> int:
    low, high = connection.execute("SELECT coalesce(min(offset), 1) - 1, coalesce(max(offset), 0) FROM log").fetchone()
    while low < high:
        middle = (low + high + 1) // 2
        row = connection.execute(
            "SELECT logged_at FROM log WHERE offset >= ? ORDER BY offset LIMIT 1", (middle,)
        ).fetchone()
        if row is not None and row[0] < since.timestamp():
            low = middle
        else:
            high = middle - 1
    return int(low)


def _redrawn(view: Camera, zones: Sequence[DrawnZone]) -> Camera:
    # How a zone's picture maps to the ground does not change with its corners.
    surveys = {zone.id: zone.ground for zone in view.zones}
    made = tuple(Zone(each.id, each.kind, Polygon(each.points), each.place, surveys.get(each.id)) for each in zones)
    return replace(view, zones=made)


def _same(one: Case, other: Case, hold: timedelta) -> bool:
    if one.scene != other.scene or abs(one.began_at - other.began_at) > max(hold, _BEGAN_TOGETHER):
        return False
    a, b = _shown(one)[1], _shown(other)[1]
    return a is None or b is None or a.overlap(b) >= ALIKE


def _told(change: Literal["gained", "lost", "kept"], case: Case) -> RehearsedCase:
    picture, box = _shown(case)
    return RehearsedCase(
        change, case.scene, case.title, case.severity, case.zone, case.began_at, case.filed_at, box, picture
    )


def _shown(case: Case) -> tuple[str | None, Box | None]:
    """The picture that confirmed it, and the box in it."""
    shown = [each for each in case.evidence if each.role == "confirming"] or list(case.evidence)
    return (shown[0].ref, shown[0].box) if shown else (None, None)


def main() -> None:
    """One rehearsal: the task is pickled on stdin, what came of it on stdout."""
    die_with_parent()
    task: _Task = pickle.loads(sys.stdin.buffer.read())  # noqa: S301  # our own parent's
    answer: Rehearsed | BusAway
    try:
        answer = rehearsed(task)
    except BusAway as error:
        answer = error
    sys.stdout.buffer.write(pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL))


if __name__ == "__main__":
    main()
