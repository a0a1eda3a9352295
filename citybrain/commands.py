"""What the commands do that look into a city, rather than run it; and `up`, which checks before it runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from citybrain import assembly, recordings, supervisor
from citybrain.bus import topics as bus_topics
from citybrain.bus.address import KafkaAddress
from citybrain.clock import Clock
from citybrain.deployment import VARIABLES, DataFolder, Deployment
from citybrain.errors import ConfigError, UsageError
from citybrain.supervisor import Supervisor
from citybrain.wire import write_case_event
from events_api.guard import is_loopback
from events_api.store.key_file import FileKeys
from ingest.sensors import config as sensors

DONE, FAILED, WRONG = 0, 1, 2
PROBE = timedelta(seconds=12)
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def up(
    config: Path,
    data: Path,
    *,
    host: str,
    port: int,
    dispatch: str | None,
    workers: int | None,
    clock: Clock,
    webhooks_to: Sequence[str] = (),
) -> int:
    """Check the configuration and the address, then run the roles until told to stop."""
    _refuse_shared_parts()
    folder = DataFolder(data)
    folder.make()
    city = Deployment(folder)
    city.dispatch_secret()
    city.signer()
    if not is_loopback(host) and not FileKeys(folder.keys, clock=clock).any():
        raise UsageError(
            f"--host {host}: is reached by others; make a key first: citybrain keys add NAME --role operator --data {data}"
        )
    faults = assembly.check(config, say=lambda text: print(f"citybrain: {text}", file=sys.stderr))
    if faults:
        raise ConfigError(faults)
    common = ("--config", str(config), "--data", str(data))
    send = ("--dispatch", dispatch) if dispatch else ()
    count = ("--workers", str(workers)) if workers else ()
    reach = [word for each in webhooks_to for word in ("--webhooks-to", each)]
    commands = {
        "pipeline": supervisor.citybrain("pipeline", *common, *send),
        "api": supervisor.citybrain("api", *common, "--host", host, "--port", str(port), *reach),
        "ingest": supervisor.citybrain("ingest", *common, *count),
    }
    if (config / sensors.FILE).exists():
        commands["sensors"] = supervisor.citybrain("sensors", *common)
    print(f"citybrain: the wall is at http://{host}:{port}", file=sys.stderr)
    Supervisor(commands, clock=clock).run()
    return DONE


def _refuse_shared_parts() -> None:
    """All of it lies in --data: nobody shall believe that it is elsewhere."""
    if told := [variable for variable in VARIABLES.values() if os.environ.get(variable)]:
        raise UsageError(f"up keeps everything in --data: unset {', '.join(told)}, or start the roles one by one")


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
    if sum(each is not None for each in (given.video, given.data, given.bus)) > 1:
        raise UsageError("record: name one of a VIDEO with --config and --camera, a city's --data, or its --bus")
    if given.video is not None:
        if given.config is None or given.camera is None:
            raise UsageError("record: a video needs --config and --camera")
        configuration = assembly.load(given.config)
        start = given.start or _EPOCH
        lines = recordings.from_video(configuration, given.camera, given.video, start=start)
    elif given.data is not None:
        database = DataFolder(given.data).database
        lines = recordings.from_log(database, camera=given.camera, start=given.start, end=given.end)
    else:
        bus = _bus(given.bus, otherwise="name a VIDEO with --config and --camera, a city's --data, or its --bus")
        lines = recordings.from_bus(bus, camera=given.camera, start=given.start, end=given.end)
    for line in lines:
        _line(line)
    return DONE


def topics(given: argparse.Namespace) -> int:
    """The topics of a bus made, as far as they are missing: a line for each."""
    address = KafkaAddress.parse(_bus(given.bus, otherwise="topics: name the --bus"))
    topics = bus_topics.layout(given.partitions, keep_detections=given.keep_detections)
    for line in bus_topics.create(address, topics, replicas=given.replicas):
        print(line)
    return DONE


def _bus(option: str | None, *, otherwise: str) -> str:
    found = option or os.environ.get(VARIABLES["bus"])
    if not found:
        raise UsageError(f"{otherwise} kafka://host:port, here or in ${VARIABLES['bus']}")
    return found


def _line(raw: bytes) -> None:
    sys.stdout.buffer.write(raw + b"\n")
    sys.stdout.buffer.flush()
