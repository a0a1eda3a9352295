"""What the commands do that look into a city, rather than run it; and `up`, which checks before it runs."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from citybrain import assembly, recordings, supervisor
from citybrain.clock import Clock, SystemClock
from citybrain.errors import CameraGone, ConfigError, Fault, Unreadable, UsageError
from citybrain.roles import DataFolder
from citybrain.supervisor import Supervisor
from citybrain.wire import write_case_event
from detectors.registry import find_models, list_models
from events_api.guard import is_loopback
from events_api.security import Keys, Role
from ingest import config as camera_config
from ingest.config import CameraSettings
from ingest.decode import Decoder

DONE, FAILED, WRONG = 0, 1, 2
PROBE = timedelta(seconds=12)
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def up(
    config: Path, data: Path, *, host: str, port: int, dispatch: str | None, workers: int | None, clock: Clock
) -> int:
    """Check the configuration and the address, then run the three roles until told to stop."""
    folder = DataFolder(data)
    folder.make()
    folder.dispatch_secret()
    if not is_loopback(host) and not Keys(folder.keys, clock=clock).any():
        raise UsageError(
            f"--host {host}: is reached by others; make a key first: citybrain keys add NAME --role operator --data {data}"
        )
    faults = assembly.check(config, say=lambda text: print(f"citybrain: {text}", file=sys.stderr))
    if faults:
        raise ConfigError(faults)
    common = ("--config", str(config), "--data", str(data))
    send = ("--dispatch", dispatch) if dispatch else ()
    count = ("--workers", str(workers)) if workers else ()
    commands = {
        "pipeline": supervisor.citybrain("pipeline", *common, *send),
        "api": supervisor.citybrain("api", *common, "--host", host, "--port", str(port)),
        "ingest": supervisor.citybrain("ingest", *common, *count),
    }
    print(f"citybrain: the wall is at http://{host}:{port}", file=sys.stderr)
    Supervisor(commands, clock=clock).run()
    return DONE


def check(given: argparse.Namespace) -> int:
    """Every fault of a configuration on stderr, or one line saying what was found."""
    faults = assembly.check(given.config, say=print)
    if faults:
        raise ConfigError(faults)
    return DONE


def replay(given: argparse.Namespace) -> int:
    """Case events as JSON lines."""
    configuration = assembly.load(given.config)
    if (given.detections is None) == (given.video is None):
        raise UsageError("replay: name either a VIDEO or a recording with --detections")
    if given.video is not None and given.camera is None:
        raise UsageError("replay: a video needs --camera, whose zones and scenes it is judged by")
    values: Iterable[bytes] = (
        recordings.from_file(given.detections)
        if given.detections is not None
        else recordings.from_video(configuration, given.camera, given.video, start=given.start)
    )
    for event in recordings.replay(configuration, values, state=given.state):
        _line(write_case_event(event))
    return DONE


def record(given: argparse.Namespace) -> int:
    """Detections as JSON lines."""
    if (given.video is None) == (given.data is None):
        raise UsageError("record: name either a VIDEO with --config and --camera, or a city's --data")
    if given.video is not None:
        if given.config is None or given.camera is None:
            raise UsageError("record: a video needs --config and --camera")
        configuration = assembly.load(given.config)
        start = given.start or _EPOCH
        lines = recordings.from_video(configuration, given.camera, given.video, start=start)
    else:
        database = DataFolder(given.data).database
        lines = recordings.from_log(database, camera=given.camera, start=given.start, end=given.end)
    for line in lines:
        _line(line)
    return DONE


def models(given: argparse.Namespace) -> int:
    """The registry's models: name, version, classes, forms, licence."""
    for model in list_models(find_models(Path.cwd())):
        entry = model.entry
        if entry is None:  # a registry holds entries only; a path of one's own is in none
            continue
        fields: dict[str, Any] = {
            "name": model.name,
            "architecture": entry.architecture,
            "classes": list(entry.classes),
            "forms": sorted(form for form, files in entry.files if files),
            "licence": entry.licence,
            "card": entry.card,
        }
        _tell(fields, as_json=given.json)
    return DONE


def cameras(given: argparse.Namespace) -> int:
    """The cameras as configured, or what one picture of each shows of them."""
    faults: list[Fault] = []
    found = camera_config.load(given.config, faults)
    if faults:
        raise ConfigError(faults)
    chosen = [each for each in found if given.camera in (None, each.id)]
    if not chosen:
        raise UsageError(f"--camera {given.camera}: no such camera; there are {', '.join(each.id for each in found)}")
    if given.action == "list":
        for each in chosen:
            zones = [f"{zone.id} ({zone.kind})" for zone in each.camera.zones]
            fields = {"id": each.id, "name": each.camera.name.as_dict(), "source": each.source, "url": each.masked_url}
            _tell(fields | {"zones": zones}, as_json=given.json)
        return DONE
    probed = asyncio.run(_probe_all(chosen))
    for result in probed:
        _tell(asdict(result), as_json=given.json)
    return DONE if all(result.state == "live" for result in probed) else FAILED


def keys(given: argparse.Namespace) -> int:
    """Make, list or revoke the keys of a city. A key is shown once, when it is made."""
    data = DataFolder(given.data)
    data.make()
    kept = Keys(data.keys, clock=SystemClock())
    if given.action == "list":
        for key in kept.all():
            _tell({"name": key.name, "role": key.role.value}, as_json=False)
        return DONE
    if not given.name:
        raise UsageError(f"keys {given.action}: name whose key")
    if given.action == "add":
        try:
            token = kept.add(given.name, Role(given.role))
        except ValueError as error:
            raise UsageError(f"keys add: {error}") from None
        print(token)
        return DONE
    if not kept.revoke(given.name):
        raise UsageError(f"keys revoke: there is no key {given.name!r}")
    return DONE


@dataclass(frozen=True, slots=True)
class Probe:
    """What one picture told of a camera; `reason` when there was none."""

    id: str
    state: str
    reason: str = ""
    codec: str = ""
    width: int = 0
    height: int = 0
    clock_ok: bool = False
    seconds: float = 0.0


async def _probe_all(chosen: list[CameraSettings]) -> list[Probe]:
    most = asyncio.Semaphore(32)

    async def one(settings: CameraSettings) -> Probe:
        async with most:
            return await _probe(settings)

    return await asyncio.gather(*(one(each) for each in chosen))


async def _probe(settings: CameraSettings) -> Probe:
    clock = SystemClock()
    began = clock.monotonic()
    try:
        async with asyncio.timeout(PROBE.total_seconds()), aclosing(camera_config.build(settings).frames()) as frames:  # type: ignore[type-var]  # sources yield from async generators
            frame = await anext(frames)
        picture = Decoder().decode(frame)
    except CameraGone as error:
        return Probe(settings.id, "lost", error.reason, seconds=round(clock.monotonic() - began, 2))
    except TimeoutError:
        return Probe(settings.id, "lost", "silent", seconds=PROBE.total_seconds())
    except StopAsyncIteration:
        return Probe(settings.id, "lost", "ended", seconds=round(clock.monotonic() - began, 2))
    except Unreadable as error:
        return Probe(settings.id, "unusable", str(error), seconds=round(clock.monotonic() - began, 2))
    return Probe(
        settings.id,
        "live",
        "",
        frame.codec,
        picture.width,
        picture.height,
        frame.clock_ok,
        round(clock.monotonic() - began, 2),
    )


def _line(raw: bytes) -> None:
    sys.stdout.buffer.write(raw + b"\n")
    sys.stdout.buffer.flush()


def _tell(fields: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(fields, ensure_ascii=False))
    else:
        print("  ".join(_plain(value) for value in fields.values()))


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return " / ".join(str(each) for each in value.values())
    if isinstance(value, list):
        return ", ".join(str(each) for each in value)
    return str(value)
