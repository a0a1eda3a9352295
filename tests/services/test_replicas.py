"""Several real API processes on one PostgreSQL: they project one log together, one is killed, and no reader misses anything."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from bench.ports import free_port
from citybrain.bus.address import KafkaAddress
from citybrain.bus.kafka import KafkaBus
from citybrain.bus.local import LocalBus
from citybrain.bus.topics import create, layout
from citybrain.ports import Bus
from citybrain.wire import CASE_EVENTS, write_case_event
from tests.services.api_city import case, event
from tests.services.stream_readers import EventStreamReader

CONFIG = Path(__file__).parents[1] / "configs" / "folders" / "good"
COUNT = 400
EXPECTED = [f"{case(n).id}-v1" for n in range(1, COUNT + 1)]


class Replica:
    """`citybrain api` as its users start it."""

    def __init__(self, data: Path, **more: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        options = ["--config", str(CONFIG), "--data", str(data), "--port", self.url.rpartition(":")[2]]
        environment = {**os.environ, **more, "CAM_PASSWORD": "planted-7731"}
        command = [sys.executable, "-m", "citybrain", "api", *options]
        self.log = data / f"{self.url.rpartition(':')[2]}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"{self.url}/healthz", timeout=5).is_success
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def replicas(count: int, data: Path, **more: str) -> Iterator[list[Replica]]:
    with ExitStack() as closing:
        started = []
        for _ in range(count):
            started.append(Replica(data, **more))
            closing.callback(started[-1].kill)
        while not all(each.answers() for each in started):
            time.sleep(0.1)
        yield started


@pytest.fixture(params=["file", "kafka"])
def bus(request, tmp_path) -> Iterator[Bus]:
    """The log that all replicas follow: of this machine, or a broker's, whose offsets have one partition."""
    if request.param == "kafka":
        address = KafkaAddress.parse(request.getfixturevalue("kafka"))
        create(address, layout(2), replicas=1)
        opened: Bus = KafkaBus(address)
    else:
        opened = LocalBus(tmp_path / "citybrain.db")
    yield opened
    opened.close()


def tell(bus: Bus) -> None:
    for n in range(1, COUNT + 1):
        bus.publish(CASE_EVENTS, "k", write_case_event(event(case(n))))
        time.sleep(0.004)


def test_replicas_tell_everything_once_also_while_one_of_them_is_killed(tmp_path, postgres, bus, request):
    where = {"CITYBRAIN_DATABASE": postgres.empty()}
    if isinstance(bus, KafkaBus):
        where["CITYBRAIN_BUS"] = request.getfixturevalue("kafka")
    with replicas(3, tmp_path, **where) as (first, *others), ExitStack() as closing:

        def reader(replica: Replica, **more) -> EventStreamReader:
            return closing.enter_context(contextlib.closing(EventStreamReader(replica.url, **more)))

        staying, moving = [reader(each, query="?after=0") for each in others], reader(first, query="?after=0")
        # Read all the time: who takes nothing for long is let go.
        reading = closing.enter_context(ThreadPoolExecutor())
        seen_by_others = [reading.submit(each.wait_for, COUNT) for each in staying]
        telling = threading.Thread(target=tell, args=[bus])
        telling.start()
        moving.wait_for(60)
        first.kill()
        while moving.bytes(len(moving.raw) + 1):  # what was under way still comes
            pass
        seen, last = moving.events()
        resumed = reader(others[0], last=last)
        assert [*seen, *resumed.wait_for(COUNT - len(seen))] == EXPECTED
        assert [each.result() for each in seen_by_others] == [EXPECTED] * 2
        telling.join()
        figures = httpx.get(f"{others[1].url}/metrics", timeout=60).text
        assert f'citybrain_cases_total{{scene="illegal_parking"}} {COUNT}.0' in figures
