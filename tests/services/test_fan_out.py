"""Two replicas of the API, in processes of their own, over one view: whoever goes on at the other one misses nothing and gets
nothing twice, while Redis is killed and comes back, and when a replica dies."""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import redis

from bench.ports import free_port
from citybrain.wire import CASE_EVENTS, read_case_event
from tests.redis_server import RedisServer, skip_without_redis
from tests.services.api_city import City, case
from tests.services.replica_server import Replica
from tests.services.stream_readers import EventSocketReader, EventStreamReader, Reader
from tests.waiting import until

EVENTS = 240


@pytest.fixture
def redis_server(tmp_path):
    skip_without_redis()
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture(params=["file", "postgresql"])
def database(request) -> str | None:
    return None if request.param == "file" else request.getfixturevalue("postgres").empty()


@pytest.fixture
def replicas(tmp_path: Path, redis_server: RedisServer, database: str | None):
    City(tmp_path).close()
    with ExitStack() as processes:
        made = []
        for _ in range(2):
            each = Replica(tmp_path, port=free_port(), redis=redis_server.url, database=database)
            processes.callback(each.kill)
            made.append(each)
        for each in made:
            each.wait()
        yield made


class Subscriber:
    """Reads a few events at one replica, is cut off, and goes on at the next by the cursor of the last one that it has."""

    def __init__(self, kind: type[EventStreamReader] | type[EventSocketReader], at_once: int) -> None:
        self._kind, self._at_once = kind, at_once
        self.events: list[str] = []
        self.at: list[str] = []
        self.failed: BaseException | None = None
        self._last = "0"

    def follow(self, urls: list[str], total: int) -> None:
        try:
            for url in itertools.cycle(urls):
                if len(self.events) >= total:
                    return
                self._read_some(url, total)
        except BaseException as error:
            self.failed = error
            raise

    def _read_some(self, url: str, total: int) -> None:
        try:
            reader: Reader = self._kind(url, last=self._last)
        except OSError:  # a replica that was killed: the next one
            time.sleep(0.01)
            return
        with suppress(OSError, AssertionError):  # or killed meanwhile: what came whole counts
            reader.wait_for(min(self._at_once, total - len(self.events)))
        seen, last = reader.events()
        reader.close()
        self.events += seen
        self.at += [url] * len(seen)
        self._last = last or self._last


def test_whoever_goes_on_at_another_replica_misses_nothing_and_gets_nothing_twice(tmp_path, replicas, redis_server):
    subscribers = [Subscriber(kind, at_once) for kind in (EventStreamReader, EventSocketReader) for at_once in (3, 40)]
    urls = [each.url for each in replicas]
    following = [
        threading.Thread(target=each.follow, args=(urls if n % 2 else urls[::-1], EVENTS), daemon=True)
        for n, each in enumerate(subscribers)
    ]
    for thread in following:
        thread.start()
    city = City(tmp_path)
    for n in range(1, EVENTS + 1):
        city.file(case(n))
        time.sleep(0.005)
        if n == EVENTS // 4:
            redis_server.kill()
        elif n == EVENTS // 2:
            redis_server.start()
        elif n == EVENTS * 3 // 4:
            until(lambda: all(each.failed or set(each.at) == set(urls) for each in subscribers))
            replicas[0].kill()
    for thread in following:
        thread.join(timeout=60)
    logged = [read_case_event(each.value).id for each in city.pipeline.read([CASE_EVENTS], after=0, limit=EVENTS)]
    city.close()
    assert len(logged) == EVENTS
    for each in subscribers:
        assert each.failed is None
        assert each.events == logged
        assert {urls[0], urls[1]} == set(each.at), "it was served by both"


@pytest.mark.parametrize("database", ["file"], indirect=True)
def test_a_replica_that_has_projected_says_so_to_the_others(tmp_path, replicas, redis_server):
    with redis.Redis.from_url(redis_server.url) as library, library.pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe("citybrain:word:case-events")
        heard.get_message(timeout=5)
        city = City(tmp_path)
        city.file(case(1))
        word = until(lambda: heard.get_message(timeout=1))
        assert word["channel"] == b"citybrain:word:case-events"
        city.close()
