"""The commands about cameras: which there are, whether they answer, those of a table brought in, and all of them published."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import unicodedata
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path

from citybrain import assembly
from citybrain.bus import registry
from citybrain.bus.address import KafkaAddress
from citybrain.clock import Clock, SystemClock
from citybrain.deployment import VARIABLES
from citybrain.domain.coordinates import Crs
from citybrain.domain.frame import Frame
from citybrain.errors import CameraGone, ConfigError, Fault, Unreadable, UsageError
from citybrain.ports import CloserSource, Source
from citybrain.wire.cameras import write_registered
from ingest import config as camera_config
from ingest import environment
from ingest import registered as registering
from ingest.config import CameraSettings
from ingest.decode import Decoder
from ingest.importing import plan as importing
from ingest.importing import table
from ingest.reasons import refuses

DONE, FAILED = 0, 1
PROBE = timedelta(seconds=12)
NEXT_KEYFRAME = timedelta(seconds=6)
"""How long a second keyframe is waited for, to tell the interval."""


def listed(given: argparse.Namespace) -> int:
    """The cameras as configured."""
    for each in _chosen(given):
        camera = each.camera
        if given.json:
            location = camera.location and {"lon": camera.location[0], "lat": camera.location[1]}
            fields = {
                "id": each.id,
                "name": camera.name.as_dict(),
                "source": each.source,
                "url": each.masked_url,
                "zones": [f"{zone.id} ({zone.kind})" for zone in camera.zones],
                "location": location,
                "grid_cell": camera.grid_cell,
                "detector": each.detector,
                "file": each.file,
            }
            print(json.dumps(fields, ensure_ascii=False))
        else:
            zones = ", ".join(f"{zone.id} ({zone.kind})" for zone in camera.zones)
            name = " / ".join(dict.fromkeys((camera.name.zh, camera.name.en)))
            print("  ".join((each.id, name, each.source, each.masked_url, zones)).rstrip())
    return DONE


def probed(given: argparse.Namespace) -> int:
    """What one picture of each shows of it; 1 when some do not answer."""
    chosen = _chosen(given)
    progress = Progress(SystemClock())
    results = asyncio.run(_probe_all(chosen, given.concurrency, progress))
    progress.done()
    if given.json:
        for each in results:
            print(json.dumps(asdict(each), ensure_ascii=False))
    else:
        for line in _columns([_HEADINGS, *(each.cells for each in results)]):
            print(line)
    return DONE if all(each.state == "live" for each in results) else FAILED


def imported(given: argparse.Namespace) -> int:
    """A CSV of cameras into `cameras/NAME.yaml`, its passwords into `cameras/NAME.env`; nothing unless all rows are good."""
    folder, name = Path(given.config), given.name or given.file.stem
    if not folder.is_dir():
        raise ConfigError([Fault(str(folder), "", "there is no such folder.", "Name one with --config; see configs/.")])
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
        raise UsageError(f"--name {name!r}: expected letters, digits, '-' or '_'; it becomes cameras/NAME.yaml")
    faults: list[Fault] = []
    found = table.read(given.file, faults=faults)
    if found is None:
        raise ConfigError(faults)
    progress = Progress(SystemClock())
    told = importing.plan(
        found,
        folder,
        name,
        replace_all=given.replace,
        crs=Crs(given.crs),
        faults=faults,
        progress=lambda done, of: progress.tell(done, of, "rows"),
    )
    progress.done()
    for line in importing.summary(told, ignored=found.ignored):
        print(line)
    if faults and not given.skip_faulty:
        print(
            f"citybrain: nothing is written: {len(faults)} faults; --skip-faulty imports the other rows",
            file=sys.stderr,
        )
        raise ConfigError(faults)
    for fault in faults:
        print(f"skipped: {fault}", file=sys.stderr)
    if given.dry_run:
        print("nothing is written: this was a dry run")
        return DONE
    if told.path.exists() and told.path.read_text(encoding="utf-8") == told.text:
        print("nothing is written: the file says so already")
        return DONE
    _write(told)
    return DONE


def published(given: argparse.Namespace) -> int:
    """The folder's cameras into the topic `cameras`: what changed, and the end of those that are no more."""
    url = given.bus or os.environ.get(VARIABLES["bus"])
    if not url:
        raise UsageError(f"cameras publish: name the bus with --bus kafka://HOST:PORT, or in ${VARIABLES['bus']}")
    address, folder = KafkaAddress.parse(url), Path(given.config)
    # Whoever publishes need not know the passwords: any will do to see that the rest is right.
    _, faults = assembly.read(folder, variables={**registering.variables_of(folder), **os.environ})
    wanted = {id: write_registered(each) for id, each in registering.entries(folder, faults=faults).items()}
    if faults:
        raise ConfigError(faults)
    there = registry.registered(address)
    added = sorted(wanted.keys() - there.keys())
    changed = sorted(id for id in wanted.keys() & there.keys() if wanted[id] != there[id])
    removed = sorted(there.keys() - wanted.keys())
    print(
        f"{address}: {len(added)} added, {len(changed)} changed, {len(wanted) - len(added) - len(changed)} unchanged,"
        f" {len(removed)} removed"
    )
    for what, ids in (("added", added), ("changed", changed), ("removed", removed)):
        if ids:
            print(f"  {what}: {importing.some(ids)}")
    if given.dry_run:
        print("nothing is published: this was a dry run")
        return DONE
    if not (added or changed or removed):
        print("nothing is published: the topic says so already")
        return DONE
    registry.register(address, {**{id: wanted[id] for id in (*added, *changed)}, **dict.fromkeys(removed)})
    print("published; ingest looks at them within seconds")
    return DONE


def _write(told: importing.Plan) -> None:
    """First the passwords, then the cameras that name them: a city that runs adopts them together or not yet."""
    told.path.parent.mkdir(exist_ok=True)
    variables = environment.beside(told.path)
    if told.variables:
        _replace(variables, told.secrets, mode=0o600)
        print(
            f"{variables} holds {len(told.variables)} variables, for its owner only (mode 600):"
            " it belongs to the user that citybrain runs as, and into no repository"
        )
    _replace(told.path, told.text, mode=0o644)
    print(f"{told.path} written; a city that runs adopts it within seconds")


def _replace(path: Path, text: str, *, mode: int) -> None:
    partial = path.with_name(f".{path.name}.part")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _chosen(given: argparse.Namespace) -> list[CameraSettings]:
    faults: list[Fault] = []
    found = camera_config.load(given.config, faults)
    if faults:
        raise ConfigError(faults)
    wanted = set(given.camera or ())
    unknown = sorted(wanted - {each.id for each in found})
    if unknown:
        some = ", ".join(each.id for each in found[:20]) + (" …" if len(found) > 20 else "")
        raise UsageError(f"--camera {unknown[0]}: no such camera; there are {some}")
    text = (given.text or "").casefold()
    return [
        each
        for each in found
        if (not wanted or each.id in wanted)
        and (each.camera.grid_cell or "").startswith(given.grid_cell or "")
        and text in f"{each.id}\n{each.camera.name.zh}\n{each.camera.name.en}".casefold()
    ]


class Progress:
    """Says on stderr how far a long command is: one line that is written over at a terminal, else a line each ten seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._terminal = sys.stderr.isatty()
        self._every_s = 0.2 if self._terminal else 10.0
        self._said_s = clock.monotonic()
        self._said = False

    def tell(self, done: int, of: int, what: str) -> None:
        """Say it, unless it was said a moment ago."""
        now_s = self._clock.monotonic()
        if now_s - self._said_s >= self._every_s:
            self._said_s, self._said = now_s, True
            print(f"{done}/{of} {what}", end="\x1b[K\r" if self._terminal else "\n", file=sys.stderr, flush=True)

    def done(self) -> None:
        """Nothing more will be said; the line is left."""
        if self._terminal and self._said:
            print(end="\x1b[K", file=sys.stderr, flush=True)


# -- probing ----------------------------------------------------------------------------------------------------------


_HEADINGS = ("camera", "state", "codec", "size", "keyframe", "rate", "clock", "took", "reason")


@dataclass(frozen=True, slots=True)
class Probe:
    """What a picture or two told of a camera; `reason` when there was none. Frame rate and interval where they showed."""

    id: str
    state: str
    reason: str = ""
    codec: str = ""
    width: int = 0
    height: int = 0
    clock_ok: bool = False
    keyframe_s: float | None = None
    fps: float | None = None
    seconds: float = 0.0

    @property
    def cells(self) -> tuple[str, ...]:
        if not self.codec:
            return (self.id, self.state, "", "", "", "", "", f"{self.seconds:.1f} s", self.reason)
        return (
            self.id,
            self.state,
            self.codec,
            f"{self.width}×{self.height}",
            "" if self.keyframe_s is None else f"{self.keyframe_s:.1f} s",
            "" if self.fps is None else f"{self.fps:.0f}/s",
            "ok" if self.clock_ok else "wrong",
            f"{self.seconds:.1f} s",
            self.reason,
        )


async def _probe_all(chosen: Sequence[CameraSettings], concurrency: int, progress: Progress) -> list[Probe]:
    most, clock = asyncio.Semaphore(concurrency), SystemClock()
    ok = failed = 0

    async def one(settings: CameraSettings) -> Probe:
        nonlocal ok, failed
        async with most:
            result = await _probe(settings, clock)
        ok, failed = (ok + 1, failed) if result.state == "live" else (ok, failed + 1)
        progress.tell(ok + failed, len(chosen), f"cameras, {ok} ok, {failed} failed")
        return result

    return list(await asyncio.gather(*(one(each) for each in chosen)))


async def _probe(settings: CameraSettings, clock: Clock) -> Probe:
    began = clock.monotonic()

    def gone(state: str, reason: str) -> Probe:
        return Probe(settings.id, state, reason, seconds=round(clock.monotonic() - began, 2))

    # Each keyframe counts here, however seldom the camera is looked at later.
    source = camera_config.build(replace(settings, look_every=camera_config.SHORTEST_LOOK))
    try:
        async with aclosing(source.frames()) as frames:  # type: ignore[type-var]  # sources yield from async generators
            async with asyncio.timeout(PROBE.total_seconds()):
                frame = await anext(frames)
            picture = await asyncio.to_thread(Decoder().decode, frame)
            took_s = clock.monotonic() - began
            interval, fps = await _rhythm(source, frames, frame)
    except CameraGone as error:
        return gone("refused" if refuses(error.reason) else "lost", error.reason)
    except TimeoutError:
        return gone("lost", "silent")
    except StopAsyncIteration:
        return gone("lost", "ended")
    except Unreadable as error:
        return gone("unusable", str(error))
    return Probe(
        settings.id,
        "live",
        "",
        frame.codec,
        picture.width,
        picture.height,
        frame.clock_ok,
        interval,
        fps,
        round(took_s, 2),
    )


async def _rhythm(source: Source, frames: AsyncIterator[Frame], first: Frame) -> tuple[float | None, float | None]:
    """Seconds between keyframes, and pictures a second where the source keeps them; None for what did not show in time."""
    try:
        async with asyncio.timeout(NEXT_KEYFRAME.total_seconds()):
            second = await anext(frames)
    except (TimeoutError, CameraGone, StopAsyncIteration):  # there was a picture: the camera is live all the same
        return None, None
    span_s = (second.captured_at - first.captured_at).total_seconds()
    if span_s <= 0:
        return None, None
    footage = source.footage(first.captured_at) if isinstance(source, CloserSource) else None
    between = (
        [each for each in footage.units if first.captured_at <= each.captured_at < second.captured_at]
        if footage
        else []
    )
    keyframes = sum(each.keyframe for each in between) or 1
    return round(span_s / keyframes, 2), round(len(between) / span_s, 1) if between else None


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(_width(row[n]) for row in rows) for n in range(len(rows[0]))]
    return [
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _width(text: str) -> int:
    """Columns at a terminal: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)
