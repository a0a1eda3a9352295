"""The embedded runner as a real process, killed with SIGKILL at any statement and any instant: one problem, one case."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import httpx
import pytest

from citybrain import signing
from citybrain.bus.local import LocalBus
from citybrain.clock import SystemClock
from citybrain.domain.detection import Usable
from citybrain.wire import CASE_EVENTS, DETECTIONS, write_detections
from pipeline.flow import Pipeline
from pipeline.notifiers import webhook
from pipeline.runners.embedded import Embedded
from pipeline.runners.replay import Replay
from tests.flows.days import CAMERAS
from tests.flows.street import FIRE, MINUTE, START, A, B, C, Street, Thing, city, scene

ROOT = Path(__file__).parents[2]
STREETS = [
    Street([Thing(A, 10, 200), Thing(B, 30, 300, who=2)], [(100, 140, Usable.LOST)], camera="gd-1", seed=1),
    Street([Thing(A, 14, 210)], camera="gd-2", seed=2),  # the same corner: the first car again
    Street([Thing(C, 5, who=3), Thing(B, 50, 90, "fire"), Thing(B, 250, 280, "fire")], camera="gd-3", seed=3),
]
UNHURRIED = {"code": "01", "unit": "someone", "deadline": "8h", "close_after_clear": "12h"}
TOWN = city([scene(hold="60s", max_gap="20s", clear_after="30s", case=UNHURRIED), scene(FIRE, case=UNHURRIED)], CAMERAS)
LATELY = SystemClock().now().replace(microsecond=0) - START - 7 * MINUTE
"""The day has just ended by the machine's clock, which tells the runner of deadlines."""


def lately(look):
    stamps = {name: at + LATELY for name, at in look.stamps.items()}
    return replace(look, captured_at=look.captured_at + LATELY, stamps=stamps)


DAY = sorted(
    (lately(look) for street in STREETS for look in street.looks(every=2, until=420)),
    key=lambda look: (look.captured_at, look.camera),
)
VALUES = [(look.camera, write_detections(look)) for look in DAY]


# -- the process that is killed ---------------------------------------------------------------------------------------


def opened(database, url="", secret="") -> Embedded:
    notifiers = {}
    if url:
        config = {"url": url, "secret": secret, "allow": ["loopback"], "timeout": "5s"}
        notifiers["dispatch"] = webhook.build(webhook.Config.model_validate(config))
    return Embedded(database, Pipeline(TOWN), clock=SystemClock(), notifiers=notifiers)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def run_until_done(embedded: Embedded) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(embedded.run(stop))
    while not running.done():
        await asyncio.sleep(0.02)
        figures = embedded.figures()
        if figures["lag"] == 0 and figures["outbox"]["waiting"] == 0:
            stop.set()
            break
    await running


def runner(order: str, database: Path, url: str, secret: str) -> None:
    """One life: `at 17` ends before its 17th statement or when all is done, `after 0.2` after so many seconds, `done` then."""
    word, _, figure = order.partition(" ")
    embedded = opened(database, url, secret)
    if word == "at":
        left = int(figure)

        def count(_: str) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                kill()

        embedded._connection.set_trace_callback(count)
    elif word == "after":
        threading.Timer(float(figure), kill).start()
        asyncio.run(embedded.run(asyncio.Event()))
    asyncio.run(run_until_done(embedded))
    embedded.close()


def lives(database: Path, url: str, secret: str) -> None:
    """Reads orders, gives each a process of its own, forked so that hundreds are cheap, and tells how it ended."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            runner(line.strip(), database, url, secret)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


class Lives:
    def __init__(self, process: subprocess.Popen) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._orders, self._ends = process.stdin, process.stdout

    def live(self, order: str) -> int:
        """The exit status of one life: -9 when it was killed, 0 when it had done everything."""
        self._orders.write(f"{order}\n")
        self._orders.flush()
        return int(self._ends.readline())


@contextmanager
def process(*arguments):
    running = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with running:
        try:
            yield running
        finally:
            running.kill()


@pytest.fixture
def desk(tmp_path):
    secret = signing.new_secret()
    with process(
        "-m", "citybrain.demo.desk", "--port", "0", "--data", str(tmp_path / "desk.db"), "--secret", secret
    ) as running:
        address = running.stdout.readline().split()[-1]
        yield address, secret


@pytest.fixture
def killable(tmp_path, desk):
    address, secret = desk
    url = address if address.endswith("/events") else f"{address}/events"
    with process(__file__, str(tmp_path / "citybrain.db"), url, secret) as running:
        yield Lives(running), tmp_path / "citybrain.db", url.removesuffix("/events")


# -- what must hold ---------------------------------------------------------------------------------------------------


def publish(database, values, *, pause=0.0):
    bus = LocalBus(database)
    for camera, value in values:
        bus.publish(DETECTIONS, camera, value)
        if pause:
            time.sleep(pause)
    bus.close()


def check(database, address):
    """Every problem is one case at the desk, told in order from its filing on; nothing is lost, and the ledger balances."""
    expected = defaultdict(list)
    for event in Replay(Pipeline(TOWN)).run(value for _, value in VALUES):
        expected[event.case.id].append(event.type.value)
    assert len(expected) == 4

    bus, found = LocalBus(database), defaultdict(list)
    for message in bus.read((CASE_EVENTS,), after=0, limit=100_000):
        event = json.loads(message.value)
        found[event["subject"]].append((event["data"]["version"], event["type"]))
    bus.close()
    assert {
        case: [kind for _, kind in told if not kind.endswith("dispatched")] for case, told in found.items()
    } == expected
    for told in found.values():
        assert [version for version, _ in told] == list(range(1, len(told) + 1))
        assert [kind for _, kind in told].count("citybrain.case.dispatched") == 1

    embedded = opened(database)
    figures = embedded.figures()
    embedded.close()
    assert figures["looks"] == len(VALUES)
    assert figures["lag"] == 0
    assert figures["set_aside"] == {}
    assert {name: each["imbalance"] for name, each in figures["scenes"].items()} == dict.fromkeys(TOWN.scenes, 0)
    assert (figures["outbox"]["waiting"], figures["outbox"]["dead"]) == (0, 0)

    cases = httpx.get(f"{address}/cases").json()["cases"]
    assert sorted(each["case"] for each in cases) == sorted(expected)
    assert len({each["external_id"] for each in cases}) == len(expected)
    deliveries = httpx.get(f"{address}/deliveries").json()["deliveries"]
    assert sorted(each["id"] for each in deliveries) == sorted(
        f"{case}-{version}" for case, told in found.items() for version, kind in told if not kind.endswith("dispatched")
    )
    for case in expected:
        versions = [each["version"] for each in deliveries if each["case"] == case]
        assert versions == sorted(versions)


def test_killed_before_each_of_its_first_statements_it_goes_on(killable):
    """One life is only as long as its statements: from opening the database to the middle of its first transactions."""
    lives, database, address = killable
    publish(database, VALUES)
    ends = [lives.live(f"at {n}") for n in range(1, 130, 5)]
    assert set(ends) <= {-signal.SIGKILL, 0}
    assert ends.count(-signal.SIGKILL) >= 10
    assert lives.live("done") == 0
    check(database, address)


def test_killed_at_statements_drawn_by_chance_while_messages_come_it_loses_nothing(killable):
    lives, database, address = killable
    random = Random(5)
    publish(database, VALUES[:1])
    publishing = threading.Thread(target=publish, args=(database, VALUES[1:]), kwargs={"pause": 0.008})
    publishing.start()
    killed = 0
    while publishing.is_alive():
        killed += lives.live(f"at {random.randint(5, 200)}") == -signal.SIGKILL
    publishing.join()
    for _ in range(10):
        killed += lives.live(f"at {random.randint(5, 60)}") == -signal.SIGKILL
    assert killed >= 5
    assert lives.live("done") == 0
    check(database, address)


def test_killed_at_any_instant_while_the_desk_is_slow_and_repeats_itself_it_loses_nothing(killable):
    lives, database, address = killable
    random = Random(9)
    httpx.put(f"{address}/faults", json={"mode": "slow", "delay_s": 0.05, "share": 0.5})
    publish(database, VALUES[:1])
    publishing = threading.Thread(target=publish, args=(database, VALUES[1:]), kwargs={"pause": 0.005})
    publishing.start()
    assert {lives.live(f"after {random.uniform(0.05, 0.5):.3f}") for _ in range(20)} == {-signal.SIGKILL}
    publishing.join()
    httpx.put(f"{address}/faults", json={"mode": "ok"})
    assert lives.live("done") == 0
    check(database, address)


if __name__ == "__main__":
    lives(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
