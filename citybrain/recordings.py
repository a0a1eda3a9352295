"""Recordings: what cameras saw, kept as JSON lines, and what the pipeline makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from citybrain.assembly import Configuration
from citybrain.bus.address import KafkaAddress
from citybrain.bus.history import Stretch, read_stretch
from citybrain.bus.local import LocalBus
from citybrain.domain.case import CaseEvent
from citybrain.errors import Unreadable, UsageError
from citybrain.looking import Looking, recorded
from citybrain.wire import DETECTIONS, read_detections
from ingest.footage import pictures
from pipeline.runners.memory import HeldStates
from pipeline.runners.replay import Replay, restore, save

_PAGE = 1000


def from_video(configuration: Configuration, camera: str, video: Path, *, start: datetime) -> Iterator[bytes]:
    """What the camera would see in a video or a folder of images, looked at as often as it is looked at live.

    Raises UsageError for an unknown camera or a video that is not there, Unreadable for one that cannot be opened.
    """
    settings = next((each for each in configuration.cameras if each.id == camera), None)
    if settings is None:
        known = ", ".join(each.id for each in configuration.cameras)
        raise UsageError(f"--camera {camera}: no such camera in cameras.yaml; it has {known}")
    if not video.exists():
        raise UsageError(f"{video}: there is no such file or folder")
    looking = Looking(configuration)
    try:
        yield from recorded(looking, camera, pictures(video, start=start, every=settings.look_every))
    finally:
        looking.close()


def from_log(database: Path, *, camera: str | None, start: datetime | None, end: datetime | None) -> Iterator[bytes]:
    """What a running or stopped city's log still holds. Raises UsageError when there is no log."""
    if not database.exists():
        raise UsageError(f"--data {database.parent}: holds no {database.name}")
    bus = LocalBus(database)
    after = 0
    try:
        while messages := bus.read((DETECTIONS,), after=after, limit=_PAGE):
            after = messages[-1].offset
            yield from _asked_for((message.value for message in messages), camera=camera, start=start, end=end)
    finally:
        bus.close()


def from_bus(url: str, *, camera: str | None, start: datetime | None, end: datetime | None) -> Iterator[bytes]:
    """What a city of many machines still holds, all parts of it in order of time. Raises UsageError for an address that is none,
    BusAway when no broker answers."""
    stretch = Stretch(DETECTIONS, since=start, until=end, key=camera)
    values = (message.value for message in read_stretch(KafkaAddress.parse(url), stretch))
    yield from _asked_for(values, camera=camera, start=start, end=end)


def _asked_for(
    values: Iterable[bytes], *, camera: str | None, start: datetime | None, end: datetime | None
) -> Iterator[bytes]:
    for value in values:
        seen = read_detections(value)
        if camera not in (None, seen.camera):
            continue
        if (start and seen.captured_at < start) or (end and seen.captured_at >= end):
            continue
        yield value


def from_file(path: Path) -> Iterator[bytes]:
    """A recording's lines. Raises UsageError when there is none, Unreadable naming the line that is no detections."""
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file")
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                read_detections(line)
            except Unreadable as error:
                raise Unreadable(f"{path}:{number}: {error}") from None
            yield line.strip()


def replay(configuration: Configuration, values: Iterable[bytes], *, state: Path | None) -> Iterator[CaseEvent]:
    """The case events of a recording. With a `state` file it goes on where an earlier run ended, and is left there."""
    states = restore(state) if state is not None and state.exists() else HeldStates()
    runner = Replay(configuration.pipeline(), states=states)
    yield from runner.run(values)
    if state is not None:
        save(runner.states, state)
