"""A clip of a set as the pictures its camera would give: a video, pictures one after the other, looped, disturbed.

They enter where decoded pictures enter, at the instants at which the camera is looked at.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from citybrain.errors import Unreadable
from citybrain.evaluation.disturbed import Disturber
from citybrain.evaluation.truth import Clip, Looped, Stills, file_of, stills_of
from citybrain.ports import Picture
from ingest.config import CameraSettings
from ingest.decode import Decoder
from ingest.footage import image_frame, pictures

GRAIN = timedelta(milliseconds=500)
"""How close together the pictures of a looped video are kept at most: another of them meets each look of another turn."""
MOST_KEPT = 600
"""Pictures of a looped video, decoded: at most some hundred megabytes."""

Looks = Iterator[tuple[datetime, Picture]]


@dataclass(frozen=True, slots=True)
class _Turn:
    """What is played over and over: pictures by their time in the turn, and how long a turn takes."""

    at_s: tuple[float, ...]
    pictures: tuple[Picture, ...]
    lasts_s: float
    way: str = "again"

    def shown(self, at_s: float) -> Picture:
        into = at_s % self.lasts_s
        if self.way == "to_and_fro":
            into = at_s % (2 * self.lasts_s)
            into = min(into, 2 * self.lasts_s - into)
        return self.pictures[max(0, bisect_right(self.at_s, into + 1e-9) - 1)]


def lasts(clip: Clip, camera: CameraSettings) -> timedelta | None:
    """How long the playing is, where that is known before; None of a video that is played once."""
    if clip.looped is not None:
        return clip.looped.lasts
    if clip.stills is not None:
        return len(stills_of(file_of(camera), clip.stills)) * clip.stills.each
    return None


def played(clip: Clip, camera: CameraSettings, *, start: datetime, until: timedelta | None) -> Looks:
    """The pictures with their instants from `start` on; `until` is what `lasts` says, or another length of a loop.
    Raises Unreadable."""
    path, every = file_of(camera), camera.look_every
    if until is None:
        looks = pictures(path, start=start, every=every)
    elif clip.stills is not None:
        looks = _over_and_over(_shown(path, clip.stills), start=start, every=every, until=until)
    else:
        kept = _kept(path, clip.looped, grain=min(every, GRAIN))
        looks = _over_and_over(kept, start=start, every=every, until=until)
    if clip.disturbances is None:
        yield from looks
        return
    disturb = Disturber(clip.disturbances)
    for look, (at, picture) in enumerate(looks):
        yield at, disturb(picture, at_s=(at - start).total_seconds(), look=look)


def _over_and_over(turn: _Turn, *, start: datetime, every: timedelta, until: timedelta) -> Looks:
    for look in range(-(-until // every)):
        yield start + look * every, turn.shown((look * every).total_seconds())


def _shown(path: Path, stills: Stills) -> _Turn:
    decoder, each = Decoder(), stills.each.total_seconds()
    found = []
    for file in stills_of(path, stills):
        try:
            found.append(decoder.decode(image_frame(file, camera=path.stem, captured_at=_SOMETIME)))
        except Unreadable as error:
            raise Unreadable(f"{file}: {error}") from None
    return _Turn(tuple(each * number for number in range(len(found))), tuple(found), each * len(found))


def _kept(path: Path, looped: Looped | None, *, grain: timedelta) -> _Turn:
    """The parts of a video, decoded once, one after the other."""
    parts = looped.parts if looped is not None else ()
    found: list[tuple[float, Picture]] = []
    end = 0.0
    for at, picture in pictures(path, start=_SOMETIME, every=grain):
        at_s = (at - _SOMETIME).total_seconds()
        end = at_s + grain.total_seconds()
        if parts and not any(begins <= at_s < ends for begins, ends in parts):
            continue
        if len(found) == MOST_KEPT:
            raise Unreadable(f"{path}: expected at most {MOST_KEPT} pictures to loop, got more; name shorter `parts`")
        found.append((at_s, picture))
    times: list[float] = []
    chosen: list[Picture] = []
    before = 0.0
    for begins, ends in parts or ((0.0, end),):
        part = [(at_s, picture) for at_s, picture in found if begins <= at_s < ends]
        if not part:
            raise Unreadable(f"{path}: expected pictures from {begins:g} to {ends:g} s, found none")
        times += [before + at_s - begins for at_s, _ in part]
        chosen += [picture for _, picture in part]
        before += min(ends, end) - begins
    return _Turn(tuple(times), tuple(chosen), before, looped.way if looped is not None else "again")


_SOMETIME = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
