"""One worker of the pipeline of a city that many machines share: the part that Kafka's coordinator gives it."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path

from citybrain import reading
from citybrain.assembly import Configuration
from citybrain.bus.address import KafkaAddress
from citybrain.bus.topics import needs_package
from citybrain.clock import SystemClock
from citybrain.deployment import Deployment
from citybrain.errors import UsageError
from citybrain.evidence.claims import Claims
from citybrain.ports import Notifier
from citybrain.running import run_until_told
from citybrain.watching import Watching, following
from pipeline.runners.embedded import Upkeep, with_hold

_TALKATIVE = ("abc", "aiokafka", "faust", "mode")
"""Libraries that tell each step of a rebalance; what goes wrong they say as warnings."""


def run_worker(
    config: Path, city: Deployment, bus: str, *, notifiers: Mapping[str, Notifier], member: str | None = None
) -> None:
    """Until told to stop. `member`: its name, and that of its folder, over restarts; without one it is the machine's."""
    address = KafkaAddress.parse(bus)
    try:
        from pipeline.runners.kafka.worker import KafkaWorker
    except ImportError:
        raise needs_package(address) from None
    for each in _TALKATIVE:
        logging.getLogger(each).setLevel(logging.WARNING)
    with place(city.data.path / "pipeline", member) as (name, folder):
        clock, hot, evidence = SystemClock(), city.open_hot(), city.open_evidence()
        accepted = city.data.accepted.with_stem(f"accepted-pipeline-{name}")
        watching = Watching(
            config, role="pipeline", clock=clock, hot=hot, accepted=accepted, read=reading.apart, name=name
        )
        worker = KafkaWorker(
            address,
            watching.current.pipeline(),
            clock=clock,
            data=folder,
            notifiers=notifiers,
            evidence=evidence,
            claims=Claims(evidence, city.open_sealing(evidence), folder=folder / "claims", clock=clock),
            hot=hot,
            keep_evidence=_kept(watching.current),
            name=name,
        )
        stop = asyncio.Event()

        async def adopt(configuration: Configuration) -> None:
            worker.adopt(configuration.pipeline(), keep_evidence=_kept(configuration))

        async def work() -> None:
            async with following(watching, adopt, stop):
                await worker.run(stop)

        run_until_told(work(), stop)


@contextmanager
def place(within: Path, member: str | None) -> Iterator[tuple[str, Path]]:
    """A name, and a folder of that name which no other worker has now: tables in it are found again after a restart.

    Raises UsageError when another process goes by the name that is asked for.
    """
    machine = socket.gethostname()
    names = [member] if member else (machine if n == 1 else f"{machine}-{n}" for n in count(1))
    for name in names:
        folder = within / name
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield name, folder
            return
        finally:
            os.close(lock)
    raise UsageError(f"--member {member}: another process works in {within / str(member)} already; name another one")


def _kept(configuration: Configuration) -> timedelta:
    """How long pictures that no case claimed are kept: as one machine keeps them."""
    return with_hold(Upkeep(), configuration.longest_hold).keep_evidence
