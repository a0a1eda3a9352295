"""The API killed with SIGKILL while it tells a subscriber: each event arrives, in order for its case, never under a second id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import httpx

from bench.ports import free_port
from citybrain.bus.local import LocalBus
from citybrain.domain.case import CaseEventType
from citybrain.wire import CASE_EVENTS, write_case_event
from tests.services.api_city import case, event
from tests.services.receiver import receiving
from tests.services.test_subscriptions import versions

ROOT = Path(__file__).parents[2]
KILLS, CASES, VERSIONS = 5, 60, 5


@contextmanager
def api(data: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    words = ["--config", "configs", "--data", str(data), "--port", str(port), "--webhooks-to", "loopback"]
    with (data / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "citybrain", "api", *words],
            cwd=ROOT,
            stderr=log,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@contextmanager
def ready(port: int) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
        until = time.monotonic() + 60
        while True:
            with suppress(httpx.TransportError):
                http.get("/healthz")
                break
            assert time.monotonic() < until, "the API did not come up"
            time.sleep(0.05)
        yield http


def test_killing_the_api_again_and_again_loses_nothing(tmp_path):
    chance = Random(20261122)
    port = free_port()
    bus = LocalBus(tmp_path / "citybrain.db")
    told = [each for n in range(1, CASES + 1) for each in versions(n, VERSIONS)]
    left_out = [event(case(n, scene="waterlogging"), CaseEventType.FILED) for n in range(1, 20)]
    logged = chance.sample([*told, *left_out], len(told) + len(left_out))
    logged.sort(key=lambda each: each.case.version)  # cases come in any order, a case's events in theirs
    with receiving() as receiver:
        receiver.answer = lambda _id: (503, {}) if chance.random() < 0.1 else (204, {})
        with api(tmp_path, port), ready(port) as http:
            wanted = {"name": "platform", "url": receiver.address, "filter": {"scenes": ["illegal_parking"]}}
            made = http.post("/v1/subscriptions", json=wanted)
            assert made.status_code == 201, made.text
            log_to(bus, logged[: len(logged) // 2])
            receiver.wait_for(5)
            time.sleep(chance.random() * 0.2)
        rest = logged[len(logged) // 2 :]
        for kill in range(KILLS - 1):
            already = len(receiver.told)
            with api(tmp_path, port), ready(port) as http:
                log_to(bus, rest[len(rest) * kill // (KILLS - 1) : len(rest) * (kill + 1) // (KILLS - 1)])
                receiver.wait_for_tries(already + 1)
                time.sleep(chance.random() * 0.3)
        with api(tmp_path, port), ready(port) as http:
            receiver.wait_for(len(told), within_s=120)
            id = made.json()["id"]
            until = time.monotonic() + 30
            while (shown := http.get(f"/v1/subscriptions/{id}").json())["waiting"]:
                assert time.monotonic() < until, shown
                time.sleep(0.05)
            assert (shown["dead"], shown["cursor"]) == (0, shown["end"])
    bus.close()
    assert sorted(receiver.ids()) == sorted(each.id for each in told)
    assert receiver.in_order()
    assert {each.headers["webhook-id"] for each in receiver.told} == set(receiver.ids())
    assert all(receiver.verified_by(made.json()["secret"], n) for n in range(-20, 0))
    for path in (tmp_path / "subscriptions.db").parent.glob("subscriptions.db*"):
        assert path.stat().st_mode & 0o077 == 0
    assert made.json()["secret"].removeprefix("whsec_") not in (tmp_path / "log").read_text()


def log_to(bus: LocalBus, events) -> None:
    for each in events:
        bus.publish(CASE_EVENTS, each.case.locality, write_case_event(each))
